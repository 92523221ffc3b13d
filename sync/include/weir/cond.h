// Cond: wait for a condition that a mutex guards, Go's sync.Cond.
//
//     weir::Mutex mu;
//     weir::Cond not_empty(mu);
//     mu.lock();
//     not_empty.wait([&] { return !queue.empty(); });      // unlocks mu while it waits
//     ... mu.unlock();
//
//     mu.lock(); queue.push(x); mu.unlock(); not_empty.signal();
//
// Works with Mutex, RWMutex, RLocker, std::unique_lock or any other Lockable, which must outlive the Cond. Waiters are woken
// first come, first served; a signal that finds nobody waiting is not remembered. There are no spurious wake-ups, but the
// condition can change again before wait() has the lock back: wait in a loop, or pass a predicate.
#pragma once

#include <cstdint>
#include <utility>

#include <weir/detail/config.h>
#include <weir/detail/park.h>
#include <weir/detail/spinlock.h>

namespace weir {

class WEIR_API Cond {
public:
    template <class Lockable>
        requires requires(Lockable& mu) { mu.lock(), mu.unlock(); }
    explicit Cond(Lockable& mu) noexcept
        : locker_{&mu, [](void* m) { static_cast<Lockable*>(m)->lock(); }, [](void* m) { static_cast<Lockable*>(m)->unlock(); }} {
    }
    Cond(const Cond&) = delete;
    Cond& operator=(const Cond&) = delete;

    /// wait unlocks the mutex, blocks until it is signalled ("sync.Cond.Wait"), and locks the mutex again. The caller must hold
    /// the mutex.
    void wait();

    /// wait(pred) waits until pred() is true, which is only asked while the mutex is held.
    template <class Pred>
    void wait(Pred pred) {
        while (!pred()) wait();
    }

    /// signal wakes the fiber that has waited longest, if any. The caller may hold the mutex but need not.
    void signal() noexcept;
    /// broadcast wakes everyone who waits now.
    void broadcast() noexcept;

private:
    struct Locker {
        void* mu;
        void (*lock)(void*);
        void (*unlock)(void*);
    };
    struct Entry;

    /// take_ticket puts the caller in line before it lets go of the mutex, so that no signal after that misses it.
    std::uint32_t take_ticket() noexcept;
    void park_with(std::uint32_t ticket) noexcept;

    Locker locker_;
    detail::SpinLock lock_;
    std::uint32_t next_ = 0;   // guarded by lock_: ticket of the next waiter
    std::uint32_t served_ = 0; // guarded by lock_: tickets before this one have been signalled; they wrap around
    detail::WaitList waiters_; // guarded by lock_: those of the unserved ticket holders that have parked already
};

} // namespace weir
