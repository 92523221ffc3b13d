// Signals that stand for a crash: which are a growing stack, which become panics, which end their fiber, and which are not weir's.
#pragma once

namespace weir::detail {

/// install_fault_handler puts weir's handlers (and its terminate handler) in front of what was there. Idempotent; restore_fault_handler takes
/// them away.
void install_fault_handler();
void restore_fault_handler();

/// abort_process is abort() that no fiber contains: for a runtime that cannot go on.
[[noreturn]] void abort_process() noexcept;

} // namespace weir::detail
