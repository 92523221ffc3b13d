// blocking() and lock_os_thread(): fibers and the OS threads under them.
#include <weir/runtime.h>

#include <mutex>

#include <weir/detail/fence.h>
#include "poller.h"
#include "scheduler.h"
#include "worker.h"

namespace weir {

namespace detail {

namespace {

/// give_seat_away lets another worker run what this one cannot while its thread is taken.
void give_seat_away(Worker& w) noexcept {
    Scheduler& s = w.sched;
    s.detach(w);
    bool nobody_else;
    {
        std::lock_guard hold(s.idle_lock);
        nobody_else = s.awake == s.detached.load(std::memory_order_relaxed) && s.polling == nullptr;
    }
    heavy_fence(); // pairs with the light_fence in notify(): work submitted before the seat became vacant is seen here
    if (s.any_work() || (nobody_else && (s.poller->waiters() > 0 || s.next_timer() != kNever))) s.notify_from_outside();
}

} // namespace

void blocking_enter() noexcept {
    Worker* w = this_worker();
    if (w == nullptr || w->current == nullptr || locked_to(*w->current) != nullptr || w->sched.seeded != nullptr) return;
    give_seat_away(*w);
}

void blocking_leave() noexcept {
    Worker* w = this_worker();
    if (w == nullptr || w->current == nullptr || locked_to(*w->current) != nullptr) return;
    Scheduler& s = w->sched;
    std::lock_guard hold(s.idle_lock);
    if (w->mode.load(std::memory_order_relaxed) != WorkerMode::Detached) return;
    w->mode.store(WorkerMode::Seated, std::memory_order_relaxed);
    ++s.seats;
    s.detached.fetch_sub(1, std::memory_order_relaxed);
    s.publish_idle();
    // With a seat too many taken this worker retires at its next pick.
    if (s.seats <= s.procs.load(std::memory_order_relaxed)) w->attention.fetch_and(~Worker::kCheckSeat, std::memory_order_relaxed);
}

} // namespace detail

void lock_os_thread() {
    detail::Worker* w = detail::this_worker();
    detail::Fiber* f = w != nullptr ? w->current : nullptr;
    if (f == nullptr || detail::ties_of(*f).lock_depth++ > 0 || w->sched.seeded != nullptr) return; // a seeded run has one thread for all
    f->ties->locked_to = w;
    w->locked = f;
    w->attention.fetch_or(detail::Worker::kLocked, std::memory_order_relaxed);
    detail::give_seat_away(*w);
}

void unlock_os_thread() {
    detail::Worker* w = detail::this_worker();
    detail::Fiber* f = w != nullptr ? w->current : nullptr;
    if (f == nullptr || f->ties == nullptr || f->ties->lock_depth == 0 || --f->ties->lock_depth > 0 || f->ties->locked_to == nullptr) return;
    f->ties->locked_to = nullptr;
    w->locked = nullptr;
    w->attention.fetch_and(~detail::Worker::kLocked, std::memory_order_relaxed);
    w->attention.fetch_or(detail::Worker::kCheckSeat, std::memory_order_relaxed); // it takes a seat at the next pick
}

} // namespace weir
