// SpinLock: a one-byte lock for critical sections of tens of instructions.
//
// Held only over code that neither parks, allocates, nor calls the user. Works on fibers and plain threads. A holder that the
// kernel preempted costs the waiters a sched_yield() each, never a deadlock.
#pragma once

#include <atomic>
#include <cstdint>

#include <weir/detail/config.h>

namespace weir::detail {

class SpinLock {
public:
    void lock() noexcept {
        // acquire: pairs with the release in unlock(); what the last holder wrote is visible.
        if (locked_.exchange(1, std::memory_order_acquire) != 0) lock_slow();
    }
    bool try_lock() noexcept {
        return locked_.load(std::memory_order_relaxed) == 0 && locked_.exchange(1, std::memory_order_acquire) == 0;
    }
    void unlock() noexcept { locked_.store(0, std::memory_order_release); } // release: pairs with the acquire in lock().

private:
    WEIR_API void lock_slow() noexcept;

    std::atomic<std::uint8_t> locked_{0};
};

} // namespace weir::detail
