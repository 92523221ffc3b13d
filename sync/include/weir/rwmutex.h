// RWMutex: many readers or one writer, Go's sync.RWMutex.
//
//     weir::RWMutex mu;
//     { std::shared_lock lock(mu); return config; }       // readers share
//     { std::lock_guard lock(mu); config = fresh; }       // a writer is alone
//
// A waiting writer goes before readers that come later, so that readers cannot starve it; when it unlocks, the readers that
// waited meanwhile go before the next writer. Hence a fiber must not lock_shared() twice: a writer between the two deadlocks it.
// Works on fibers and on plain OS threads. Has no owner: what one fiber locked another may unlock. The last user may destroy it
// after its unlock(), as with Mutex.
#pragma once

#include <atomic>
#include <cstdint>

#include <weir/detail/config.h>
#include <weir/detail/contention.h>
#include <weir/detail/sched_point.h>
#include <weir/detail/sema.h>
#include <weir/mutex.h>

namespace weir {

class RLocker;

class WEIR_API RWMutex {
public:
    constexpr RWMutex() noexcept = default;
    RWMutex(const RWMutex&) = delete;
    RWMutex& operator=(const RWMutex&) = delete;

    /// lock blocks until neither a reader nor a writer holds the mutex ("sync.RWMutex.Lock").
    void lock() noexcept {
        if (turns_.wanted() || !try_lock()) [[unlikely]]
            lock_slow();
    }
    /// try_lock takes it for writing if nobody holds it.
    [[nodiscard]] bool try_lock() noexcept {
        detail::sched_point();
        std::int32_t nobody = 0;
        // acquire: pairs with the release in unlock() and unlock_shared().
        return readers_.compare_exchange_strong(nobody, -kMaxReaders, std::memory_order_acquire, std::memory_order_relaxed);
    }
    /// unlock ends writing. When no writer holds it that is fatal: "sync: Unlock of unlocked RWMutex".
    void unlock() noexcept {
        detail::sched_point();
        const bool queued = queued_;
        queued_ = false;
        // acq_rel: release pairs with the acquire in lock() and lock_shared(); acquire: this may let in the writer behind the readers.
        const std::int32_t waiting = readers_.fetch_add(kMaxReaders, std::memory_order_acq_rel) + kMaxReaders;
        if (waiting != 0 || queued) [[unlikely]]
            unlock_slow(waiting, queued);
    }

    /// lock_shared blocks while a writer holds the mutex or waits for it ("sync.RWMutex.RLock").
    void lock_shared() noexcept {
        detail::sched_point();
        std::int32_t r = readers_.load(std::memory_order_relaxed);
        // acquire: pairs with the release in unlock().
        if (r < 0 || turns_.wanted() || !readers_.compare_exchange_strong(r, r + 1, std::memory_order_acquire, std::memory_order_relaxed)) [[unlikely]]
            lock_shared_slow();
    }
    /// try_lock_shared takes it for reading unless a writer holds it or waits.
    [[nodiscard]] bool try_lock_shared() noexcept {
        detail::sched_point();
        std::int32_t r = readers_.load(std::memory_order_relaxed);
        while (r >= 0) {
            if (readers_.compare_exchange_weak(r, r + 1, std::memory_order_acquire, std::memory_order_relaxed)) return true;
        }
        return false;
    }
    /// unlock_shared ends one reader. When no reader holds it that is fatal: "sync: RUnlock of unlocked RWMutex".
    void unlock_shared() noexcept {
        detail::sched_point();
        // release: pairs with the acquire in lock(); what the reader did happens before the writer.
        const std::int32_t r = readers_.fetch_sub(1, std::memory_order_release) - 1;
        if (r < 0) [[unlikely]]
            unlock_shared_slow(r);
    }

    /// rlocker is the read side as a lockable of its own, for Cond.
    RLocker rlocker() noexcept;

private:
    static constexpr std::int32_t kMaxReaders = 1 << 29;

    WEIR_NOINLINE void lock_slow() noexcept;
    WEIR_NOINLINE void unlock_slow(std::int32_t waiting, bool queued) noexcept;
    WEIR_NOINLINE void lock_shared_slow() noexcept;
    WEIR_NOINLINE void unlock_shared_slow(std::int32_t r) noexcept;

    // A writer that finds the mutex free takes it by readers_ alone. The others queue at writers_, and the first of them waits at the gate; so at
    // most two are counted in readers_: one that was there first and holds it, and the first of the queue.
    std::atomic<std::int32_t> readers_{0};   // readers that hold it or wait; less kMaxReaders for each writer counted
    std::atomic<std::int32_t> departing_{0}; // readers whose end the waiting writer still needs
    detail::Turns turns_;                    // at readers_
    bool queued_ = false;                    // the writer that holds it holds writers_ too; guarded by the mutex itself
    Mutex writers_;                          // the queue: held by its first
    detail::Sema writer_gate_;               // the first of the queue waits here, for readers and the writer before it
    detail::Sema reader_gate_;               // readers wait here for the writer
};

/// RLocker locks an RWMutex for reading; a reference to it, cheap to copy.
class RLocker {
public:
    explicit RLocker(RWMutex& mu) noexcept : mu_(&mu) {}
    void lock() noexcept { mu_->lock_shared(); }
    [[nodiscard]] bool try_lock() noexcept { return mu_->try_lock_shared(); }
    void unlock() noexcept { mu_->unlock_shared(); }

private:
    RWMutex* mu_;
};

inline RLocker RWMutex::rlocker() noexcept { return RLocker(*this); }

} // namespace weir
