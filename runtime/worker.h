// Worker: one OS thread that runs fibers.
#pragma once

#include <atomic>
#include <concurrentqueue/concurrentqueue.h>
#include <cstdint>
#include <mutex>
#include <pthread.h>
#include <random>

#include <weir/detail/park.h>
#include "fiber.h"
#include "next_slot.h"
#include "run_queue.h"
#include "sanitizer.h"
#include "start_stack.h"
#include "timers.h"
#include "tls.h"

namespace weir::detail {

struct Scheduler;

enum class WorkerMode : std::uint8_t {
    Seated,   // holds a seat: may run fibers
    Detached, // stuck in one fiber: its seat is vacant, its queue is there to be stolen
};

/// Leaving says what the context that was just left wants done, once its registers are saved. Run by whoever runs next on the thread.
struct Leaving {
    Fiber* fiber = nullptr;     // null: the scheduler's own context
    ParkCommit commit = nullptr;
    void* arg = nullptr;
};

struct alignas(64) Worker {
    Worker(Scheduler& s, int worker_index);

    // The owner's alone.
    Fiber* current = nullptr;
    Leaving leaving;
    void* scheduler_context = nullptr;
    EhGlobals* eh = nullptr;
    int* err = nullptr;
    std::uint32_t tick = 0;             // picks since this worker last looked around,
    std::uint32_t look_every = 1;       // which it does after so many
    std::uint32_t random;
    Fiber* free_fibers = nullptr;       // up to a magazine of control blocks
    Fiber* spare_fibers = nullptr;      // a full magazine, or null
    std::uint32_t free_fiber_count = 0;
    std::uint32_t free_stack_count = 0;
    Stack* free_stacks = nullptr;       // of the default class
    std::uint64_t next_id = 0;
    std::uint64_t last_id = 0;
    bool spinning = false;
    std::int64_t nap_ns = 0;            // the last nap of a thief, 0: it has not taken one since it last had work
    std::int64_t seen_at = 0;           // when it last counted what the others had switched,
    std::uint32_t seen_switches = 0;    // and how often that was
    bool start_next = true;             // whose turn it is: a new fiber's, or one's in the queue
    bool inherits = false;              // what find_work() returns goes on with the current time slice
    std::uint32_t picks_since_all = 0;  // picks since the global queue's turn
    std::int64_t last_look = 0;
    std::int64_t last_poll = 0;
    std::int64_t last_overdue = 0;      // when last a new fiber was looked for that has waited too long
    Fiber* locked = nullptr;            // lock_os_thread: the only fiber this worker runs
    san::Context san;

    // Read by others.
    alignas(64) std::atomic<std::uint32_t> attention{0}; // bits below; a set bit takes the next pick through the scheduler
    std::atomic<std::uint32_t> switches{0};              // picks so far; written by the owner
    std::atomic<std::uint32_t> slices{0};                // picks that began a new time slice
    std::atomic<int> unevictable{0};                     // > 0: must not be made to leave its fiber (runtime_lock.h); written by the owner
    std::atomic<int> reporting{0};                       // fibers that began to report a panic here: it is never silent, the end of a run waits
    std::atomic<bool> running{false};                    // in a fiber (not in the scheduler's own context)
    std::atomic<WorkerMode> mode{WorkerMode::Seated};
    std::atomic<std::int64_t> spawned{0};
    std::atomic<std::int64_t> ended{0};

    alignas(64) NextSlot next;                           // made ready last; runs next and inherits the time slice
    RunQueue queue;                                      // fibers that have run before, and new ones that nobody here waits for
    StartStack starts;
    TimerHeap& timers;

    alignas(64) std::atomic<std::uint32_t> wake{0};      // futex; 1: woken
    Worker* idle_next = nullptr;                         // guarded by idle_lock
    bool woken = false;                                  // popped from the sleepers by a waker; guarded by idle_lock
    std::atomic<bool> napping{false};                    // counted in Scheduler::napping
    std::atomic<Fiber*> locked_ready{nullptr};           // the locked fiber, once ready

    Scheduler& sched;
    int index;
    pthread_t thread{};
    std::atomic<int> tid{0};
    std::atomic<bool> exited{false};
    moodycamel::ProducerToken producer;
    moodycamel::ConsumerToken consumer;

    static constexpr std::uint32_t kSliceExpired = 1; // set by the monitor: what would inherit the slice goes to the queue
    static constexpr std::uint32_t kCheckSeat = 2;    // detached, or too many seats are taken
    static constexpr std::uint32_t kLocked = 4;       // lock_os_thread: this worker runs its locked fiber only
    static constexpr std::uint32_t kStop = 8;
    static constexpr std::uint32_t kSeeded = 16;      // all along: the seed decides who is next (seeded.h)

    void main();                             // the thread's body
    Fiber* find_work();                      // blocks until there is some; null when stopping
    Fiber* pick_local() noexcept;            // the fast pick: next, then starts and the queue in turn; null to go through the scheduler
    void push(Fiber* f) noexcept;            // to the queue, overflowing to the global one
    void push_next(Fiber* f) noexcept;

    Stack* take_stack(std::size_t size_class, StackError& error);
    void give_stack(Stack* s) noexcept;
    /// take_cached_fiber returns a free control block, or null: then take_fiber_slow.
    Fiber* take_cached_fiber() noexcept {
        Fiber* f = free_fibers;
        if (f == nullptr) return nullptr;
        free_fibers = f->next;
        --free_fiber_count;
        return f;
    }
    Fiber* take_fiber_slow(StackError& error);
    void give_fiber(Fiber* f) noexcept;
    std::uint64_t new_id() noexcept;
    void flush_caches() noexcept;

    std::uint32_t next_random() noexcept {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        return random;
    }

private:
    void fetch_ahead() noexcept;
    Fiber* pick_queued() noexcept;
    Fiber* pick_in_turn() noexcept;
    Fiber* pick_overdue(std::int64_t now) noexcept;
    void push_displaced(Fiber* old) noexcept;
    void push_start(Fiber* f) noexcept;
    Fiber* look_everywhere();
    bool look_around(Fiber*& overdue);
    void plan_look(std::int64_t now) noexcept;
    Fiber* spin();
    Fiber* look_nearby(bool global_first);
    Fiber* take_from_global();
    Fiber* steal();
    Fiber* steal_from(Worker& victim);
    Fiber* steal_next(Worker& victim);
    Fiber* steal_from_detached();
    void poll_now();
    void found_work() noexcept;
    bool start_spinning() noexcept;
    std::uint32_t others_switches() const noexcept;
    bool nap();
    bool start_polling() noexcept;
    void stop_polling() noexcept;
    void sleep();
    void block_in_poller(bool last_awake);
    void block_on_futex(bool last_awake);
    void leave_sleepers() noexcept;
    void keep_seat();
    void retire(std::unique_lock<RuntimeLock>& hold);
    Fiber* wait_for_locked();
};

/// switch_away leaves the calling context, described by w->leaving, for `to` (null: the scheduler's), and returns when it is resumed.
void switch_away(Worker* w, Fiber* to) noexcept;

/// bind_stack gives a fiber its stack and first context.
void bind_stack(Fiber* f, Stack* s) noexcept;

/// abandon_current leaves the calling fiber's context for good: nothing on its stack is unwound. For a stuck fiber at the end of a run.
[[noreturn]] void abandon_current() noexcept;

} // namespace weir::detail
