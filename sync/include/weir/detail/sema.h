// Sema: a counting semaphore for the sync primitives, FIFO, Go's runtime_Semacquire and runtime_Semrelease.
//
// acquire() always goes through the lock, so that whoever was let in may destroy the Sema at once: release() no longer touches it
// by then.
#pragma once

#include <cstdint>

#include <weir/detail/config.h>
#include <weir/detail/park.h>
#include <weir/detail/spinlock.h>

namespace weir::detail {

class WEIR_API Sema {
public:
    /// acquire takes one unit, parking for `reason` until there is one.
    void acquire(WaitReason reason) noexcept;
    /// release adds n units, waking up to n waiters.
    void release(std::uint32_t n = 1) noexcept;

private:
    SpinLock lock_;
    std::uint32_t units_ = 0; // guarded by lock_; 0 while somebody waits
    WaitList waiters_;        // guarded by lock_
};

/// ready_all readies a chain of waiters that has been taken off its list, in order.
WEIR_API void ready_all(Waiter* first) noexcept;

} // namespace weir::detail
