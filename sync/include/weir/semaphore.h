// Semaphore: a weighted semaphore, Go's golang.org/x/sync/semaphore.
//
//     weir::Semaphore memory(64 << 20);                     // bytes
//     if (Error err = memory.acquire(ctx, size)) return err;
//     weir::defer d{[&] { memory.release(size); }};
//
// Strictly first come, first served: a large request that waits holds up smaller ones behind it, and so is never starved. Works on fibers
// and on plain OS threads. May be destroyed as soon as the last acquire() and release() have returned.
//
// Invariant: if anybody waits, the first in line does not fit. So whatever makes room (release, a waiter that gives up) lets in from the
// front as many as fit, under the same lock.
#pragma once

#include <cstdint>

#include <weir/context.h>
#include <weir/detail/config.h>
#include <weir/detail/park.h>
#include <weir/detail/sched_point.h>
#include <weir/detail/spinlock.h>
#include <weir/error.h>

namespace weir {

class WEIR_API Semaphore {
public:
    /// A semaphore of `size` units, all free.
    explicit constexpr Semaphore(std::int64_t size) noexcept : size_(size) {}
    Semaphore(const Semaphore&) = delete;
    Semaphore& operator=(const Semaphore&) = delete;

    /// acquire takes n units, blocking until they are free and it is the caller's turn ("semacquire"), or until ctx ends: then it returns
    /// ctx.err() and has taken nothing. A ctx that has ended already always fails. More than there are in all waits for ctx alone, and
    /// holds up nobody. Allocates only to wait under a ctx that can end.
    Error acquire(const Context& ctx, std::int64_t n = 1) {
        if (Error err = ctx.err()) return err;
        if (try_acquire(n)) [[likely]]
            return {};
        return acquire_slow(ctx, n);
    }

    /// try_acquire takes n units if they are free and nobody waits. Never blocks.
    [[nodiscard]] bool try_acquire(std::int64_t n = 1) noexcept {
        detail::sched_point();
        lock_.lock();
        const bool taken = take(n);
        lock_.unlock();
        return taken;
    }

    /// release gives n units back and lets in whoever then fits. Panics "semaphore: released more than held".
    void release(std::int64_t n = 1) {
        detail::sched_point();
        lock_.lock();
        const bool held = n <= held_;
        if (held) held_ -= n;
        if (held && waiters_.empty()) [[likely]]
            return lock_.unlock();
        release_slow(held);
    }

private:
    struct Entry;

    /// take and let_in want the lock held. let_in takes those off the line that fit now; wake() must follow, without the lock.
    bool take(std::int64_t n) noexcept {
        const bool fits = waiters_.empty() && n <= size_ - held_;
        if (fits) held_ += n;
        return fits;
    }
    detail::Waiter* let_in() noexcept;
    static void wake(detail::Waiter* first);

    WEIR_NOINLINE Error acquire_slow(const Context& ctx, std::int64_t n);
    /// release_slow is entered with the lock held.
    WEIR_NOINLINE void release_slow(bool held);
    void give_up(Entry& self);

    const std::int64_t size_;
    detail::SpinLock lock_;
    std::int64_t held_ = 0;    // guarded by lock_
    detail::WaitList waiters_; // guarded by lock_
};

} // namespace weir
