// The context switch: fcontext, and what belongs to a fiber but lives in the thread.
//
// Whoever leaves describes in worker->leaving what is to be done once its registers are saved; whoever arrives, on the same OS thread, does it
// first thing. That is how a lock is released, or a fiber put on a queue, only when the fiber can be resumed.
#include <cstring>
#include <new>

#include "check.h"
#include "fault_frame.h"
#include "fiber_main.h"
#include "jump.h"
#include "scheduler.h"
#include "worker.h"

namespace weir::detail {

namespace ctx = boost::context::detail;

namespace {

WEIR_ALWAYS_INLINE void save_thread_state(Worker* w, Fiber* from) noexcept {
    from->eh_caught = w->eh->caught;
    from->eh_uncaught = w->eh->uncaught;
    from->saved_errno = *w->err;
}

WEIR_ALWAYS_INLINE void load_thread_state(Worker* w, Fiber* to) noexcept {
    w->eh->caught = to->eh_caught;
    w->eh->uncaught = to->eh_uncaught;
    *w->err = to->saved_errno;
}

/// arrived completes a switch on the stack that was switched to.
WEIR_ALWAYS_INLINE void arrived(ctx::fcontext_t from) noexcept {
    Worker* w = this_worker();
    san::after_switch(w->current != nullptr ? w->current->stack->san : w->san);
    Leaving left = w->leaving;
    if (w->current != nullptr && w->current->overflowing) [[unlikely]] weir_trap_each_instruction();
    if (left.fiber == nullptr) {
        w->scheduler_context = from;
        return;
    }
    left.fiber->context = from;
    // release: a dump that sees Parked sees the context.
    left.fiber->state.store(FiberState::Parked, std::memory_order_release);
    if (!left.commit(left.arg)) make_runnable(left.fiber, false);
}

void fiber_start(ctx::transfer_t t) noexcept {
    arrived(t.fctx);
    fiber_main();
}

WEIR_ALWAYS_INLINE void* enter(Worker* w, Fiber* to) noexcept {
    w->current = to;
    if (to == nullptr) return w->scheduler_context;
    w->switches.store(w->switches.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    if (to->stack == nullptr) [[unlikely]] {
        StackError error;
        Stack* s = w->take_stack(to->stack_class(), error);
        if (s == nullptr) stack_exhausted(error.text);
        bind_stack(to, s);
    }
    to->runs.store(to->runs.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    to->state.store(FiberState::Running, std::memory_order_relaxed);
    load_thread_state(w, to);
    return to->context;
}

} // namespace

void bind_stack(Fiber* f, Stack* s) noexcept {
    // Stack tops are aligned to the slot size: without an offset that differs from slot to slot, all fibers' hottest lines would share a few
    // cache sets.
    std::size_t color = (reinterpret_cast<std::uintptr_t>(s->low) / s->size()) % 16 * 64;
    char* top = s->top - color;
    f->stack = s;
    f->context = ctx::make_fcontext(top, static_cast<std::size_t>(top - s->low), fiber_start);
    s->fiber.store(f->id.load(std::memory_order_relaxed), std::memory_order_relaxed);
    char* window = s->window.load(std::memory_order_relaxed);
    san::begin_fiber(s->san);
    san::clear_stack(window, static_cast<std::size_t>(s->top - window));
}

void switch_away(Worker* w, Fiber* to) noexcept {
    Fiber* from = w->leaving.fiber;
    if (from != nullptr) save_thread_state(w, from);
    if (to == from && from != nullptr) [[unlikely]] WEIR_CHECK(!"a fiber cannot switch to itself");
    void* target = enter(w, to);
    san::before_switch(from != nullptr ? from->stack->san : w->san, to != nullptr ? to->stack->san : w->san, false);
    arrived(jump(target));
}

void leave_for_good(Worker* w, Fiber* to) noexcept {
    Fiber* from = w->leaving.fiber;
    void* target = enter(w, to);
    if (to == nullptr) {
        w->eh->caught = nullptr;
        w->eh->uncaught = 0;
    }
    san::before_switch(from->stack->san, to != nullptr ? to->stack->san : w->san, true);
    jump(target);
    __builtin_unreachable();
}

} // namespace weir::detail
