#include <weir/detail/biased_lock.h>

#include <sched.h>

namespace weir::detail {

namespace {

constexpr int kPauses = 1024;

} // namespace

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
