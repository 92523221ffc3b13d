// The reporter: uncaught panics, printed and handed over by fibers of its own.
//
// Two stages (and one for the lines of print_later()), each a bounded queue and a fiber that exists while there is something in it: the first makes reports readable (symbols are
// slow), limits their rate and prints them; the second calls the program's handler. Invariants, of each stage:
//   - `active` is true from the report that starts its fiber until the fiber has found the queue empty, both under the lock: no report is
//     left without a fiber, and there is at most one.
//   - Its fiber is a system fiber: counted nowhere. When it crashes in code that cannot unwind, another takes over.
//   - A dying fiber only fills in addresses and names; it never waits, save for the lock.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include <weir/detail/park.h>
#include <weir/go.h>
#include "panic_context.h"

namespace weir::detail {

struct Fiber;

/// Obituary is what a dying fiber leaves to the reporter.
struct Obituary {
    std::shared_ptr<PanicRecord> panic;
    std::uint64_t fiber_id = 0;
    std::uint64_t parent = 0;
    void* created_at = nullptr;
    std::string fiber_name;
    Labels labels;
    std::chrono::system_clock::time_point time;
    LastWait last_wait;        // when it ended; that of the panic's beginning is in the record
    std::int64_t ended = 0;    // on the clock of LastWait
    bool locked_to_thread = false;
    bool crash = false;        // PanicPolicy::Crash: the process ends with it
    bool to_handler = true;    // false for what happens in the handler itself
};

/// report_later queues it; returns false when it was dropped.
bool report_later(std::shared_ptr<Obituary> obituary) noexcept;

/// report_now prints it on the calling stack, and hands it to the handler's queue.
void report_now(const Obituary& obituary);

/// reporter_crashed: `fiber`, a system fiber, is being abandoned.
void reporter_crashed(const Fiber& fiber) noexcept;

/// crash_process ends the process with status 2, once the handler has had its time.
[[noreturn]] void crash_process() noexcept;

/// flush_reports waits until all that is queued has been printed, or printing is stuck; and then, at most `limit`, until it has been handed over.
void flush_reports(std::chrono::milliseconds limit) noexcept;

/// reports_idle tells whether all that was queued has been.
bool reports_idle() noexcept;

/// report_text is what would be printed.
std::string report_text(const Obituary& obituary);

/// forget_reports drops what is left. The run is over, its workers are gone.
void forget_reports() noexcept;

} // namespace weir::detail
