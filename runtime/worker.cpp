#include "worker.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include <weir/detail/fence.h>
#include "futex.h"
#include "poller.h"
#include "scheduler.h"
#include "signal_stack.h"

namespace weir::detail {

namespace {

constexpr std::uint32_t kLookAround = 64;          // every so many picks: the global queue, timers, the poller;
constexpr std::int64_t kLongPick = 10'000;         // the latter two more often where a pick takes so many ns or more,
constexpr std::int64_t kLookInterval = 20'000;     // to be about so many apart
constexpr std::uint32_t kStackCache = 64;
constexpr std::size_t kStackBatch = 16;             // taken from the pool at a time
constexpr std::int64_t kStartWithin = 50'000'000;   // ns that a new fiber waits for those that came later; then it goes first,
constexpr std::int64_t kOverdueEvery = 1'000'000;     // one in so many ns
constexpr std::uint32_t kFewWait = 16;              // in a queue behind which a woken fiber comes soon
constexpr std::uint32_t kFetchFiber = 8;            // so many fibers ahead control blocks are fetched,
constexpr std::uint32_t kFetchStack = 4;            // and so many ahead the ends of their stacks,
constexpr std::size_t kFetchLines = 4;              // of which switching back and returning from park() touch so much
constexpr std::int64_t kFirstRecheck = 1'000'000'000; // ns until the first look whether the threads outside have ended meanwhile;
constexpr std::int64_t kLastRecheck = 8'000'000'000;  // each look without a change doubles the distance to the next, up to this

/// racy_context is where a fiber that a thief may take, and run, has its registers: for a guess only.
WEIR_ALWAYS_INLINE void* racy_context(const Fiber& f) noexcept {
#if WEIR_TSAN
    return nullptr;
#else
    return f.context;
#endif
}

std::int64_t next_recheck(std::int64_t last) noexcept { return last < 0 ? kFirstRecheck : std::min(2 * last, kLastRecheck); }

} // namespace

Worker::Worker(Scheduler& s, int worker_index)
    : random(static_cast<std::uint32_t>(worker_index) * 2654435761u + 88172645u), timers(timer_heap(worker_index)), sched(s), index(worker_index), producer(s.global),
      consumer(s.global) {}

// ---- the thread ----

void Worker::main() {
    while (sched.worker_count.load(std::memory_order_acquire) <= index) sched_yield(); // start_worker() has counted it: others see its timers and queue
    set_this_worker(this);
    tid.store(static_cast<int>(syscall(SYS_gettid)), std::memory_order_relaxed);
    eh = eh_globals_address();
    err = errno_address();
    san::init_thread(san);
    AlternateStack alternate;
    sched.wake_monitor();
    while (Fiber* f = find_work()) {
        leaving = {};
        switch_away(this, f);
    }
    flush_caches();
    set_this_worker(nullptr);
    exited.store(true, std::memory_order_release); // release: pairs with the acquire in Scheduler::stop()
}

Fiber* Worker::find_work() {
    running.store(false, std::memory_order_relaxed);
    bool slept = false;
    for (;;) {
        std::uint32_t bits = attention.load(std::memory_order_acquire); // acquire: pairs with the fetch_or that set them
        if (bits != 0) [[unlikely]] {
            if (bits & kSeeded) return sched.seeded->next(*this);
            if (bits & kStop) return nullptr;
            if (bits & kSliceExpired) {
                attention.fetch_and(~kSliceExpired, std::memory_order_relaxed);
                if (Fiber* f = next.take()) push(f);
            }
            if (bits & kCheckSeat) keep_seat();
            if (bits & kLocked) {
                if (Fiber* f = wait_for_locked()) return f;
                continue;
            }
            if (attention.load(std::memory_order_acquire) & kStop) return nullptr;
        }
        if (Fiber* f = look_everywhere()) {
            if (spinning) found_work();
            if (!std::exchange(inherits, false)) slices.store(slices.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
            running.store(true, std::memory_order_relaxed);
            if (slept) sched.wake_monitor(); // it may have gone to sleep between this worker's waking and its finding something to run
            return f;
        }
        if (nap()) continue;
        sleep();
        slept = true;
        last_look = mono_now();
        tick = 0;
    }
}

// ---- looking for work ----

/// fetch_ahead brings what the fibers after the next ones will need into the caches: in a long queue it has left them.
WEIR_ALWAYS_INLINE void Worker::fetch_ahead() noexcept {
    if (const Fiber* f = queue.peek(kFetchFiber)) {
        __builtin_prefetch(f);
        __builtin_prefetch(&f->id);
        __builtin_prefetch(f->inline_closure);
        f = queue.peek(kFetchStack);
        const auto* context = f != nullptr ? static_cast<const char*>(racy_context(*f)) : nullptr;
        if (context == nullptr) return;
        for (std::size_t line = 0; line < kFetchLines; ++line) __builtin_prefetch(context + 64 * line);
    }
}

WEIR_ALWAYS_INLINE Fiber* Worker::pick_queued() noexcept {
    fetch_ahead();
    return starts.empty() ? queue.pop() : pick_in_turn();
}

/// pick_in_turn takes turns: a tree of new fibers does not keep those waiting that have run, nor the other way round.
Fiber* Worker::pick_in_turn() noexcept {
    start_next = !start_next;
    if (!start_next) {
        if (Fiber* f = queue.pop()) return f;
    }
    if (Fiber* f = starts.pop()) return f;
    return queue.pop();
}

/// pick_overdue takes the new fiber that has waited longest, if that is too long: one now and then, since each may start a tree of its own.
Fiber* Worker::pick_overdue(std::int64_t now) noexcept {
    if (starts.empty() || now - last_overdue < kOverdueEvery) return nullptr;
    last_overdue = now;
    return starts.pop_overdue(now - kStartWithin);
}

Fiber* Worker::pick_local() noexcept {
    if (attention.load(std::memory_order_relaxed) != 0 || ++tick >= look_every) [[unlikely]] return nullptr;
    if (Fiber* f = next.take()) return f;
    Fiber* f = pick_queued();
    if (f != nullptr) slices.store(slices.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return f;
}

Fiber* Worker::look_nearby(bool global_first) {
    if (global_first) {
        if (Fiber* f = take_from_global()) return f;
    }
    if (Fiber* f = next.take()) {
        inherits = true;
        return f;
    }
    if (Fiber* f = pick_queued()) return f;
    return take_from_global();
}

/// plan_look sets after how many picks to look around next: where they are long, as many as took the interval lately. One short pick does not tell how
/// long the next ones are: at most twice as many as before.
void Worker::plan_look(std::int64_t now) noexcept {
    const std::int64_t took = now - std::exchange(last_look, now);
    const std::int64_t most = std::min(2 * look_every, kLookAround);
    look_every = static_cast<std::uint32_t>(took < tick * kLongPick ? most : std::clamp<std::int64_t>(tick * kLookInterval / took, 1, most));
    tick = 0;
}

/// look_around looks after what waits for no fiber to end: timers, sockets, and who has waited for too long. True when it was the global queue's turn too.
bool Worker::look_around(Fiber*& overdue) {
    const std::int64_t now = mono_now();
    picks_since_all += tick;
    const bool all = picks_since_all >= kLookAround;
    if (all) picks_since_all = 0;
    plan_look(now);
    // All heaps, not only this worker's: the owner of another may be stuck, or tied to one fiber. What is due wakes a batch, which is better worked off
    // before the next: both are in the caches then.
    if ((all || queue.size() < kFewWait) && sched.next_timer() <= now) sched.run_timers(now);
    if (sched.poller->waiters() > 0 && now - last_poll > kLookInterval) {
        last_poll = now;
        poll_now();
    }
    overdue = pick_overdue(now);
    if (overdue == nullptr && sched.detached.load(std::memory_order_relaxed) > 0) overdue = steal_from_detached();
    return all;
}

Fiber* Worker::look_everywhere() {
    bool global_first = false;
    if (tick >= look_every) { // only pick_local() counts
        Fiber* overdue = nullptr;
        global_first = look_around(overdue);
        if (overdue != nullptr) return overdue;
    } else if (std::int64_t first = timers.first.load(std::memory_order_relaxed); first != kNever) {
        if (std::int64_t now = mono_now(); first <= now) timers.run_due(now);
    }
    if (Fiber* f = look_nearby(global_first)) return f;
    if (sched.poller->waiters() > 0) {
        poll_now();
        if (Fiber* f = look_nearby(false)) return f;
    }
    return start_spinning() ? spin() : nullptr;
}

void Worker::poll_now() { sched.poller->poll(0); }

Fiber* Worker::take_from_global() {
    if (sched.global_count.load(std::memory_order_relaxed) <= 0) return nullptr;
    Fiber* batch[RunQueue::kSize / 2];
    std::size_t fair = static_cast<std::size_t>(sched.global_count.load(std::memory_order_relaxed)) /
                           static_cast<std::size_t>(sched.procs.load(std::memory_order_relaxed)) +
                       1;
    std::size_t room = (RunQueue::kSize - queue.size()) / 2;
    std::size_t n = sched.take_global(batch, std::min({fair, room + 1, std::size(batch)}), consumer);
    if (n == 0) return nullptr;
    for (std::size_t i = 1; i < n; ++i) push(batch[i]);
    return batch[0];
}

// ---- idling ----

void Worker::sleep() {
    bool last_awake;
    bool polls;
    {
        std::lock_guard hold(sched.idle_lock);
        woken = false;
        wake.store(0, std::memory_order_relaxed);
        idle_next = sched.sleepers;
        sched.sleepers = this;
        ++sched.sleeper_count;
        --sched.awake;
        last_awake = sched.awake == 0;
        polls = sched.polling == nullptr;
        if (polls) {
            sched.polling = this;
            sched.poll_until.store(kNever, std::memory_order_relaxed); // any timer armed from here on interrupts the poll
        }
        sched.publish_idle();
    }
    if (spinning) {
        spinning = false;
        sched.spinning.fetch_sub(1, std::memory_order_seq_cst);
    }
    heavy_fence(); // pairs with the light_fence in notify() and in scheduler_timer_armed()
    if (!sched.any_work() && (attention.load(std::memory_order_acquire) & (kStop | kCheckSeat)) == 0) {
        if (polls) {
            block_in_poller(last_awake);
        } else {
            block_on_futex(last_awake);
        }
    }
    leave_sleepers();
    sched.wake_monitor();
    if (!polls) return;
    // Only now that this worker counts as awake: a timer whose callback runs is in no heap, and must not look like a deadlock to others.
    std::int64_t now = mono_now();
    sched.coarse_now.store(now, std::memory_order_relaxed);
    if (sched.next_timer() <= now) sched.run_timers(now);
}

void Worker::block_in_poller(bool last_awake) {
    std::int64_t until = sched.next_timer();
    sched.poll_until.store(until, std::memory_order_relaxed);
    if (until != kNever) {
        sched.poller->poll(std::max<std::int64_t>(until - mono_now(), 0));
        return;
    }
    // Only threads that weir does not know can still help: look again. This worker stays asleep for that, so that nobody else is woken.
    std::int64_t timeout = -1;
    do {
        timeout = last_awake && sched.all_asleep() ? next_recheck(timeout) : -1;
    } while (!sched.poller->poll(timeout));
}

void Worker::block_on_futex(bool last_awake) {
    std::int64_t timeout = -1;
    while (wake.load(std::memory_order_acquire) == 0) { // acquire: pairs with the release in wake_sleeper()
        timeout = last_awake && sched.next_timer() == kNever && sched.all_asleep() ? next_recheck(timeout) : -1;
        futex_wait(wake, 0, timeout);
    }
}

/// leave_sleepers: by itself, or because a waker took this worker off the list; the waker has then counted it as spinning.
void Worker::leave_sleepers() noexcept {
    std::lock_guard hold(sched.idle_lock);
    if (sched.polling == this) {
        sched.polling = nullptr;
        sched.poll_until.store(kNotPolling, std::memory_order_relaxed);
    }
    if (woken) {
        woken = false;
        spinning = true;
        return;
    }
    for (Worker** p = &sched.sleepers;; p = &(*p)->idle_next) {
        WEIR_CHECK(*p != nullptr);
        if (*p != this) continue;
        *p = idle_next;
        break;
    }
    --sched.sleeper_count;
    ++sched.awake;
    sched.publish_idle();
}

/// keep_seat takes a seat again after having been detached, and retires when too many are taken.
void Worker::keep_seat() {
    std::unique_lock hold(sched.idle_lock);
    attention.fetch_and(~kCheckSeat, std::memory_order_relaxed);
    if (attention.load(std::memory_order_relaxed) & kLocked) return;
    if (mode.load(std::memory_order_relaxed) == WorkerMode::Detached) {
        mode.store(WorkerMode::Seated, std::memory_order_relaxed);
        ++sched.seats;
        sched.detached.fetch_sub(1, std::memory_order_relaxed);
        sched.publish_idle();
    }
    if (sched.seats > sched.procs.load(std::memory_order_relaxed)) retire(hold);
}

/// retire hands this worker's queue over and waits, without a seat, until one is vacant. It counts as awake while it does: what it holds is in no queue.
void Worker::retire(std::unique_lock<RuntimeLock>& hold) {
    --sched.seats;
    wake.store(0, std::memory_order_relaxed);
    idle_next = sched.retired;
    sched.retired = this;
    sched.publish_idle();
    hold.unlock();
    if (spinning) {
        spinning = false;
        sched.spinning.fetch_sub(1, std::memory_order_seq_cst);
    }
    if (Fiber* f = next.take()) sched.submit_global(f);
    while (Fiber* f = pick_queued()) sched.submit_global(f);
    hold.lock();
    bool last_awake = --sched.awake == 0; // unless it has just been given a seat again, and been counted anew
    hold.unlock();
    if (last_awake) sched.poller->interrupt(); // who sleeps as the last one looks for a deadlock
    sched.hand_over_duties();
    while (wake.load(std::memory_order_acquire) == 0) futex_wait(wake, 0); // acquire: pairs with the release in wake_one()
    spinning = (attention.load(std::memory_order_acquire) & kStop) == 0;
}

Fiber* Worker::wait_for_locked() {
    for (;;) {
        // acq_rel: pairs with the release in make_runnable(); the fiber's memory is ours.
        if (Fiber* f = locked_ready.exchange(nullptr, std::memory_order_acq_rel)) {
            running.store(true, std::memory_order_relaxed);
            return f;
        }
        if (attention.load(std::memory_order_acquire) & kStop) return nullptr;
        bool last_awake;
        {
            std::lock_guard hold(sched.idle_lock);
            last_awake = --sched.awake == 0;
        }
        sched.hand_over_duties();
        std::int64_t timeout = -1;
        while (locked_ready.load(std::memory_order_acquire) == nullptr && (attention.load(std::memory_order_acquire) & kStop) == 0) {
            std::uint32_t seen = wake.load(std::memory_order_acquire);
            if (locked_ready.load(std::memory_order_acquire) != nullptr || (attention.load(std::memory_order_acquire) & kStop)) break;
            timeout = last_awake && sched.next_timer() == kNever && sched.all_asleep() ? next_recheck(timeout) : -1;
            futex_wait(wake, seen, timeout);
        }
        std::lock_guard hold(sched.idle_lock);
        ++sched.awake;
    }
}

// ---- queues and caches ----

void Worker::push(Fiber* f) noexcept {
    if (queue.push(f)) [[likely]] return;
    Fiber* batch[RunQueue::kSize / 2 + 1];
    std::uint32_t n = queue.take(batch, RunQueue::kSize / 2);
    batch[n++] = f;
    sched.submit_global_bulk(batch, n, producer);
}

void Worker::push_start(Fiber* f) noexcept {
    if (starts.push(f)) [[likely]] return;
    Fiber* batch[StartStack::kSize / 2 + 1];
    std::uint32_t n = starts.take(batch, StartStack::kSize / 2);
    batch[n++] = f;
    sched.submit_global_bulk(batch, n, producer);
}

void Worker::push_next(Fiber* f) noexcept {
    if (Fiber* old = next.put(f)) push_displaced(old);
}

/// push_displaced queues what has lost its place in `next`.
WEIR_NOINLINE void Worker::push_displaced(Fiber* old) noexcept {
    if (old->context != nullptr) return push(old);
    old->parked_since.store(sched.coarse_now.load(std::memory_order_relaxed), std::memory_order_relaxed);
    push_start(old);
}

Stack* Worker::take_stack(std::size_t size_class, StackError& error) {
    if (size_class != default_stack_class()) return stack_open(size_class, 1, error);
    if (free_stacks == nullptr) {
        bool scarce = stack_guard_mode() == GuardMode::Mprotect; // each takes two of the process's mappings
        free_stacks = stack_open(size_class, scarce ? 1 : kStackBatch, error);
        for (Stack* s = free_stacks; s != nullptr; s = s->next) ++free_stack_count;
        if (free_stacks == nullptr) return nullptr;
    }
    Stack* s = free_stacks;
    free_stacks = s->next;
    --free_stack_count;
    return s;
}

void Worker::give_stack(Stack* s) noexcept {
    if (s->size() != default_stack_class()) {
        s->next = nullptr;
        stack_recycle(s, s->size());
        return;
    }
    if (s->top - s->window.load(std::memory_order_relaxed) > static_cast<std::ptrdiff_t>(kKeptWindow)) stack_shrink(*s, kInitialWindow);
    s->next = free_stacks;
    free_stacks = s;
    if (++free_stack_count < kStackCache) return;
    Stack* keep = free_stacks;
    for (std::uint32_t i = 1; i < kStackCache / 2; ++i) keep = keep->next;
    Stack* rest = keep->next;
    keep->next = nullptr;
    free_stack_count = kStackCache / 2;
    stack_recycle(rest, default_stack_class());
}

Fiber* Worker::take_fiber_slow(StackError& error) {
    if (spare_fibers != nullptr) {
        free_fibers = std::exchange(spare_fibers, nullptr);
        free_fiber_count = kFiberMagazine;
    } else {
        free_fibers = fiber_pool_take(free_fiber_count, error);
        if (free_fibers == nullptr) return nullptr;
    }
    return take_cached_fiber();
}

void Worker::give_fiber(Fiber* f) noexcept {
    if (free_fiber_count == kFiberMagazine) {
        if (spare_fibers != nullptr) fiber_pool_give_magazine(spare_fibers);
        spare_fibers = std::exchange(free_fibers, nullptr);
        free_fiber_count = 0;
    }
    f->next = free_fibers;
    free_fibers = f;
    ++free_fiber_count;
}

std::uint64_t Worker::new_id() noexcept {
    constexpr std::uint64_t kBlock = 64;
    if (next_id == last_id) {
        next_id = take_fiber_ids(kBlock);
        last_id = next_id + kBlock;
    }
    return next_id++;
}

void Worker::flush_caches() noexcept {
    fiber_pool_give(std::exchange(free_fibers, nullptr));
    fiber_pool_give(std::exchange(spare_fibers, nullptr));
    free_fiber_count = 0;
    stack_recycle(free_stacks, default_stack_class());
    free_stacks = nullptr;
}

} // namespace weir::detail
