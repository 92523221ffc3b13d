// Short waits of the sync primitives: pausing, and when spinning before parking is worth it.
#pragma once

#include <sched.h>

#include <weir/runtime.h>

namespace weir::detail {

inline void pause() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield" ::: "memory");
#endif
}

/// Backoff waits for a section of tens of instructions elsewhere to end: a few pauses, then the CPU for whoever the kernel
/// preempted there.
class Backoff {
public:
    void wait() noexcept {
        if (++rounds_ > kPauses) {
            ::sched_yield();
        } else {
            pause();
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
    for (int i = 0; i < kPauses; ++i) pause();
}

} // namespace weir::detail
