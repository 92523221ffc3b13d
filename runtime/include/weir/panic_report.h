// Panic reports: what is known about a panic that nobody recovered, and who gets it.
//
//     set_panic_handler([](const PanicReport& r) { logger.send(r.json()); });
//
// Every uncaught panic is printed on stderr and given to the handler, both by fibers of their own behind bounded queues: a handler that
// is slow, blocks or panics delays neither the dying fiber nor any other, nor the printing. When a queue is full, reports are dropped and
// counted. Identical reports are printed and handed over ten times a second at most; the next one says how many were left out. When run
// ends it waits up to a second for what is still queued.
// What a fiber waited for is known by kind, not by object; which mutexes it held is not known, as a Mutex has no owner: an unwound fiber's guards
// have released them, and who waits for one that an abandoned fiber held is in the dump.
// Thread safety: everything here may be called from any fiber or thread, at any time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include <weir/detail/config.h>
#include <weir/go.h>
#include <weir/panic.h>

namespace weir {

/// PanicReport of one uncaught panic.
struct PanicReport {
    std::string message;               ///< as Go prints it after "panic: "
    PanicKind kind = PanicKind::User;
    std::string type_name;             ///< the demangled type of the value or exception
    std::string chain;                 ///< "panic: ..." lines: the panics it replaced, then itself; and Go's "[signal ...]" line of a fault
    std::string stack;                 ///< where it happened, as Go prints a stack
    std::string created_by;            ///< where the fiber was started
    std::string details;               ///< the fibers of a deadlocked bubble (synctest.h), else empty
    std::uint64_t fiber_id = 0;
    std::string fiber_name;
    Labels labels;
    std::chrono::system_clock::time_point time;
    std::string last_wait;             ///< what the fiber last waited for before it panicked ("chan receive", ...); empty: it never did
    std::chrono::nanoseconds last_wait_ago{}; ///< how long before its end that wait began; to about 10 ms
    std::string unwinding_wait;        ///< what its deferred calls and destructors last waited for since; empty: nothing
    bool locked_to_thread = false;     ///< it was in lock_os_thread
    bool abandoned = false;            ///< the fiber could not be unwound: its destructors did not run, its stack is kept
    std::uint64_t suppressed = 0;      ///< identical reports left out since the last one

    /// text is the report in Go's format, as it is printed on stderr.
    WEIR_API std::string text() const;
    /// json is one line of JSON.
    WEIR_API std::string json() const;
};

using PanicHandler = std::function<void(const PanicReport&)>;

/// set_panic_handler makes `handler` get every report from now on; an empty one takes it away. It runs on a fiber, one report at a time, and
/// may block. Under PanicPolicy::Crash it is given a second before the process ends.
WEIR_API void set_panic_handler(PanicHandler handler);

/// reports_dropped_total counts the reports that a full queue did not take, printed or handed over, since the process began.
WEIR_API std::uint64_t reports_dropped_total() noexcept;

/// to_string names a kind as json() does: "user", "exception", "runtime error", "fault", "stack overflow", "fatal".
WEIR_API const char* to_string(PanicKind kind) noexcept;

} // namespace weir
