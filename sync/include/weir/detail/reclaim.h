// Safe memory reclamation: readers follow pointers without a lock while writers unlink what these point to.
//
//     { ReadSection section;  use(*pointer.load(acquire)); }             // the reader
//     { Unlinked gone;  gone.add(*pointer.exchange(fresh)); }            // the writer, outside any section of its own
//
// A retired object is destroyed once every section has ended that had begun before it was retired: at once when nobody reads and nothing else
// waits, else by a later retire or the end of a later section (one in 16, one in 64), on that fiber, with no lock held. Sections are short but may park (they run a user's operator==
// and copy constructors) and go on on another thread; then nothing is destroyed meanwhile.
//
// The scheme is that of Linux's sleepable RCU. A section counts itself in on the thread where it begins, under the current one of two phases,
// and out on the thread where it ends. A phase has drained when, the outs summed first and the ins afterwards, both are equal: a section
// counted out had been counted in before, so that a missing one cannot be made up for. What was retired before is destroyed after both phases
// have drained since; the phase that new sections use changes in between, so that a steady flow of readers does not prevent it.
// Store and load that must not pass each other: the section's count, then its load of the pointer; the writer's unlinking, then its
// sum of the counts. A seq_cst fence on either side, which acquire and release would not replace.
#pragma once

#include <cstdint>

#include <weir/detail/config.h>

namespace weir::detail {

/// Retired is the base of what can be retired.
class WEIR_API Retired {
public:
    Retired() noexcept = default;
    Retired(const Retired&) = delete;
    Retired& operator=(const Retired&) = delete;
    virtual ~Retired();

private:
    friend class Reclaimer;
    friend class Unlinked;
    Retired* next_ = nullptr; // in the reclaimer's lists, or in Unlinked's
};

/// enter_section returns the phase to leave it with.
WEIR_API std::uint32_t enter_section();
WEIR_API void leave_section(std::uint32_t phase) noexcept;

class ReadSection {
public:
    ReadSection() : phase_(enter_section()) {}
    ~ReadSection() { leave_section(phase_); }
    ReadSection(const ReadSection&) = delete;
    ReadSection& operator=(const ReadSection&) = delete;

private:
    std::uint32_t phase_;
};

/// retire_all destroys a list of objects, made by new and no longer reachable for new readers, when nobody can be reading them any more.
WEIR_API void retire_all(Retired* first) noexcept;

/// Unlinked gathers what its scope unlinks, and retires it at the end. To be declared before a ReadSection of the same scope: an own section
/// would keep the objects.
class Unlinked {
public:
    Unlinked() noexcept = default;
    ~Unlinked() {
        if (first_ != nullptr) retire_all(first_);
    }
    Unlinked(const Unlinked&) = delete;
    Unlinked& operator=(const Unlinked&) = delete;

    void add(Retired& object) noexcept {
        object.next_ = first_;
        first_ = &object;
    }

private:
    Retired* first_ = nullptr;
};

} // namespace weir::detail
