// Deadlock: all fibers asleep with nothing left to wake them is fatal, as in Go.
#pragma once

#include <string>

namespace weir::detail {

struct Scheduler;

/// report_deadlock prints Go's fatal error with every fiber's wait reason and stack, and ends the process with status 2.
[[noreturn]] void report_deadlock(Scheduler& s) noexcept;

/// deadlock_text is what it prints.
std::string deadlock_text(Scheduler& s);

/// process_threads counts the OS threads of this process, without the sanitizers' own; -1 when that cannot be told.
int process_threads() noexcept;

/// threads_outside counts the OS threads of this process that are neither the runtime's nor the one blocked in run: any of them might
/// still hold a channel.
int threads_outside() noexcept;

} // namespace weir::detail
