#include <weir/detail/spinlock.h>

#include <algorithm>
#include <sched.h>

#include <weir/detail/sched_point.h>

namespace weir::detail {

namespace {

constexpr int kMostPauses = 128; // about 2 us

} // namespace

void SpinLock::lock_slow() noexcept {
    // Two threads that take turns at every operation pay for moving the lock's and the object's cache lines each time: several times the
    // work under the lock. So a thread that finds it taken stays away for longer and longer, and the other gets a batch done.
    for (int pauses = 4;; pauses = std::min(2 * pauses, kMostPauses)) {
        for (int i = 0; i < pauses; ++i) cpu_pause();
        if (try_lock()) return;
        if (pauses == kMostPauses) sched_yield(); // the holder is likely preempted
        sched_point();                            // or waits for this very thread
    }
}

} // namespace weir::detail
