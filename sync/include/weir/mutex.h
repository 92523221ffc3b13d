// Mutex: mutual exclusion for fibers and plain OS threads, Go's sync.Mutex.
//
//     weir::Mutex mu;
//     {
//         std::lock_guard lock(mu);             // or mu.lock(); ... mu.unlock();
//         ++hits[path];
//     }
//
// It parks the fiber, never its OS thread. A Mutex has no owner: one fiber may lock it and another unlock it. Fits
// std::lock_guard, std::unique_lock, std::scoped_lock and weir::Cond. Whoever holds the lock may, after unlocking it as its last
// user, destroy it at once, even while an earlier unlock() is still returning on another thread.
//
// Fairness is Go's. In normal mode a released mutex goes to whoever comes first, so that a running fiber need not wait for a
// parked one to wake. A waiter that was parked for more than 1 ms in all and loses again switches the mutex to starvation mode:
// unlock() then hands it to the first waiter directly. That ends with the last waiter, or with one that waited for less than 1
// ms.
#pragma once

#include <atomic>
#include <cstdint>

#include <weir/detail/config.h>
#include <weir/detail/park.h>

namespace weir {

class WEIR_API Mutex {
public:
    constexpr Mutex() noexcept = default;
    Mutex(const Mutex&) = delete;
    Mutex& operator=(const Mutex&) = delete;

    /// lock blocks until the mutex is the caller's ("sync.Mutex.Lock"). Locking it twice in one fiber deadlocks. Allocates
    /// nothing.
    void lock() noexcept {
        // acquire: pairs with the release of the last unlock. Not a CAS from 0, which would fail for as long as a woken waiter has not run.
        if ((state_.fetch_or(kLocked, std::memory_order_acquire) & kLocked) == 0) [[likely]]
            return;
        lock_slow();
    }

    /// try_lock takes the mutex if nobody holds it; false otherwise. Never blocks, and may overtake waiters.
    [[nodiscard]] bool try_lock() noexcept {
        std::uint32_t s = state_.load(std::memory_order_relaxed);
        while ((s & kLocked) == 0) {
            if (state_.compare_exchange_weak(s, s | kLocked, std::memory_order_acquire, std::memory_order_relaxed)) return true;
        }
        return false;
    }

    /// unlock releases the mutex, waking one waiter if there is one. Of an unlocked mutex it is fatal: "sync: unlock of unlocked
    /// mutex".
    void unlock() noexcept {
        std::uint32_t s = state_.load(std::memory_order_relaxed);
        // release: pairs with the acquire of the next lock.
        if ((s & kLocked) != 0 && nobody_to_wake(s) &&
            state_.compare_exchange_strong(s, s & ~kLocked, std::memory_order_release, std::memory_order_relaxed)) [[likely]]
            return;
        unlock_slow();
    }

private:
    // state_:  | unused | waiters | queue | starving | woken | locked |
    //            31..5       4        3        2         1       0
    static constexpr std::uint32_t kLocked = 1;   // somebody holds the mutex; stays set while it is handed over
    static constexpr std::uint32_t kWoken = 2;    // a waiter is awake and trying, or spinning: unlock() need not wake another
    static constexpr std::uint32_t kStarving = 4; // unlock() hands over instead of letting go
    static constexpr std::uint32_t kQueue =
        8; // a lock on waiters_: in the same word, so that letting go is the last thing unlock() does
    static constexpr std::uint32_t kWaiters = 16; // waiters_ is not empty

    /// nobody_to_wake: no waiter, or one is awake already (in starving mode the mutex is handed over in any case).
    static constexpr bool nobody_to_wake(std::uint32_t s) noexcept {
        return (s & kWaiters) == 0 || (s & (kWoken | kStarving)) == kWoken;
    }

    struct Entry;
    struct Attempt;

    WEIR_NOINLINE void lock_slow() noexcept;
    WEIR_NOINLINE void unlock_slow() noexcept;
    bool spin(Attempt& me, std::uint32_t s) noexcept;
    void enqueue_and_park(Attempt& me) noexcept;
    void wake_next() noexcept;

    std::atomic<std::uint32_t> state_{0};
    detail::WaitList waiters_; // guarded by kQueue
};

} // namespace weir
