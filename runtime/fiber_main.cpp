#include "fiber_main.h"

#include <cstdio>
#include <cstdlib>
#include <new>

#include <weir/detail/alloc.h>
#include "abandon.h"
#include "bubble.h"
#include "futex.h"
#include "panic_context.h"
#include "report.h"
#include "scheduler.h"
#include "worker.h"

namespace weir::detail {

namespace {

/// run_entry runs the fiber's function; every entry function is a frame. Returns whether it ended by itself (or was recovered).
enum class Ending : std::uint8_t { Returned, Goexit, Panicked };

WEIR_NOINLINE Ending run_entry(Fiber* f) {
    try {
        f->entry(f->closure);
        return Ending::Returned;
    } catch (...) {
        if (std::shared_ptr<PanicRecord> panic = finish_entry()) {
            Worker* w = this_worker();
            if (Bubble* b = bubble_of(*w->current); b != nullptr && b->take(panic)) return Ending::Panicked; // test() goes on with it
            w->reporting.fetch_add(1, std::memory_order_relaxed);
            report_uncaught(panic, *w->current, policy_of(*w->current));
            w->reporting.fetch_sub(1, std::memory_order_relaxed); // of the same worker: printing the user's value may have parked
            return Ending::Panicked;
        }
        return panic_context().goexiting ? Ending::Goexit : Ending::Returned;
    }
}

void end_main(Scheduler& s, Ending ending) noexcept {
    if (ending == Ending::Goexit) {
        s.main_goexit.store(true, std::memory_order_release);
        return;
    }
    if (ending == Ending::Panicked) s.exit_status = 2;
    s.main_done.store(1, std::memory_order_release); // release: pairs with the acquire in run_main(); publishes exit_status
    futex_wake(s.main_done, 1);
}

/// wake_drain readies the main fiber when it waits for the others and this was the last of them.
void wake_drain(Scheduler& s) noexcept {
    if (s.drain_waiter.load(std::memory_order_seq_cst) == nullptr || s.live_fibers() > 1) return; // seq_cst: see wait_for_others()
    if (Waiter* w = s.drain_waiter.exchange(nullptr, std::memory_order_seq_cst)) ready(*w);
}

/// count_end makes it known that a fiber has ended.
void count_end(Worker* w, Fiber* f, Ending ending) noexcept {
    if (f->is_system) return;
    if (f->is_main) [[unlikely]] end_main(w->sched, ending);
    if (w->sched.options.drain) [[unlikely]] {
        // seq_cst: of the two last fibers that end at once, one sees the other's end.
        w->ended.fetch_add(1, std::memory_order_seq_cst);
        wake_drain(w->sched);
    } else {
        w->ended.store(w->ended.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }
}

void unlock_thread_of(Fiber& f) noexcept {
    if (locked_to(f) == nullptr) return;
    f.ties->lock_depth = 1;
    unlock_os_thread();
}

WEIR_COLD void end_tied_fiber(Fiber* f, Ending ending) noexcept {
    unlock_thread_of(*f);
    free_fiber_parts(f);
    count_end(this_worker(), f, ending);
    cut_ties(*f);
}

/// end_fiber takes the ended fiber apart, all but its stack and control block. The destructors of its locals may park.
void end_fiber(Fiber* f, Ending ending) noexcept {
    if (f->ties != nullptr) [[unlikely]] return end_tied_fiber(f, ending);
    free_fiber_parts(f);
    count_end(this_worker(), f, ending);
}

bool commit_recycle(void* fiber) {
    Worker* w = this_worker();
    auto* f = static_cast<Fiber*>(fiber);
    Stack* s = std::exchange(f->stack, nullptr);
    f->context = nullptr;
    f->state.store(FiberState::Free, std::memory_order_relaxed);
    w->give_fiber(f);
    w->give_stack(s);
    return true;
}

/// take_over lets a new fiber run on the stack of one that has just ended: no switch, and the stack is warm.
bool take_over(Worker* w, Fiber* ended, Fiber* next) noexcept {
    if (next == nullptr || next->stack != nullptr || next->stack_class() != ended->stack->size()) return false;
    next->stack = std::exchange(ended->stack, nullptr);
    next->stack->fiber.store(next->id.load(std::memory_order_relaxed), std::memory_order_relaxed);
    ended->context = nullptr;
    ended->state.store(FiberState::Free, std::memory_order_relaxed);
    w->give_fiber(ended);
    w->current = next;
    w->switches.store(w->switches.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    next->runs.store(next->runs.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    next->state.store(FiberState::Running, std::memory_order_relaxed);
    *w->err = 0;
    return true;
}

} // namespace

PanicPolicy policy_of(const Fiber& f) noexcept {
    return f.extra != nullptr && f.extra->panic_policy ? *f.extra->panic_policy : this_worker()->sched.options.panic_policy;
}

void end_abandoned(Fiber* f) noexcept {
    unlock_thread_of(*f);
    count_end(this_worker(), f, Ending::Panicked);
    cut_ties(*f);
}

void free_fiber_parts(Fiber* f) noexcept {
    if (f->panics != nullptr) {
        delete f->panics;
        f->panics = nullptr;
    }
    if (f->locals != nullptr) destroy_locals(*f);
    if (f->extra != nullptr) set_extra(*f, nullptr);
    if (f->closure != f->inline_closure) deallocate(f->closure);
    f->closure = f->inline_closure;
}

void fiber_main() noexcept {
    for (;;) {
        Fiber* f = this_worker()->current;
        Ending ending = run_entry(f);
        end_fiber(f, ending);
        Worker* w = this_worker();
        Fiber* next = w->pick_local();
        if (take_over(w, f, next)) continue;
        w->leaving = {f, commit_recycle, f};
        leave_for_good(w, next);
    }
}

void stack_exhausted(const std::string& why) noexcept {
    std::fprintf(stderr, "fatal error: %s\n", why.c_str());
    std::_Exit(2);
}

void abandon_current() noexcept {
    Worker* w = this_worker();
    w->leaving = {w->current, [](void*) { return true; }, nullptr};
    leave_for_good(w, nullptr);
}

namespace {

/// keep_for_leak_check leaves a fiber as it is, never to be used again: what it holds is as little leaked as what a thread holds that the end of the
/// process meets. False when that is not wanted.
bool keep_for_leak_check(Fiber& f) noexcept {
    if (!san::keep_reachable(&f, sizeof f)) return false;
    const auto* used = static_cast<const char*>(f.context);
    if (f.stack != nullptr && used != nullptr) san::keep_reachable(used, static_cast<std::size_t>(f.stack->top - used));
    f.state.store(FiberState::Free, std::memory_order_relaxed);
    return true;
}

} // namespace

void abandon_fibers() noexcept {
    for_each_fiber(
        [](Fiber& f, void*) {
            FiberState state = f.state.load(std::memory_order_relaxed);
            if (state == FiberState::Free || state == FiberState::Abandoned || keep_for_leak_check(f)) return;
            if (f.stack != nullptr) {
                f.stack->next = nullptr;
                std::size_t size_class = f.stack->size();
                stack_recycle(std::exchange(f.stack, nullptr), size_class);
            }
            free_fiber_parts(&f);
            delete std::exchange(f.ties, nullptr);
            f.context = nullptr;
            f.state.store(FiberState::Free, std::memory_order_relaxed);
            f.next = nullptr;
            fiber_pool_give(&f);
        },
        nullptr);
}

} // namespace weir::detail
