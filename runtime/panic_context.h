// PanicContext: the panics of one fiber (or plain thread): which is unwinding, and whose deferred call is running.
//
// Invariants:
//   - `current` is the innermost panic that has not been dropped; its `link` leads to those that were current when it began.
//   - A record is Unwinding until a recover() marks it Recovered; when that deferred call has returned it is Done, and when a later panic has
//     unwound past it, Aborted. Only records that are neither Done nor Aborted are seen by recover() and printed.
//   - `object` names the exception object that carries the panic now: after a replacement the older exception goes on unwinding and stands
//     for the newer panic.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>

#include <weir/detail/park.h>
#include <weir/panic.h>
#include "site.h"
#include "worker.h"

namespace weir::detail {

/// FaultInfo is what the signal of a fault said; signal 0: no fault.
struct FaultInfo {
    int signal = 0;
    int code = 0;
    std::uintptr_t address = 0;
    std::uintptr_t pc = 0;
};

/// LastWait is what a fiber last waited for, and when that wait began.
struct LastWait {
    WaitReason reason = WaitReason::None;
    std::int64_t since = 0;
};

/// last_wait is the calling fiber's; none on a plain thread.
LastWait last_wait() noexcept;

enum class PanicState : std::uint8_t { Unwinding, Recovered, Done, Aborted };

struct PanicRecord {
    PanicKind kind = PanicKind::User;
    PanicState state = PanicState::Unwinding;
    bool goexit = false;                     // not a panic: goexit() unwinding
    bool over_goexit = false;                // it replaced a goexit, which goes on once this is recovered
    bool was_recovered = false;
    bool was_replaced = false;               // a later panic began in its deferred call and went on: it is printed before that one
    bool carried_by_other = false;           // the exception in flight is that of the panic it replaced
    std::unique_ptr<const PanicValue> own_value;
    const PanicValue* value = nullptr;       // null for foreign exceptions
    std::shared_ptr<const PanicRecord> first; // whose value it is, when the same panic was thrown again
    std::exception_ptr exception;            // of a foreign exception
    std::string text;                        // the message of a foreign exception
    const std::type_info* type = nullptr;
    std::uint64_t fiber_id = 0;
    LastWait last_wait;                      // before it began
    int depth = 0;                           // uncaught exceptions once it was thrown: with fewer in flight it has been swallowed
    void* object = nullptr;                  // the exception object in flight for it
    std::shared_ptr<PanicRecord> link;       // the panic that was current when this one began
    SitePtr site;
    FaultInfo fault;
    std::string details;                     // printed below its stack: the fibers of a deadlocked bubble
    std::atomic<const std::string*> what{nullptr}; // PanicException::what(), once somebody has asked; owned
    bool abandoned = false;                  // its fiber could not be unwound
    std::atomic<bool> looked_at{false};      // the program has read it; recovered panics that nobody reads are counted

    PanicRecord() = default;
    ~PanicRecord();
    PanicRecord(const PanicRecord&) = delete;
    PanicRecord& operator=(const PanicRecord&) = delete;
};

/// DeferRun is one deferred call that runs because of a panic. On the stack of run_deferred_panicking.
struct DeferRun {
    DeferRun* outer;
    std::shared_ptr<PanicRecord> panic;
};

/// Thrown is what the __cxa_throw hook notes: which object is in flight at each depth of uncaught exceptions, and from where.
struct Thrown {
    void* object = nullptr;
    SitePtr site;
    bool has_site = false; // else `site` is that of an earlier exception, kept for its memory
};

struct PanicContext {
    static constexpr int kDepths = 8;
    std::shared_ptr<PanicRecord> current;
    DeferRun* run = nullptr;
    bool goexiting = false; // set by finish_entry(): the fiber ends by goexit
    PanicRecord* throwing = nullptr; // between weir's own throw and the hook, which learns the exception object
    Thrown thrown[kDepths];
};

/// panic_context_slow makes the calling fiber's, or finds the calling thread's.
PanicContext& panic_context_slow() noexcept;

/// panic_context is the calling fiber's, or the calling thread's.
inline PanicContext& panic_context() noexcept {
    Worker* w = this_worker();
    PanicContext* known = w != nullptr && w->current != nullptr ? w->current->panics : nullptr;
    return known != nullptr ? *known : panic_context_slow();
}

/// Goexit travels as this; never as a std::exception.
struct GoexitSignal {};

/// finish_entry is called in the catch (...) of a fiber's entry: returns the panic that ends the fiber, or null (goexit, or recovered).
std::shared_ptr<PanicRecord> finish_entry();

/// note_uncaught counts a panic that ended its fiber.
void note_uncaught() noexcept;

/// throw_fault panics with a fault of the calling fiber; `site` is where it happened.
[[noreturn]] void throw_fault(PanicKind kind, std::string text, const FaultInfo& fault, SitePtr site);

/// throw_detailed panics with a RuntimeError of that text, and has more to say than fits there.
[[noreturn]] void throw_detailed(std::string text, std::string details);

/// crash_record makes the record of a crash that is not thrown.
std::shared_ptr<PanicRecord> crash_record(PanicKind kind, std::string text, const FaultInfo& fault, SitePtr site);

/// terminated_record makes the record of a std::terminate on this fiber: of the exception that could not go on, if there is one.
std::shared_ptr<PanicRecord> terminated_record();

/// fault_text is Go's message for a fault, and signal_line what Go prints below it: "[signal SIGSEGV: segmentation violation code=... ]".
std::string fault_text(const FaultInfo& fault);
std::string signal_line(const FaultInfo& fault);

/// record_stack is Panic::stack(), where it panicked and the details. Symbolises: slow.
std::string record_stack(const PanicRecord& record);

/// record_message is Panic::message(): the value as Go prints it.
std::string record_message(const PanicRecord& record);

/// panic_chain_text is the chain as Go prints it: "panic: A\n\tpanic: B", with [recovered] marks, and the signal line of a fault.
std::string panic_chain_text(const PanicRecord& record);

/// indent_lines puts a tab before every line but the first.
std::string indent_lines(std::string text);

} // namespace weir::detail
