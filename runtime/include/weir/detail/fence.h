// An asymmetric store/load fence: free on the frequent side, a system call on the rare one.
//
// Submitting work is "publish, light_fence, look for sleepers"; going to sleep is "announce, heavy_fence, look for work". One of the two sees
// the other: membarrier(2) makes every running thread of the process execute a full barrier, so a compiler barrier
// is enough on the light side. Where membarrier is missing both are full fences. (TSan knows neither, and need not: what is ordered here are
// atomics.)
#pragma once

#include <atomic>

#include <weir/detail/config.h>

namespace weir::detail {

WEIR_API extern bool g_membarrier; // set once by fence_init(), before any worker runs

WEIR_API void fence_init() noexcept;
WEIR_API void heavy_fence() noexcept;

WEIR_ALWAYS_INLINE void light_fence() noexcept {
    if (g_membarrier) [[likely]] {
        std::atomic_signal_fence(std::memory_order_seq_cst);
    } else {
        heavy_fence();
    }
}

} // namespace weir::detail
