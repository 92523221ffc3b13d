#include "bias.h"

#include <weir/detail/spinlock.h>

namespace weir::detail {

namespace {

constexpr int kMostPauses =
    64; // what the owner does between enter() and leave() takes a few nanoseconds, unless the kernel has preempted it

} // namespace

bool Bias::share_slow() noexcept {
    State exclusive = State::Exclusive;
    if (!state_.compare_exchange_strong(exclusive, State::Sharing, std::memory_order_seq_cst)) return false;
    heavy_fence(); // pairs with the light_fence in enter()
    int pauses = 0;
    while (in_.load(std::memory_order_acquire)) { // acquire: pairs with leave(); what the owner did is visible
        if (++pauses == kMostPauses) {
            state_.store(State::Exclusive, std::memory_order_seq_cst);
            return false;
        }
        cpu_pause();
    }
    state_.store(State::Shared, std::memory_order_seq_cst);
    return true;
}

void Bias::reclaim() noexcept {
    shared_operations_ = 0;
    if (!g_membarrier.load(std::memory_order_relaxed)) return;
    State shared = State::Shared;
    if (!state_.compare_exchange_strong(shared, State::Exclusive, std::memory_order_seq_cst)) return;
    if (guests_.load(std::memory_order_seq_cst) == 0) return;
    State exclusive = State::Exclusive; // unless a guest has begun to share again meanwhile
    state_.compare_exchange_strong(exclusive, State::Shared, std::memory_order_seq_cst);
}

} // namespace weir::detail
