// back_off: taking a SpinLock that another thread has.
#pragma once

#include <algorithm>
#include <sched.h>

#include <weir/detail/sched_point.h>
#include <weir/detail/spinlock.h>

namespace weir::detail {

/// take_backing_off looks again after 4 pauses, each time `more` times as many, at most `most` (of 26 ns). Two threads that take turns at every operation pay
/// for moving the lock's and the object's cache lines each time: several times the work under the lock. So a thread that finds it taken stays away for longer
/// and longer, and the other gets a batch done.
inline void take_backing_off(SpinLock& lock, int more, int most) noexcept {
    for (int pauses = 4;; pauses = std::min(more * pauses, most)) {
        for (int i = 0; i < pauses; ++i) cpu_pause();
        if (lock.try_lock()) return;
        if (pauses == most) sched_yield(); // the holder is likely preempted
        sched_point();                     // or waits for this very thread
    }
}

} // namespace weir::detail
