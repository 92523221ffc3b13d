// Bias: lets the owner of some words work on them with plain loads and stores until somebody else wants them too.
//
// A locked instruction costs the owner 5 ns each time, and most queues are never stolen from. So the owner marks when it is at
// work, and a guest makes it use atomic read-modify-writes first:
//
//   state       the owner                          guests
//   Exclusive   plain, between enter and leave     must share() first
//   Sharing     read-modify-write                  one of them is at heavy_fence(); the others are refused
//   Shared      read-modify-write                  read-modify-write, between share() and unshare()
//
// Exclusive -> Sharing -> Shared: the owner stores in_, then loads state_, with a light fence between; the guest stores state_,
// then loads in_, with the heavy one. So either the owner sees that it must not go on plainly, or the guest sees it at work and
// waits, or gives up. Shared -> Exclusive, by the owner after kPatience operations: it stores state_, then loads guests_; a guest
// adds itself to guests_, then loads state_; all four seq_cst, because release and acquire do not order a store before a later
// load. Whoever comes second sees the other.
// Without membarrier(2) it is Shared for ever.
#pragma once

#include <atomic>
#include <cstdint>

#include <weir/detail/config.h>
#include <weir/detail/fence.h>

namespace weir::detail {

class Bias {
public:
    /// enter is the owner's: true, plain loads and stores will do until leave(); false, only read-modify-writes (and no leave()).
    WEIR_ALWAYS_INLINE bool enter() noexcept {
        in_.store(true, std::memory_order_relaxed);
        std::atomic_signal_fence(
            std::memory_order_seq_cst); // pairs with the heavy_fence in share_slow(): a light_fence, membarrier being there
        if (state_.load(std::memory_order_acquire) == State::Exclusive) [[likely]]
            return true; // acquire: what guests did before
        in_.store(false, std::memory_order_release);
        if (++shared_operations_ == kPatience) reclaim();
        return false;
    }
    void leave() noexcept { in_.store(false, std::memory_order_release); } // release: pairs with the acquire in share_slow()

    /// share is a guest's: true, read-modify-writes are safe until unshare(); false, the owner could not be made to share just
    /// now.
    bool share() noexcept {
        guests_.fetch_add(1, std::memory_order_seq_cst);
        if (state_.load(std::memory_order_seq_cst) == State::Shared || share_slow()) return true;
        unshare();
        return false;
    }
    void unshare() noexcept {
        guests_.fetch_sub(1, std::memory_order_release);
    } // release: pairs with the seq_cst load in reclaim()

private:
    enum class State : std::uint8_t { Exclusive, Sharing, Shared };
    static constexpr std::uint32_t kPatience =
        1024; // so that a heavy_fence (2 us, and an interrupt) is rare even where thieves come all the time

    WEIR_COLD bool share_slow() noexcept;
    WEIR_COLD void reclaim() noexcept;

    std::atomic<bool> in_{false};
    std::atomic<State> state_{g_membarrier.load(std::memory_order_relaxed) ? State::Exclusive : State::Shared};
    std::uint32_t shared_operations_ = 0; // the owner's
    alignas(64) std::atomic<std::uint32_t> guests_{0};
};

} // namespace weir::detail
