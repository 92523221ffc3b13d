// Stack overflow: from the first byte below the floor to the panic.
//
// A fault below the floor cannot panic where it stands: the code may be libc's, holding a lock, or weir's, or a function's first instructions,
// where the C++ tables allow no exception. So all that is kept below the floor is opened (Overflow::Stepping) and the code goes on, one
// instruction at a time (the trap flag), until either
//   - it is back above the floor: the extra room was all it needed. Everything is guarded again and nothing has happened; or
//   - it is the program's own code, still below the floor, at an instruction where an exception may arise: there it panics (Overflow::Raised).
// A fiber that is switched away meanwhile is not followed on the thread's other stacks; Fiber::overflowing takes the trap flag up again when it
// is resumed. Once the panic has unwound to above the floor, rearm_overflow() guards what lies below it. A stack that overflows again before
// that has no room to panic in, and its fiber is abandoned.
#pragma once

#include <cstdint>
#include <ucontext.h>

#include "stack.h"
#include "worker.h"

namespace weir::detail {

/// begin_overflow: the interrupted code of `f` has gone below the floor. False when no room can be opened.
bool begin_overflow(Fiber& f, ucontext_t& context) noexcept;

enum class OverflowStep : std::uint8_t { NotOurs, Continue, Panic };

/// step_overflow answers a trap after one instruction. `f` is the fiber on whose stack the code runs, or null.
OverflowStep step_overflow(Fiber* f, ucontext_t& context) noexcept;

/// end_overflow_steps: the interrupted code of `f` is to panic.
void end_overflow_steps(Fiber& f, ucontext_t& context) noexcept;

/// rearm_raised guards the calling fiber's stack again after its overflow, if it has unwound far enough.
void rearm_raised(Stack& stack) noexcept;

/// rearm_overflow does so if there was an overflow, and is cheap when there was none.
inline void rearm_overflow() noexcept {
    Worker* w = this_worker();
    Fiber* f = w != nullptr ? w->current : nullptr;
    if (f != nullptr && f->stack->overflow == Overflow::Raised) [[unlikely]] rearm_raised(*f->stack);
}

} // namespace weir::detail
