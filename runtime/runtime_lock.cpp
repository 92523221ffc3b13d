#include "runtime_lock.h"

#include "worker.h"

namespace weir::detail {

namespace {

/// add changes the count that on_evict() reads, in a signal handler on this very thread: plain loads and stores will do, in program order.
void add(int n) noexcept {
    Worker* w = this_worker();
    if (w == nullptr) return;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    w->unevictable.store(w->unevictable.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

} // namespace

void stay_put() noexcept { add(1); }
void may_go() noexcept { add(-1); }

void RuntimeLock::lock() noexcept {
    stay_put();
    lock_.lock();
}

void RuntimeLock::unlock() noexcept {
    lock_.unlock();
    may_go();
}

} // namespace weir::detail
