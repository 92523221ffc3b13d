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
#include <cstddef>
#include <cstdint>

#include <weir/detail/config.h>
#include <weir/detail/fence.h>
#include <weir/detail/park.h>
#include <weir/detail/sched_point.h>

namespace weir {

namespace detail {

/// g_mutex_rooms counts who waits outside a mutex, by its address: see mutex.cpp.
inline constexpr std::size_t kMutexRooms = 256;
WEIR_API extern std::atomic<std::uint32_t> g_mutex_rooms[kMutexRooms];

inline std::size_t mutex_room(const void* mutex) noexcept { return (reinterpret_cast<std::uintptr_t>(mutex) >> 4) % kMutexRooms; }

} // namespace detail

class WEIR_API Mutex {
public:
    constexpr Mutex() noexcept = default;
    Mutex(const Mutex&) = delete;
    Mutex& operator=(const Mutex&) = delete;

    /// lock blocks until the mutex is the caller's ("sync.Mutex.Lock"). Locking it twice in one fiber deadlocks. Allocates
    /// nothing.
    void lock() noexcept {
        detail::sched_point();
        // acquire: pairs with the release of the last unlock. Not a CAS from 0, which would fail for as long as a woken waiter has not run.
        if ((state_.fetch_or(kLocked, std::memory_order_acquire) & kLocked) == 0) [[likely]]
            return;
        lock_slow();
    }

    /// try_lock takes the mutex if nobody holds it; false otherwise. Never blocks, and may overtake waiters.
    [[nodiscard]] bool try_lock() noexcept {
        detail::sched_point();
        std::uint32_t s = state_.load(std::memory_order_relaxed);
        while ((s & kLocked) == 0) {
            if (state_.compare_exchange_weak(s, s | kLocked, std::memory_order_acquire, std::memory_order_relaxed)) return true;
        }
        return false;
    }

    /// unlock releases the mutex, waking one waiter if there is one. Of an unlocked mutex it is fatal: "sync: unlock of unlocked
    /// mutex".
    void unlock() noexcept {
        const Mode mode = mode_.load(std::memory_order_relaxed);
        detail::sched_point(); // here, because the mode may change until the store
        std::uint32_t s = state_.load(std::memory_order_relaxed);
        if (mode == Mode::Quick && s == kLocked) [[likely]] {
            state_.store(0, std::memory_order_release); // release: pairs with the acquire of the next lock
            detail::light_fence();                      // pairs with the heavy_fence in wait_outside()
            // From here on the mutex may be gone: only its address is used.
            if (detail::g_mutex_rooms[detail::mutex_room(this)].load(std::memory_order_relaxed) != 0) [[unlikely]]
                wake_outside(this);
            return;
        }
        // release: pairs with the acquire of the next lock.
        if (mode == Mode::Shared && (s & kLocked) != 0 && nobody_to_wake(s) &&
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

    /// Mode says how unlock() lets go. It only ever rises.
    enum class Mode : std::uint8_t {
        Quick,    // nobody has ever waited: by a plain store; state_ holds kLocked at most
        Changing, // somebody waits outside: the holder may still be at that store
        Shared,   // by a CAS
    };

    struct Entry;
    struct Attempt;

    WEIR_NOINLINE void lock_slow() noexcept;
    WEIR_NOINLINE void unlock_slow() noexcept;
    bool spin(Attempt& me, std::uint32_t s) noexcept;
    void enqueue_and_park(Attempt& me) noexcept;
    void wake_next() noexcept;
    void wait_outside(Attempt& me) noexcept;
    WEIR_NOINLINE static void wake_outside(const Mutex* mutex) noexcept;
    void let_in() noexcept;

    std::atomic<std::uint32_t> state_{0};
    std::atomic<Mode> mode_{Mode::Quick};
    detail::WaitList waiters_; // guarded by kQueue
};

} // namespace weir
