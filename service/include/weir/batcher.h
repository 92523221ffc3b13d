// Batcher: gather items and hand them on many at a time, when there are enough of them or the first one has waited long enough.
//
//     weir::Batcher<Span> exporter({.size = 500, .interval = 1s}, [](std::vector<Span> spans) { post(spans); });
//     exporter.add(span);                                    // blocks only when flushing cannot keep up
//     exporter.close();                                      // at shutdown: flushes the rest, nothing is lost
//
// Batches are flushed one after the other, in the order of their items, each on a fiber of its own: a flush that panics is reported as any panic,
// loses its own batch (counted) and no other. Thread safety: all of it, on fibers and on plain OS threads.
//
// Invariant: every item that add() took is in pending_, in the batch being flushed, or has been flushed or lost with its batch.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <mutex>
#include <utility>
#include <vector>

#include <weir/chan.h>
#include <weir/clock.h>
#include <weir/cond.h>
#include <weir/defer.h>
#include <weir/error.h>
#include <weir/go.h>
#include <weir/mutex.h>
#include <weir/panic.h>
#include <weir/select.h>
#include <weir/waitgroup.h>

namespace weir {

struct BatcherOptions {
    std::size_t size = 100;                                     ///< items that make a batch
    std::chrono::nanoseconds interval = std::chrono::seconds(1); ///< longest time that an item waits for more
    std::size_t most_pending = 0;                               ///< items that may wait while a flush is slow; 0: ten batches
};

template <class T>
class Batcher {
public:
    using Flush = std::function<void(std::vector<T>)>;

    /// Starts a fiber, which lives until close(). Panics on a size of 0.
    Batcher(BatcherOptions options, Flush flush) : options_(with_defaults(options)), flush_(std::move(flush)) {
        running_.go([this] { run(); });
    }
    Batcher(const Batcher&) = delete;
    Batcher& operator=(const Batcher&) = delete;
    /// Closes.
    ~Batcher() { close(); }

    /// add takes an item; blocks while too many are pending ("sync.Cond.Wait"). False, and the item is dropped, after close().
    bool add(T item) {
        const std::lock_guard lock(mu_);
        room_.wait([&] { return closed_ || pending_.size() < options_.most_pending; });
        return take(std::move(item));
    }

    /// try_add is add if that need not wait; false otherwise.
    bool try_add(T item) {
        const std::lock_guard lock(mu_);
        return pending_.size() < options_.most_pending && take(std::move(item));
    }

    /// close takes no more items, flushes all there are, and blocks until that is done. Not to be called from a flush.
    void close() {
        {
            const std::lock_guard lock(mu_);
            closed_ = true;
        }
        room_.broadcast();
        changed_.try_send();
        running_.wait();
    }

    struct Stats {
        std::uint64_t added = 0;
        std::uint64_t flushed = 0; ///< items whose flush has returned
        std::uint64_t lost = 0;    ///< items whose flush panicked
        std::uint64_t batches = 0;
    };
    Stats stats() const {
        const std::lock_guard lock(mu_);
        return stats_;
    }

private:
    static BatcherOptions with_defaults(BatcherOptions options) {
        if (options.size == 0) panic("batcher: a batch needs at least one item");
        if (options.most_pending == 0) options.most_pending = 10 * options.size;
        options.most_pending = std::max(options.most_pending, options.size); // or a batch would never be full
        return options;
    }

    /// take wants mu_ held. It wakes run() for the first item, whose time begins, and for a full batch.
    bool take(T item) {
        if (closed_) return false;
        pending_.push_back(std::move(item));
        ++stats_.added;
        if (pending_.size() == 1) first_ = now();
        if (pending_.size() == 1 || pending_.size() == options_.size) changed_.try_send(); // one wake-up waiting is enough
        return true;
    }

    void run() {
        for (;;) {
            std::unique_lock lock(mu_);
            const bool full = pending_.size() >= options_.size;
            const auto left = options_.interval - (now() - first_);
            if (full || (!pending_.empty() && (closed_ || left.count() <= 0))) {
                std::vector<T> batch = take_batch();
                lock.unlock();
                room_.broadcast();
                flush(std::move(batch));
                continue;
            }
            const bool empty = pending_.empty();
            if (empty && closed_) return;
            lock.unlock();
            if (empty) {
                changed_.recv();
            } else {
                select(recv(changed_), timeout(left));
            }
        }
    }

    /// take_batch wants mu_ held.
    std::vector<T> take_batch() {
        if (pending_.size() <= options_.size) return std::exchange(pending_, {});
        const auto end = pending_.begin() + static_cast<std::ptrdiff_t>(options_.size);
        std::vector<T> batch(std::make_move_iterator(pending_.begin()), std::make_move_iterator(end));
        pending_.erase(pending_.begin(), end); // the time of what stays counts from the batch's first: at worst it goes a little early
        return batch;
    }

    void flush(std::vector<T> batch) {
        const std::size_t n = batch.size();
        bool done = false;
        WaitGroup flushing;
        flushing.go([&] {
            flush_(std::move(batch));
            done = true;
        });
        flushing.wait();
        const std::lock_guard lock(mu_);
        ++stats_.batches;
        (done ? stats_.flushed : stats_.lost) += n;
    }

    const BatcherOptions options_;
    const Flush flush_;
    chan<void> changed_{1};
    mutable Mutex mu_;
    Cond room_{mu_};
    std::vector<T> pending_;   // guarded by mu_, as is all below
    time_point first_;  // when the oldest of pending_ came
    bool closed_ = false;
    Stats stats_;
    WaitGroup running_;
};

} // namespace weir
