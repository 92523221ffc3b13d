#include <weir/workerpool.h>

#include <algorithm>
#include <mutex>

#include <weir/defer.h>
#include <weir/go.h>
#include <weir/panic.h>
#include <weir/select.h>

namespace weir {

const Error kPoolClosed("worker pool closed");

/// Worker is one fiber of the pool, on its stack. Who takes it off idle_ sends it one task; a null one ends it.
struct WorkerPool::Worker {
    chan<Task> next{1};
};

WorkerPool::WorkerPool(WorkerPoolOptions options) : options_(options), slots_(std::int64_t{options.workers} + options.queue) {
    if (options_.workers < 1 || options_.queue < 0) panic("worker pool: needs at least one worker and a queue of 0 or more");
}

Error WorkerPool::hand_in(Task task) {
    std::unique_lock lock(mu_);
    if (closed_) {
        ++stats_.rejected;
        lock.unlock();
        slots_.release();
        return kPoolClosed;
    }
    ++stats_.submitted;
    if (!idle_.empty()) {
        const chan<Task> next = idle_.back()->next;
        idle_.pop_back();
        lock.unlock();
        next.send(std::move(task)); // has room
    } else if (stats_.workers < options_.workers) {
        start(std::move(task));
    } else {
        queue_.push_back(std::move(task));
    }
    return {};
}

bool WorkerPool::turned_away() {
    const std::lock_guard lock(mu_);
    ++stats_.rejected;
    return false;
}

/// Run is the function of a worker's fiber.
struct WorkerPool::Run {
    WorkerPool* pool;
    Task first;

    void operator()() {
        defer gone{[this] { pool->living_.done(); }};
        pool->work(std::move(first));
    }
    /// abandoned: only a task can have brought that about.
    void abandoned(const Panic&) {
        pool->ended(false);
        pool->replace_worker();
        pool->living_.done();
    }
};

/// start wants mu_ held.
void WorkerPool::start(Task first) {
    ++stats_.workers;
    ++stats_.started;
    living_.add(1);
    go({.name = "worker"}, Run{this, std::move(first)});
}

void WorkerPool::work(Task task) {
    Worker self;
    bool returned = true;
    defer unwound{[&] { // a panic or goexit of a task passes here
        if (returned) return;
        task.reset();
        ended(false);
        replace_worker();
    }};
    while (task != nullptr) {
        returned = false;
        task->run();
        task.reset();
        returned = true;
        ended(true);
        task = next_task(self);
    }
}

void WorkerPool::ended(bool returned) {
    {
        const std::lock_guard lock(mu_);
        ++(returned ? stats_.completed : stats_.panicked);
    }
    slots_.release();
}

/// next_task is null when the worker is to end; it is not counted any more then.
WorkerPool::Task WorkerPool::next_task(Worker& self) {
    {
        const std::lock_guard lock(mu_);
        if (!queue_.empty()) {
            Task task = std::move(queue_.front());
            queue_.pop_front();
            return task;
        }
        if (closed_) {
            --stats_.workers;
            return nullptr;
        }
        idle_.push_back(&self);
    }
    return wait_for_task(self);
}

WorkerPool::Task WorkerPool::wait_for_task(Worker& self) {
    Task task;
    bool bored = false;
    select(recv(self.next, [&](Task t) { task = std::move(t); }), timeout(options_.idle, [&] { bored = true; }));
    if (bored) {
        {
            const std::lock_guard lock(mu_);
            if (std::erase(idle_, &self) == 1) {
                --stats_.workers;
                return nullptr;
            }
        }
        task = self.next.recv(); // somebody has just taken it off the list
    }
    return task;
}

/// replace_worker makes up for a worker that ends with its task.
void WorkerPool::replace_worker() {
    const std::lock_guard lock(mu_);
    --stats_.workers;
    if (queue_.empty()) return;
    Task task = std::move(queue_.front());
    queue_.pop_front();
    start(std::move(task));
}

void WorkerPool::close() {
    std::vector<chan<Task>> idle;
    {
        const std::lock_guard lock(mu_);
        closed_ = true;
        for (const Worker* worker : idle_) idle.push_back(worker->next);
        stats_.workers -= static_cast<int>(idle_.size());
        idle_.clear();
    }
    for (const auto& next : idle) next.send(nullptr);
    living_.wait();
}

WorkerPool::Stats WorkerPool::stats() const {
    const std::lock_guard lock(mu_);
    Stats stats = stats_;
    stats.idle = static_cast<int>(idle_.size());
    stats.queued = queue_.size();
    return stats;
}

} // namespace weir
