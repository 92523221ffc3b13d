#include <weir/rwmutex.h>

#include <weir/panic.h>

namespace weir {

using detail::WaitReason;

void RWMutex::lock_shared_slow() noexcept { reader_gate_.acquire(WaitReason::RWMutexRLock); }

void RWMutex::unlock_shared_slow(std::int32_t r) noexcept {
    if (r + 1 == 0 || r + 1 == -kMaxReaders) detail::fatal("sync: RUnlock of unlocked RWMutex");
    // acq_rel: the last reader passes on what all the others released.
    if (departing_.fetch_sub(1, std::memory_order_acq_rel) == 1) writer_gate_.release();
}

void RWMutex::lock() noexcept {
    writers_.lock();
    // From here on new readers wait. acquire: pairs with the release in unlock_shared().
    const std::int32_t holding = readers_.fetch_sub(kMaxReaders, std::memory_order_acq_rel);
    // Readers that left in between have already made departing_ negative.
    if (holding != 0 && departing_.fetch_add(holding, std::memory_order_acq_rel) + holding != 0)
        writer_gate_.acquire(WaitReason::RWMutexLock);
}

bool RWMutex::try_lock() noexcept {
    if (!writers_.try_lock()) return false;
    std::int32_t nobody = 0;
    if (readers_.compare_exchange_strong(nobody, -kMaxReaders, std::memory_order_acq_rel, std::memory_order_relaxed)) return true;
    writers_.unlock();
    return false;
}

void RWMutex::unlock() noexcept {
    // release: pairs with the acquire in lock_shared(); what the writer wrote is visible to readers.
    const std::int32_t waiting = readers_.fetch_add(kMaxReaders, std::memory_order_acq_rel) + kMaxReaders;
    if (waiting >= kMaxReaders) detail::fatal("sync: Unlock of unlocked RWMutex");
    if (waiting > 0) reader_gate_.release(static_cast<std::uint32_t>(waiting));
    writers_.unlock();
}

} // namespace weir
