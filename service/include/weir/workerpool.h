// WorkerPool: a bounded number of fibers that run tasks, and are used again.
//
//     weir::WorkerPool pool({.workers = 8, .queue = 64});
//     if (Error err = pool.submit(ctx, [=] { resize(image); })) return err;    // waits for room, as long as ctx lasts
//     if (!pool.try_submit(task)) return busy();
//     pool.close();                                                           // runs what is queued, then returns
//
// At most `workers` tasks run and `queue` wait. Workers start when needed; the one that was idle last gets the next task, so that those not needed
// stay idle, and end after `idle`. A task that panics, or whose fiber is abandoned, ends its worker, whose panic is reported as any; the pool goes on with another.
// Thread safety: all of it, on fibers and on plain OS threads. Tasks may submit tasks.
//
// Invariant: a slot of slots_ is held from before a task is handed in until it has ended; whoever holds one finds an idle worker, room for a new
// one, or room in the queue. While tasks are queued, all workers are busy.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include <weir/chan.h>
#include <weir/context.h>
#include <weir/detail/config.h>
#include <weir/error.h>
#include <weir/mutex.h>
#include <weir/semaphore.h>
#include <weir/waitgroup.h>

namespace weir {

/// kPoolClosed: the WorkerPool takes no more tasks: "worker pool closed".
extern WEIR_API const Error kPoolClosed;

struct WorkerPoolOptions {
    int workers = 8;                                      ///< tasks that run at a time
    int queue = 0;                                        ///< tasks that wait for a worker
    std::chrono::nanoseconds idle = std::chrono::seconds(10); ///< how long a worker waits for its next task
};

class WEIR_API WorkerPool {
public:
    /// Panics when there would be no worker, or a queue below 0.
    explicit WorkerPool(WorkerPoolOptions options = {});
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;
    /// Closes the pool.
    ~WorkerPool() { close(); }

    /// submit hands fn in, blocking while the queue is full, until ctx ends. Returns kPoolClosed after close().
    template <class F>
        requires std::is_invocable_v<std::decay_t<F>>
    Error submit(const Context& ctx, F&& fn) {
        if (Error err = slots_.acquire(ctx)) return err;
        return hand_in(std::make_unique<detail::TaskOf<std::decay_t<F>>>(std::forward<F>(fn)));
    }

    /// try_submit hands fn in if that needs no waiting; false also after close().
    template <class F>
        requires std::is_invocable_v<std::decay_t<F>>
    bool try_submit(F&& fn) {
        if (!slots_.try_acquire()) return turned_away();
        return !hand_in(std::make_unique<detail::TaskOf<std::decay_t<F>>>(std::forward<F>(fn)));
    }

    /// close takes no more tasks, and blocks until all that were handed in have ended and the workers are gone. Not to be called from a task.
    void close();

    struct Stats {
        int workers = 0;             ///< fibers there are
        int idle = 0;                ///< of these
        std::size_t queued = 0;      ///< tasks that wait for one
        std::uint64_t submitted = 0; ///< tasks taken
        std::uint64_t completed = 0; ///< of these, ended by returning
        std::uint64_t panicked = 0;  ///< of these, ended by a panic or goexit
        std::uint64_t rejected = 0;  ///< turned away by try_submit, or because of close()
        std::uint64_t started = 0;   ///< workers ever started
    };
    Stats stats() const;

private:
    using Task = std::unique_ptr<detail::Task>;
    struct Worker;

    Error hand_in(Task task);
    bool turned_away();
    struct Run;
    void start(Task first);
    void work(Task task);
    Task next_task(Worker& self);
    Task wait_for_task(Worker& self);
    void ended(bool returned);
    void replace_worker();

    const WorkerPoolOptions options_;
    Semaphore slots_;
    WaitGroup living_;
    mutable Mutex mu_;
    bool closed_ = false;       // guarded by mu_, as is all below
    std::vector<Worker*> idle_; // the last one was busy most recently
    std::deque<Task> queue_;
    Stats stats_; // without idle and queued
};

} // namespace weir
