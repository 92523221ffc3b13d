// What a fiber runs, from its first frame to its end.
#pragma once

#include <string>

#include "fiber.h"

namespace weir::detail {

/// fiber_main runs fibers on the calling stack: the current one, then whatever new fibers the worker's queue offers, until it has to switch.
[[noreturn]] void fiber_main() noexcept;

/// policy_of is what an uncaught panic of `f`, which this worker runs, ends.
PanicPolicy policy_of(const Fiber& f) noexcept;

/// end_abandoned counts the calling fiber as ended; it must leave its stack at once.
void end_abandoned(Fiber* f) noexcept;

/// spawn_system starts fn(arg) on a fiber that is counted and shown nowhere. Panics when there is no memory.
void spawn_system(void (*fn)(void*), void* arg, std::size_t stack_max);

/// free_fiber_parts frees what hangs on a control block: options, locals, panics, a closure of its own.
void free_fiber_parts(Fiber* f) noexcept;

/// leave_for_good switches away from worker->leaving.fiber, whose context is not saved.
[[noreturn]] void leave_for_good(Worker* w, Fiber* to) noexcept;

/// stack_exhausted ends the process: a stack that was reserved at spawn cannot be made usable.
[[noreturn]] void stack_exhausted(const std::string& why) noexcept;

} // namespace weir::detail
