#include <weir/detail/biased_lock.h>

#include <sched.h>

#include "back_off.h"

namespace weir::detail {

namespace {

constexpr int kPauses = 1024;

// A thread that finds the lock taken stays away for 100 ns where the other was merely in the way, but soon for 13 us: each turn moves the lock, the
// channel and what lies in it to the other core, which takes as long as a hundred operations.
constexpr int kMorePauses = 8;
constexpr int kMostPauses = 512;

} // namespace

/// wait_turn takes spin_, which another thread had.
void BiasedLock::wait_turn() noexcept { take_backing_off(spin_, kMorePauses, kMostPauses); }

void BiasedLock::revoke() noexcept {
    owner_.store(0, std::memory_order_relaxed);
    heavy_fence();                                                            // pairs with the light_fence in lock()
    for (int pauses = 0; inside_.load(std::memory_order_acquire); ++pauses) { // acquire: pairs with unlock()
        if (pauses < kPauses) {
            cpu_pause();
        } else {
            sched_yield(); // the owner is likely preempted
        }
    }
    if (grant_after_ < kGrantAtLast) ++grant_after_;
}

} // namespace weir::detail
