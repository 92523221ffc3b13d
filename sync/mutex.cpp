#include <weir/mutex.h>

#include <weir/detail/timer.h>
#include <weir/panic.h>

#include "spin.h"

// How a waiter is not lost: enqueue_and_park() sets kWaiters in the same CAS that finds kLocked set, so the holder's unlock()
// sees it. unlock() may skip waking only when kWoken is set; whoever kWoken stands for then either gets the mutex, and its own
// unlock() wakes the next, or clears kWoken in the CAS that queues it again, which again finds kLocked set.

namespace weir {

using detail::Waiter;

namespace {
constexpr std::int64_t kStarvationNs = 1'000'000; // Go's starvationThresholdNs
}

/// Entry is one parked waiter.
struct Mutex::Entry : Waiter {
    explicit Entry(std::int64_t began) noexcept : since(began) {}
    std::int64_t since; // when its lock() first parked
    bool owns = false;  // set before ready(): the mutex was handed over
};

/// Attempt is one call of lock_slow.
struct Mutex::Attempt {
    std::int64_t since = 0; // when it first parked; 0: not yet
    int spins = 0;
    bool woken = false; // kWoken stands for this attempt
    bool owns = false;
};

bool Mutex::spin(Attempt& me, std::uint32_t s) noexcept {
    if ((s & kStarving) != 0 || !detail::can_spin(me.spins)) return false;
    // With kWoken set while this one spins, unlock() does not wake a parked waiter to compete with it.
    if (!me.woken && (s & (kWoken | kWaiters)) == kWaiters)
        me.woken = state_.compare_exchange_strong(s, s | kWoken, std::memory_order_relaxed);
    detail::spin_once();
    ++me.spins;
    return true;
}

void Mutex::lock_slow() noexcept {
    Attempt me;
    while (!me.owns) {
        std::uint32_t s = state_.load(std::memory_order_relaxed);
        if ((s & kLocked) == 0) {
            const std::uint32_t taken = (me.woken ? s & ~kWoken : s) | kLocked;
            // acquire: pairs with the release of the last unlock.
            if (state_.compare_exchange_weak(s, taken, std::memory_order_acquire, std::memory_order_relaxed)) return;
        } else if (!spin(me, s)) {
            enqueue_and_park(me);
        }
    }
}

void Mutex::enqueue_and_park(Attempt& me) noexcept {
    const std::int64_t now = detail::mono_now();
    const bool queued_before = me.since != 0;
    if (!queued_before) me.since = now;
    const bool starving = now - me.since > kStarvationNs;
    detail::Backoff backoff;
    std::uint32_t s = state_.load(std::memory_order_relaxed);
    for (;;) {
        if ((s & kLocked) == 0) return; // released meanwhile: try to take it
        if ((s & kQueue) != 0) {
            backoff.wait();
            s = state_.load(std::memory_order_relaxed);
            continue;
        }
        std::uint32_t queued = s | kQueue | kWaiters | (starving ? kStarving : 0);
        if (me.woken) queued &= ~kWoken;
        // acquire: pairs with the release that gave up kQueue; the list is visible.
        if (state_.compare_exchange_weak(s, queued, std::memory_order_acquire, std::memory_order_relaxed)) break;
    }
    Entry self(me.since);
    if (queued_before) {
        waiters_.push_front(self);
    } else {
        waiters_.push_back(self);
    }
    auto release_queue = [](void* mu) {
        // release: pairs with the acquire in wake_next(); publishes the list and the saved context.
        static_cast<Mutex*>(mu)->state_.fetch_and(~kQueue, std::memory_order_release);
        return true;
    };
    detail::park(self, detail::WaitReason::MutexLock, release_queue, this);
    me.owns = self.owns;
    me.woken = !self.owns;
    me.spins = 0;
}

void Mutex::unlock_slow() noexcept {
    detail::Backoff backoff;
    std::uint32_t s = state_.load(std::memory_order_relaxed);
    for (;;) {
        if ((s & kLocked) == 0) detail::fatal("sync: unlock of unlocked mutex");
        if (nobody_to_wake(s)) {
            // release: pairs with the acquire of the next lock.
            if (state_.compare_exchange_weak(s, s & ~kLocked, std::memory_order_release, std::memory_order_relaxed)) return;
        } else if ((s & kQueue) != 0) {
            backoff.wait();
            s = state_.load(std::memory_order_relaxed);
        } else if (state_.compare_exchange_weak(s, s | kQueue, std::memory_order_acquire, std::memory_order_relaxed)) {
            // acquire: pairs with release_queue in enqueue_and_park().
            return wake_next();
        }
    }
}

/// wake_next holds kLocked and kQueue. Its CAS gives up kQueue and either lets go of the mutex or hands it over; afterwards the
/// Mutex may be gone.
void Mutex::wake_next() noexcept {
    auto* next = static_cast<Entry*>(waiters_.pop_front());
    const bool last = waiters_.empty();
    std::uint32_t s = state_.load(std::memory_order_relaxed);
    next->owns = (s & kStarving) != 0;
    const bool stop_starving = last || (next->owns && detail::mono_now() - next->since < kStarvationNs);
    std::uint32_t after;
    do {
        // Only kWoken can change here: the rest is guarded by kLocked and kQueue.
        after = s & ~kQueue;
        if (!next->owns) after = (after & ~kLocked) | kWoken;
        if (last) after &= ~kWaiters;
        if (stop_starving) after &= ~kStarving;
    } while (!state_.compare_exchange_weak(s, after, std::memory_order_release, std::memory_order_relaxed));
    ready(*next);
}

} // namespace weir
