#include <weir/detail/biased_lock.h>

#include <algorithm>
#include <sched.h>

#include <weir/detail/sched_point.h>

namespace weir::detail {

namespace {

constexpr int kPauses = 1024;

// A thread that finds the lock taken stays away so long: 100 ns where the other was merely in the way, but soon 13 us. Each turn moves the lock,
// the channel and what lies in it to the other core, which takes as long as a hundred operations.
constexpr int kFirstPauses = 4;
constexpr int kMorePauses = 8; // times as many at the next look
constexpr int kMostPauses = 512;

} // namespace

/// wait_turn takes spin_, which another thread had.
void BiasedLock::wait_turn() noexcept {
    for (int pauses = kFirstPauses;; pauses = std::min(kMorePauses * pauses, kMostPauses)) {
        for (int i = 0; i < pauses; ++i) cpu_pause();
        if (spin_.try_lock()) return;
        if (pauses == kMostPauses) sched_yield(); // the holder may be preempted
        sched_point();                            // or wait for this very thread
    }
}

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
