#include "scheduler.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <mutex>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"
#include "deadlock.h"
#include "evict.h"
#include <weir/detail/fence.h>
#include "futex.h"
#include "poller.h"
#include "sanitizer.h"
#include "worker.h"

namespace weir::detail {

namespace {

std::atomic<Scheduler*> g_scheduler{nullptr};

constexpr std::int64_t kEvictAfter = 20'000'000;  // ns that a stuck fiber has to come back at the end of a run
constexpr std::int64_t kEvictEvery = 2'000'000;

void* worker_thread(void* arg) {
    static_cast<Worker*>(arg)->main();
    return nullptr;
}

} // namespace

Scheduler* scheduler() noexcept { return g_scheduler.load(std::memory_order_acquire); }
void set_scheduler(Scheduler* s) noexcept { g_scheduler.store(s, std::memory_order_release); }

Scheduler::Scheduler(const ResolvedOptions& resolved, Trial* trial)
    : options(resolved), procs(resolved.procs), workers(new std::atomic<Worker*>[static_cast<std::size_t>(resolved.max_threads)] {}),
      coarse_now(mono_now()), poller(std::make_unique<Poller>()), foreign_timers(timer_heap(resolved.max_threads)) {
    publish_idle(); // all seats are vacant
    if (options.seed) seeded = std::make_unique<Seeded>(*this, *options.seed, trial);
}

Scheduler::~Scheduler() {
    for (int i = 0; i < worker_count.load(std::memory_order_relaxed); ++i) delete workers[i].load(std::memory_order_relaxed);
}

// ---- work for anyone ----

void Scheduler::submit_global(Fiber* f) noexcept {
    global_count.fetch_add(1, std::memory_order_relaxed);
    san::published(f);
    san::Unseen hidden;
    WEIR_CHECK(global.enqueue(f));
}

void Scheduler::submit_global_bulk(Fiber** fibers, std::size_t n, moodycamel::ProducerToken& token) noexcept {
    global_count.fetch_add(static_cast<std::int64_t>(n), std::memory_order_relaxed);
    for (std::size_t i = 0; i < n; ++i) san::published(fibers[i]);
    san::Unseen hidden;
    WEIR_CHECK(global.enqueue_bulk(token, fibers, n));
}

std::size_t Scheduler::take_global(Fiber** out, std::size_t most, moodycamel::ConsumerToken& token) noexcept {
    std::size_t n;
    {
        san::Unseen hidden;
        n = global.try_dequeue_bulk(token, out, most);
    }
    for (std::size_t i = 0; i < n; ++i) san::received(out[i]);
    if (n != 0) global_count.fetch_sub(static_cast<std::int64_t>(n), std::memory_order_relaxed);
    return n;
}

bool Scheduler::any_work() const noexcept {
    if (global_count.load(std::memory_order_relaxed) > 0) return true;
    int n = worker_count.load(std::memory_order_acquire);
    for (int i = 0; i < n; ++i) {
        const Worker& w = *workers[i].load(std::memory_order_relaxed);
        if (!w.queue.empty() || !w.starts.empty() || w.next.peek() != nullptr) return true;
    }
    return false;
}

// ---- timers ----

std::int64_t Scheduler::next_timer() noexcept {
    std::int64_t first = foreign_timers.next();
    for_each_worker([&](Worker& w) { first = std::min(first, w.timers.next()); });
    return first;
}

bool Scheduler::run_timers(std::int64_t now) {
    bool any = foreign_timers.first.load(std::memory_order_relaxed) <= now && foreign_timers.run_due(now);
    for_each_worker([&](Worker& w) {
        if (w.timers.first.load(std::memory_order_relaxed) <= now) any |= w.timers.run_due(now);
    });
    return any;
}

void Scheduler::forget_timers() noexcept {
    foreign_timers.forget_all();
    for_each_worker([](Worker& w) { w.timers.forget_all(); });
}

TimerHeap& scheduler_timer_heap() noexcept {
    if (Worker* w = this_worker()) return w->timers;
    Scheduler* s = scheduler();
    if (s == nullptr) panic_runtime("weir: no runtime is running: call this inside weir::run");
    return s->foreign_timers;
}

void scheduler_timer_armed(std::int64_t when) noexcept {
    Scheduler* s = scheduler();
    light_fence(); // pairs with the heavy_fence in Worker::sleep()
    if (when < s->poll_until.load(std::memory_order_relaxed)) s->poller->interrupt();
}

// ---- waking ----

void Scheduler::notify() noexcept {
    light_fence(); // pairs with the heavy_fence in Worker::sleep() and in blocking_enter()
    if (sleeping.load(std::memory_order_relaxed) == 0 || spinning.load(std::memory_order_relaxed) != 0) return;
    wake_one();
}

void Scheduler::notify_from_outside() noexcept {
    notify();
    if (napping.load(std::memory_order_relaxed) != 0) rouse(); // one that is missed looks again by itself
}

void Scheduler::rouse() noexcept {
    std::lock_guard hold(idle_lock);
    for_each_worker([this](Worker& w) {
        if (!w.napping.load(std::memory_order_relaxed)) return;
        if (polling == &w) {
            poller->interrupt();
        } else {
            w.wake.store(1, std::memory_order_relaxed);
            futex_wake(w.wake, 1);
        }
    });
}

void Scheduler::hand_over_duties() noexcept {
    heavy_fence(); // pairs with the light_fence in notify(): work submitted while the caller seemed to be looking is seen here
    bool nobody_polls;
    {
        std::lock_guard hold(idle_lock);
        nobody_polls = polling == nullptr;
    }
    if (nobody_polls || any_work()) notify_from_outside();
}

void Scheduler::publish_idle() noexcept {
    sleeping.store(sleeper_count + std::max(0, procs.load(std::memory_order_relaxed) - seats), std::memory_order_relaxed);
}

void Scheduler::wake_one() noexcept {
    if (seeded != nullptr) return seeded->published();
    int none = 0;
    if (!spinning.compare_exchange_strong(none, 1, std::memory_order_seq_cst)) return;
    std::unique_lock hold(idle_lock);
    if (Worker* w = sleepers; w != nullptr) {
        if (w == polling && w->idle_next != nullptr) { // let the poller be: wake another
            w = w->idle_next;
            sleepers->idle_next = w->idle_next;
        } else {
            sleepers = w->idle_next;
        }
        wake_sleeper(*w);
        return;
    }
    if (seats < procs.load(std::memory_order_relaxed) && !stopping.load(std::memory_order_relaxed)) {
        ++seats;
        if (Worker* w = retired; w != nullptr) {
            retired = w->idle_next;
            ++awake;
            publish_idle();
            w->wake.store(1, std::memory_order_release); // release: pairs with the acquire in retire()
            futex_wake(w->wake, 1);
            return;
        }
        publish_idle();
        hold.unlock();
        if (start_worker(true) != nullptr) return;
        hold.lock();
        --seats;
        publish_idle();
    }
    spinning.fetch_sub(1, std::memory_order_seq_cst);
}

/// wake_sleeper wakes a worker just taken off the sleepers, which then counts as spinning. idle_lock held.
void Scheduler::wake_sleeper(Worker& w) noexcept {
    w.woken = true;
    --sleeper_count;
    ++awake;
    bool polls = polling == &w;
    // It stays `polling` until it has left the poller: with never more than one blocked there, the interrupt reaches the right one.
    if (polls) poll_until.store(kNotPolling, std::memory_order_relaxed);
    publish_idle();
    w.wake.store(1, std::memory_order_release); // release: pairs with the acquire in block_on_futex()
    if (polls) {
        poller->interrupt();
    } else {
        futex_wake(w.wake, 1);
    }
}

Worker* Scheduler::start_worker(bool spinning_now) {
    std::lock_guard hold(start_lock);
    if (stopping.load(std::memory_order_relaxed)) return nullptr;
    int index = worker_count.load(std::memory_order_relaxed);
    if (index == options.max_threads) {
        static std::atomic<bool> said{false};
        if (!said.exchange(true)) {
            std::fprintf(stderr, "weir: %d OS threads exist and no more are allowed: fibers wait behind those stuck in blocking calls; raise max_threads "
                                 "(WEIR_MAXTHREADS)\n", index);
        }
        return nullptr;
    }
    auto* w = new Worker(*this, index);
    w->spinning = spinning_now;
    {
        std::lock_guard idle(idle_lock);
        ++awake;
    }
    if (int error = pthread_create(&w->thread, nullptr, worker_thread, w); error != 0) {
        std::fprintf(stderr, "weir: cannot start an OS thread: %s; check ulimit -u and the cgroup's pids.max\n", strerror(error));
        std::lock_guard idle(idle_lock);
        --awake;
        delete w;
        return nullptr;
    }
    workers[index].store(w, std::memory_order_relaxed);
    worker_count.store(index + 1, std::memory_order_release); // release: pairs with the acquire in for_each_worker()
    return w;
}

void Scheduler::detach(Worker& w) noexcept {
    std::lock_guard hold(idle_lock);
    if (w.mode.load(std::memory_order_relaxed) == WorkerMode::Detached) return;
    w.mode.store(WorkerMode::Detached, std::memory_order_relaxed);
    w.attention.fetch_or(Worker::kCheckSeat, std::memory_order_release);
    --seats;
    detached.fetch_add(1, std::memory_order_relaxed);
    publish_idle();
}

void Scheduler::wake_monitor() noexcept {
    light_fence(); // pairs with the heavy_fence in Monitor::main()
    if (!monitor_asleep.load(std::memory_order_relaxed)) [[likely]] return;
    monitor_wake.store(1, std::memory_order_release); // release: pairs with the acquire in Monitor::main()
    futex_wake(monitor_wake, 1);
}

void Scheduler::set_procs(int n) noexcept {
    {
        std::lock_guard hold(idle_lock);
        procs.store(n, std::memory_order_relaxed);
        publish_idle();
    }
    for_each_worker([](Worker& w) { w.attention.fetch_or(Worker::kCheckSeat, std::memory_order_release); });
    hand_over_duties();
}

std::size_t Scheduler::live_fibers() const noexcept {
    // All ends are read before any spawn: a fiber that spawns and ends meanwhile is counted rather than missed.
    std::int64_t ended = 0;
    for_each_worker([&](const Worker& w) { ended += w.ended.load(std::memory_order_seq_cst); });
    std::int64_t spawned = foreign_spawned.load(std::memory_order_acquire);
    for_each_worker([&](const Worker& w) { spawned += w.spawned.load(std::memory_order_acquire); });
    return spawned > ended ? static_cast<std::size_t>(spawned - ended) : 0;
}

// ---- the end of a run ----

void Scheduler::stop() noexcept {
    {
        std::lock_guard no_more_workers(start_lock);
        stopping.store(true, std::memory_order_seq_cst);
    }
    auto wake_all = [&] {
        for_each_worker([](Worker& w) {
            w.attention.fetch_or(Worker::kStop, std::memory_order_release); // release: pairs with the acquire in find_work()
            w.wake.store(1, std::memory_order_release);
            futex_wake(w.wake);
        });
        poller->interrupt();
    };
    wake_all();
    std::int64_t evict_at = mono_now() + kEvictAfter;
    for (;;) {
        int left = 0;
        for_each_worker([&](Worker& w) {
            if (w.exited.load(std::memory_order_acquire)) return;
            ++left;
            if (mono_now() >= evict_at && w.running.load(std::memory_order_relaxed)) evict_fiber(w.tid.load(std::memory_order_relaxed));
        });
        if (left == 0) break;
        timespec nap{0, mono_now() >= evict_at ? kEvictEvery : 50'000};
        nanosleep(&nap, nullptr);
        wake_all();
    }
    for_each_worker([](Worker& w) { pthread_join(w.thread, nullptr); });
}

bool Scheduler::nobody_awake() noexcept {
    std::lock_guard hold(idle_lock);
    return awake == 0 && !stopping.load(std::memory_order_relaxed);
}

bool Scheduler::quiet() noexcept {
    if (!nobody_awake()) return false;
    if (any_work() || next_timer() != kNever || poller->waiters() > 0 || wake_sources.load(std::memory_order_relaxed) > 0) return false;
    bool locked_ready = false; // a fiber that is ready but tied to a thread which has not woken yet
    for_each_worker([&](const Worker& w) { locked_ready |= w.locked_ready.load(std::memory_order_relaxed) != nullptr; });
    if (locked_ready || main_done.load(std::memory_order_acquire) != 0) return false;
    return nobody_awake(); // again: a worker that woke since may have what was in no queue any more
}

bool Scheduler::all_asleep() noexcept {
    if (!quiet()) return false;
    if (threads_outside() > 0) return true;
    // Once more: the last thread outside may have readied a fiber after the first look and ended before it was counted.
    if (quiet()) report_deadlock(*this);
    return false;
}

} // namespace weir::detail
