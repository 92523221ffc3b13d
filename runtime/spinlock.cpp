#include <weir/detail/spinlock.h>

#include <sched.h>

namespace weir::detail {

void SpinLock::lock_slow() noexcept {
    constexpr int kSpins = 64; // about the length of the longest critical section; beyond it the holder is likely preempted
    for (;;) {
        for (int i = 0; i < kSpins; ++i) {
            if (locked_.load(std::memory_order_relaxed) == 0 && locked_.exchange(1, std::memory_order_acquire) == 0) return;
#if defined(__x86_64__)
            __builtin_ia32_pause();
#endif
        }
        sched_yield();
    }
}

} // namespace weir::detail
