// StartStack: a worker's fibers that have not started yet. The owner starts the newest, thieves take the oldest.
//
// Such a fiber is a control block and nothing more (fiber.h), and most of what it will start, or wait for, comes into being when it starts.
// Newest first is depth first in a tree of fibers: what is alive at a time is a path and its siblings, on stacks that are still in
// the caches, where first come, first served keeps a whole level alive. What thieves take are the largest subtrees.
//
// Who came first must not wait for ever: the worker takes turns between these and the fibers that have run before, and lets those that
// have waited for too long go first (worker.cpp).
//
// The owner works with plain loads and stores until a thief comes (bias.h). While it has to share, everybody locks.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <type_traits>

#include <weir/detail/spinlock.h>
#include "bias.h"
#include "fiber.h"

namespace weir::detail {

class StartStack {
public:
    static constexpr std::uint32_t kSize = 1024;

    /// push is the owner's, as pop and take; false when full.
    bool push(Fiber* f) noexcept {
        return owned([&] {
            const std::uint32_t newest = newest_.load(std::memory_order_relaxed);
            if (newest - oldest_.load(std::memory_order_relaxed) == kSize) return false;
            slots_[newest % kSize] = f;
            newest_.store(newest + 1, std::memory_order_relaxed);
            return true;
        });
    }

    /// pop takes the newest; null when empty.
    Fiber* pop() noexcept {
        return owned([&]() -> Fiber* {
            const std::uint32_t newest = newest_.load(std::memory_order_relaxed);
            if (newest == oldest_.load(std::memory_order_relaxed)) return nullptr;
            newest_.store(newest - 1, std::memory_order_relaxed);
            return slots_[(newest - 1) % kSize];
        });
    }

    /// take moves up to `most` of the oldest, at most half (rounded up), into out[], the oldest first. Returns how many.
    std::uint32_t take(Fiber** out, std::uint32_t most) noexcept {
        return owned([&] { return move_oldest(out, most); });
    }

    /// pop_overdue takes the oldest if it has waited since before `since`, on the clock of Scheduler::coarse_now.
    Fiber* pop_overdue(std::int64_t since) noexcept {
        return owned([&]() -> Fiber* {
            if (empty()) return nullptr;
            Fiber* f = slots_[oldest_.load(std::memory_order_relaxed) % kSize];
            if (f->parked_since.load(std::memory_order_relaxed) >= since) return nullptr;
            move_oldest(&f, 1);
            return f;
        });
    }

    /// steal is anyone's: as take(), or nothing when the owner could not be made to share.
    std::uint32_t steal(Fiber** out, std::uint32_t most) noexcept {
        if (empty() || !bias_.share()) return 0;
        std::uint32_t n;
        {
            const std::lock_guard hold(shared_);
            n = move_oldest(out, most);
        }
        bias_.unshare();
        return n;
    }

    /// empty is anyone's: whether it was a moment ago.
    bool empty() const noexcept { return newest_.load(std::memory_order_relaxed) == oldest_.load(std::memory_order_relaxed); }

private:
    template <class Work>
    WEIR_ALWAYS_INLINE std::invoke_result_t<Work&> owned(Work work) noexcept {
        if (bias_.enter()) [[likely]] {
            auto result = work();
            bias_.leave();
            return result;
        }
        const std::lock_guard hold(shared_);
        return work();
    }

    std::uint32_t move_oldest(Fiber** out, std::uint32_t most) noexcept {
        const std::uint32_t oldest = oldest_.load(std::memory_order_relaxed);
        const std::uint32_t n = newest_.load(std::memory_order_relaxed) - oldest;
        most = std::min(most, n - n / 2);
        for (std::uint32_t i = 0; i < most; ++i) out[i] = slots_[(oldest + i) % kSize];
        oldest_.store(oldest + most, std::memory_order_relaxed);
        return most;
    }

    std::atomic<std::uint32_t> oldest_{0}; // written by the owner while it shares with nobody, else under shared_; likewise the next
    std::atomic<std::uint32_t> newest_{0};
    Bias bias_;
    SpinLock shared_;
    std::array<Fiber*, kSize> slots_{};
};

} // namespace weir::detail
