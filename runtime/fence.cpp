#include <weir/detail/fence.h>

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace weir::detail {

bool g_membarrier = false;

void fence_init() noexcept { g_membarrier = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0; }

void heavy_fence() noexcept {
    if (g_membarrier && syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0) return;
    std::atomic_thread_fence(std::memory_order_seq_cst);
}

} // namespace weir::detail
