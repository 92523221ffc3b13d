#include <weir/mutex.h>

#include <weir/detail/planted.h>
#include <weir/detail/sched_point.h>
#include <weir/detail/timer.h>
#include <weir/detail/wake_source.h>
#include <weir/panic.h>

#include "spin.h"

// How a waiter is not lost: enqueue_and_park() sets kWaiters in the same CAS that finds kLocked set, so the holder's unlock()
// sees it. unlock() may skip waking only when kWoken is set; whoever kWoken stands for then either gets the mutex, and its own
// unlock() wakes the next, or clears kWoken in the CAS that queues it again, which again finds kLocked set.

// Quick mode saves unlock() its atomic operation, half of the cost of an uncontended mutex. What a plain store could overwrite must not be there yet:
// so the first that has to wait changes the mode and waits outside, in one of some global lists, by the mutex's address. (Not beside the mutex:
// after the store unlock() must not touch it.) Store and load that must not pass each other: unlock()'s store of state_, then its look at
// the room's count; the waiter's entry there, then its look at state_. light_fence and heavy_fence order them, at the cost of a membarrier(2)
// for who waits outside. The only thread that can still be at a plain store after Changing has been set is the holder. So the first holder whose
// unlock() finds Changing is not, and nobody is: it sets Shared, and takes who waits outside over into waiters_.

namespace weir {

using detail::Waiter;

namespace detail {
std::atomic<std::uint32_t> g_mutex_rooms[kMutexRooms];
}

namespace {

constexpr std::int64_t kStarvationNs = 1'000'000; // Go's starvationThresholdNs

/// Room lists who waits outside the mutexes of some addresses.
struct Room {
    detail::SpinLock lock;
    detail::WaitList waiters; // guarded by lock; g_mutex_rooms has its length
};

constinit Room rooms[detail::kMutexRooms];

/// forget_abandoned takes the fibers out that waited when a run ended: their stacks are gone.
void forget_abandoned() {
    for (std::size_t number = 0; number < detail::kMutexRooms; ++number) {
        if (detail::g_mutex_rooms[number].load(std::memory_order_relaxed) == 0) continue;
        Room& room = rooms[number];
        room.lock.lock();
        for (Waiter* w = room.waiters.front(); w != nullptr;) {
            Waiter* next = w->next;
            if (w->fiber != nullptr) {
                room.waiters.remove(*w);
                detail::g_mutex_rooms[number].fetch_sub(1, std::memory_order_relaxed);
            }
            w = next;
        }
        room.lock.unlock();
    }
}

} // namespace

/// Entry is one parked waiter.
struct Mutex::Entry : Waiter {
    explicit Entry(std::int64_t began) noexcept : since(began) {}
    std::int64_t since; // when its lock() first parked
    bool owns = false;  // set before ready(): the mutex was handed over
    const Mutex* outside = nullptr; // not null while it waits outside that mutex
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
            detail::sched_point(); // released meanwhile?
            enqueue_and_park(me);
        }
    }
}

void Mutex::enqueue_and_park(Attempt& me) noexcept {
    const std::int64_t now = detail::mono_now();
    const bool queued_before = me.since != 0;
    if (!queued_before) me.since = now;
    // acquire: pairs with the release in let_in().
    if (mode_.load(std::memory_order_acquire) != Mode::Shared) return wait_outside(me);
    const bool starving = now - me.since > kStarvationNs;
    detail::Backoff backoff;
    std::uint32_t s = state_.load(std::memory_order_relaxed);
    for (;;) {
        if ((s & kLocked) == 0 && !detail::planted(detail::Bug::MutexLosesWake)) return; // released meanwhile: try to take it
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
        if (mode_.load(std::memory_order_relaxed) != Mode::Shared) {
            let_in();
            s = state_.load(std::memory_order_relaxed);
        } else if (nobody_to_wake(s)) {
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

void Mutex::wait_outside(Attempt& me) noexcept {
    Mode quick = Mode::Quick;
    mode_.compare_exchange_strong(quick, Mode::Changing, std::memory_order_relaxed);
    const std::size_t number = detail::mutex_room(this);
    Room& room = rooms[number];
    Entry self(me.since);
    self.outside = this;
    if (self.fiber != nullptr) detail::at_run_end(forget_abandoned);
    detail::fence_init();
    room.lock.lock();
    detail::g_mutex_rooms[number].fetch_add(1, std::memory_order_relaxed);
    detail::heavy_fence(); // pairs with the light_fence in unlock()
    if (mode_.load(std::memory_order_relaxed) == Mode::Shared || (state_.load(std::memory_order_relaxed) & kLocked) == 0) {
        detail::g_mutex_rooms[number].fetch_sub(1, std::memory_order_relaxed);
        room.lock.unlock();
        return;
    }
    room.waiters.push_back(self);
    detail::park_unlock(self, detail::WaitReason::MutexLock, room.lock);
    me.owns = self.owns;
    me.woken = self.outside == nullptr && !self.owns; // let_in() took it over, wake_next() woke it
    me.spins = 0;
}

/// wake_outside wakes the first that waits for the mutex that was at this address when the caller unlocked it. Should another be there by now, that
/// one's waiter looks again, for nothing.
void Mutex::wake_outside(const Mutex* mutex) noexcept {
    const std::size_t number = detail::mutex_room(mutex);
    Room& room = rooms[number];
    room.lock.lock();
    Waiter* w = room.waiters.front();
    while (w != nullptr && static_cast<Entry*>(w)->outside != mutex) w = w->next;
    if (w != nullptr) {
        room.waiters.remove(*w);
        detail::g_mutex_rooms[number].fetch_sub(1, std::memory_order_relaxed);
    }
    room.lock.unlock();
    if (w != nullptr) ready(*w);
}

/// let_in is called by the holder, in mode Changing: who waits outside goes to the front of waiters_, in order.
void Mutex::let_in() noexcept {
    const std::size_t number = detail::mutex_room(this);
    Room& room = rooms[number];
    detail::WaitList backwards;
    room.lock.lock();
    mode_.store(Mode::Shared, std::memory_order_release); // release: pairs with the acquire in enqueue_and_park()
    for (Waiter* w = room.waiters.front(); w != nullptr;) {
        Waiter* next = w->next;
        if (auto* entry = static_cast<Entry*>(w); entry->outside == this) {
            entry->outside = nullptr;
            room.waiters.remove(*w);
            detail::g_mutex_rooms[number].fetch_sub(1, std::memory_order_relaxed);
            backwards.push_front(*w);
        }
        w = next;
    }
    room.lock.unlock();
    if (backwards.empty()) return;
    detail::Backoff backoff;
    std::uint32_t s = state_.load(std::memory_order_relaxed);
    // acquire: pairs with the release that gave up kQueue; the list is visible.
    while ((s & kQueue) != 0 || !state_.compare_exchange_weak(s, s | kQueue | kWaiters, std::memory_order_acquire, std::memory_order_relaxed)) {
        if ((s & kQueue) != 0) backoff.wait();
        s = state_.load(std::memory_order_relaxed);
    }
    while (Waiter* w = backwards.pop_front()) waiters_.push_front(*w);
    state_.fetch_and(~kQueue, std::memory_order_release); // release: pairs with the acquire in wake_next()
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
