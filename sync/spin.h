// Short waits of the sync primitives: pausing, and when spinning before parking is worth it.
#pragma once

#include <sched.h>

#include <weir/detail/sched_point.h>
#include <weir/detail/spinlock.h>
#include <weir/runtime.h>

namespace weir::detail {

/// Backoff waits for a section of tens of instructions elsewhere to end: a few pauses, then the CPU for whoever the kernel
/// preempted there.
class Backoff {
public:
    void wait() noexcept {
        sched_point(); // in a seeded run nothing ends elsewhere while this fiber runs
        if (++rounds_ > kPauses) {
            ::sched_yield();
        } else {
            cpu_pause();
        }
    }

private:
    static constexpr int kPauses = 64;
    int rounds_ = 0;
};

/// can_spin is Go's rule: a few rounds, and only if the holder can be running meanwhile.
inline bool can_spin(int round) noexcept {
    constexpr int kRounds = 4;
    return round < kRounds && max_procs() > 1;
}

/// spin_once is one round, about 100 ns.
inline void spin_once() noexcept {
    constexpr int kPauses = 30;
    for (int i = 0; i < kPauses; ++i) cpu_pause();
}

} // namespace weir::detail
