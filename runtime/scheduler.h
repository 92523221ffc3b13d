// Scheduler: the workers of one run, who sleeps, who spins, and the rules for waking.
//
// Wake protocol. Submit: publish the fiber, light_fence, then wake a worker if one sleeps (or a seat is vacant) and none spins.
// Sleep: announce (join `sleepers`, leave `spinning`), heavy_fence, look for work once more, and only then block. Either the submitter sees
// the sleeper or the sleeper sees the work. A spinner that finds work and was the last one wakes another if more work is visible: so
// while there is work and an idle worker, some worker is looking.
//
// Nap. A spinner that sees the others switch several times a microsecond, and nothing it should take, neither spins on nor sleeps: it pauses for up to
// 100 us, in the poller if nobody else is there, and looks again. It counts as spinning, and as awake, so that the submitters leave it alone; by itself it only
// comes late. Who submits from outside the workers, or leaves its queue alone for long, ends the nap (rouse()).
//
// Seats. At most `procs` workers run fibers at a time: they hold a seat. A worker stuck in a system call or a long computation is detached:
// its seat becomes vacant, and waking may fill it with a retired or new worker. When the stuck one returns it takes a seat again; with
// more seats taken than procs, the next worker to look for work retires.
#pragma once

#include <atomic>
#include <concurrentqueue/concurrentqueue.h>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <weir/runtime.h>
#include "fiber.h"
#include "runtime_lock.h"
#include "seeded.h"
#include "timers.h"

namespace weir::detail {

struct Worker;
class Poller;

constexpr std::int64_t kNotPolling = INT64_MIN;

struct ResolvedOptions {
    int procs;
    std::size_t stack_class;
    PanicPolicy panic_policy;
    int max_threads;
    bool drain;
    std::optional<std::uint64_t> seed;
};

struct Scheduler {
    explicit Scheduler(const ResolvedOptions& resolved, Trial* trial = nullptr);
    ~Scheduler();

    ResolvedOptions options;

    // Work for anyone.
    moodycamel::ConcurrentQueue<Fiber*> global;
    std::atomic<std::int64_t> global_count{0}; // raised before an enqueue, lowered after a dequeue: never less than what is there

    // Who is idle. sleeping = workers asleep + vacant seats; read without the lock by notify().
    std::atomic<int> sleeping{0};
    std::atomic<int> spinning{0};
    std::atomic<int> napping{0};  // of those spinning: they look again only every 100 us or when roused
    RuntimeLock idle_lock;
    Worker* sleepers = nullptr;   // guarded by idle_lock
    Worker* retired = nullptr;    // guarded by idle_lock
    Worker* polling = nullptr;    // the one worker that may block in the poller, until it has left it; guarded by idle_lock
    int sleeper_count = 0;        // guarded by idle_lock
    int seats = 0;                // workers that hold a seat; guarded by idle_lock
    std::atomic<int> detached{0}; // awake workers without one; written under idle_lock
    int awake = 0;                // workers neither asleep nor retired nor waiting for their locked fiber; guarded by idle_lock
    std::atomic<int> procs{1};
    std::atomic<std::int64_t> poll_until{kNotPolling}; // when the polling sleeper wakes by itself; arming an earlier timer wakes it

    // All workers ever started in this run, by index. Entries are published by count and live as long as the scheduler.
    std::unique_ptr<std::atomic<Worker*>[]> workers;
    std::atomic<int> worker_count{0};
    RuntimeLock start_lock;

    std::atomic<bool> stopping{false};
    std::atomic<std::uint32_t> main_done{0}; // futex: 1 once the main fiber has ended
    int exit_status = 0;
    std::atomic<bool> main_goexit{false};
    std::atomic<Waiter*> drain_waiter{nullptr};   // the main fiber, when it waits for the others
    std::atomic<int> wake_sources{0};             // signal handlers and the like that may ready a fiber out of the blue

    std::atomic<std::int64_t> foreign_spawned{0};
    std::atomic<std::int64_t> coarse_now{0};      // monotonic ns, at most 10 ms old while anything runs

    std::atomic<std::uint32_t> monitor_wake{0};   // futex of the monitor
    std::atomic<bool> monitor_asleep{false};

    std::unique_ptr<Poller> poller;
    std::unique_ptr<Seeded> seeded; // decides instead of all this, in a seeded run
    TimerHeap& foreign_timers;    // armed by threads that are no workers
    std::vector<void (*)()> at_end; // called when the run ends; guarded by start_lock

    void notify() noexcept;                    // after publishing work
    void notify_from_outside() noexcept;       // the same, by who is not, or will no longer be, a worker that comes to its work itself
    void wake_one() noexcept;
    void rouse() noexcept;                     // ends all naps
    void hand_over_duties() noexcept;          // by a worker that stops looking for work: another looks after queues, sockets and timers
    bool any_work() const noexcept;
    void submit_global(Fiber* f) noexcept;
    void submit_global_bulk(Fiber** fibers, std::size_t n, moodycamel::ProducerToken& token) noexcept;
    std::size_t take_global(Fiber** out, std::size_t most, moodycamel::ConsumerToken& token) noexcept;
    std::int64_t next_timer() noexcept;
    bool run_timers(std::int64_t now);
    void forget_timers() noexcept;             // the run is over: pending timers never fire
    std::size_t live_fibers() const noexcept;
    Worker* start_worker(bool spinning_now);
    void publish_idle() noexcept;              // recomputes `sleeping`; idle_lock held
    void detach(Worker& w) noexcept;           // w's seat becomes vacant
    void wake_sleeper(Worker& w) noexcept;     // w was taken off the sleepers
    void wake_monitor() noexcept;              // a worker has work again
    void set_procs(int n) noexcept;
    void stop() noexcept;                      // ends all workers and joins them

    /// all_asleep tells whether nothing in the runtime can ever run again by itself.
    bool all_asleep() noexcept;

    template <class F>
    void for_each_worker(F&& visit) const {
        int n = worker_count.load(std::memory_order_acquire); // acquire: pairs with the release in start_worker()
        for (int i = 0; i < n; ++i) visit(*workers[i].load(std::memory_order_relaxed));
    }

private:
    bool nobody_awake() noexcept;
    bool quiet() noexcept; // at this moment nobody is awake and nothing is pending
};

/// scheduler is the running one, or null.
Scheduler* scheduler() noexcept;

TimerHeap& scheduler_timer_heap() noexcept;
void scheduler_timer_armed(std::int64_t when) noexcept;

/// make_runnable queues a fiber that was parked or is new, and wakes a worker if need be. `hot`: run it next on this worker.
void make_runnable(Fiber* f, bool hot) noexcept;

} // namespace weir::detail
