// NextSlot: the fiber that a worker has made ready last and will run next. The owner puts and takes; thieves steal.
#pragma once

#include <atomic>

#include "bias.h"

namespace weir::detail {

struct Fiber;

class NextSlot {
public:
    /// put is the owner's; returns the fiber that was there.
    Fiber* put(Fiber* f) noexcept {
        if (!bias_.enter()) return fiber_.exchange(f, std::memory_order_acq_rel); // acq_rel: pairs with steal()
        Fiber* old = fiber_.load(std::memory_order_relaxed);
        fiber_.store(f, std::memory_order_relaxed);
        bias_.leave();
        return old;
    }

    /// take is the owner's; null when empty.
    Fiber* take() noexcept { return peek() != nullptr ? put(nullptr) : nullptr; }

    /// steal is anyone's; null when empty, or when the owner is at work there.
    Fiber* steal() noexcept {
        if (peek() == nullptr || !bias_.share()) return nullptr;
        Fiber* f = fiber_.exchange(nullptr, std::memory_order_acq_rel); // acq_rel: pairs with put()
        bias_.unshare();
        return f;
    }

    /// peek tells what was there a moment ago.
    Fiber* peek() const noexcept { return fiber_.load(std::memory_order_relaxed); }

private:
    std::atomic<Fiber*> fiber_{nullptr};
    Bias bias_;
};

} // namespace weir::detail
