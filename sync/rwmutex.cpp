#include <weir/rwmutex.h>

#include <weir/detail/planted.h>
#include <weir/detail/sched_point.h>
#include <weir/panic.h>
#include <weir/runtime.h>

namespace weir {

using detail::WaitReason;

namespace {

// How often an operation that finds the mutex busy waits for its turn and tries again, before it counts itself in and parks. That many, because one
// that parks has all the others park as well: each finds a writer waiting, or wakes as a reader that has not run yet and holds up the next writer.
constexpr int kRounds = 8;

/// rounds: with one worker the holder cannot be running, unless it is a plain thread.
int rounds() noexcept { return max_procs() > 1 ? kRounds : 1; }

} // namespace

void RWMutex::lock_shared_slow() noexcept {
    for (int round = rounds(); round > 0; --round) {
        turns_.take(readers_);
        if (try_lock_shared()) return;
    }
    // Counted, for good: the writer's unlock lets in as many as it finds. acquire: as in lock_shared().
    if (readers_.fetch_add(1, std::memory_order_acquire) < 0) reader_gate_.acquire(WaitReason::RWMutexRLock);
}

void RWMutex::unlock_shared_slow(std::int32_t r) noexcept {
    const std::int32_t before = r + 1;
    if (before == 0 || before == -kMaxReaders || before == -2 * kMaxReaders) detail::fatal("sync: RUnlock of unlocked RWMutex");
    // acq_rel: the last reader passes on what all the others released.
    if (departing_.fetch_sub(1, std::memory_order_acq_rel) == 1) writer_gate_.release();
}

void RWMutex::lock_slow() noexcept {
    for (int round = rounds(); round > 0; --round) {
        turns_.take(readers_);
        if (readers_.load(std::memory_order_relaxed) == 0 && try_lock()) return;
    }
    writers_.lock();
    // From here on new readers wait, and no writer is quicker. acquire: pairs with the releases in unlock_shared() and unlock().
    const std::int32_t holding = readers_.fetch_sub(kMaxReaders, std::memory_order_acq_rel);
    detail::sched_point();
    if (holding < 0) {
        writer_gate_.acquire(WaitReason::RWMutexLock); // its unlock() lets this one in, or has the readers do it
    } else if (holding > 0 && (departing_.fetch_add(holding, std::memory_order_acq_rel) + holding != 0 || detail::planted(detail::Bug::RWMutexMissesDeparture))) {
        // (Readers that left in between had already made departing_ negative.)
        writer_gate_.acquire(WaitReason::RWMutexLock);
    }
    queued_ = true;
}

/// unlock_slow lets in whoever waited meanwhile: the readers, and after them the first of the queue.
void RWMutex::unlock_slow(std::int32_t waiting, bool queued) noexcept {
    if (waiting >= kMaxReaders) detail::fatal("sync: Unlock of unlocked RWMutex");
    const bool writer_waits = waiting < 0; // not the one that queued: its successor is still at writers_
    const std::int32_t readers = writer_waits ? waiting + kMaxReaders : waiting;
    if (writer_waits && readers == 0) return writer_gate_.release();
    // Before they are let in. relaxed: the gate's lock publishes it to them.
    if (writer_waits) departing_.fetch_add(readers, std::memory_order_relaxed);
    if (readers > 0) reader_gate_.release(static_cast<std::uint32_t>(readers));
    if (queued) writers_.unlock();
}

} // namespace weir
