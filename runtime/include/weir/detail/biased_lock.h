// BiasedLock: a SpinLock that costs its usual thread no locked instruction.
//
// A channel between two fibers of one worker is locked by one OS thread all its life, and a locked instruction is a third of what
// a send costs. So a thread that has locked it kGrantAfter times in a row becomes its owner, and from then on says only that it
// is inside. Anybody else revokes that first:
//
//   owner:   store inside_; light_fence; load owner_: still me? then the lock is mine, else take inside_ back, spin_ like others
//   others:  spin_.lock(); owner_ set? store owner_ = nobody; heavy_fence; wait until inside_ is clear
//
// The fences let one of the two see the other: the owner that it has been revoked, or the revoker that it is inside. Owners are
// made and revoked only under spin_. A revocation costs 2 us and an interrupt, so each doubles the length of the row that makes
// an owner. Only the first owner is ever made one again: inside_ is one thread's alone, which may be late in taking it back.
#pragma once

#include <atomic>
#include <cstdint>

#include <weir/detail/config.h>
#include <weir/detail/fence.h>
#include <weir/detail/spinlock.h>

namespace weir::detail {

/// this_thread names the OS thread that runs right now: its thread pointer, which no compiler may keep over a switch.
WEIR_ALWAYS_INLINE std::uintptr_t this_thread() noexcept {
    std::uintptr_t id;
#if defined(__x86_64__)
    asm volatile("movq %%fs:0, %0" : "=r"(id));
#elif defined(__aarch64__)
    asm volatile("mrs %0, tpidr_el0" : "=r"(id));
#else
#error "no thread pointer known for this processor"
#endif
    return id;
}

class BiasedLock {
public:
    WEIR_ALWAYS_INLINE void lock() noexcept {
        std::uintptr_t me = this_thread();
        if (owner_.load(std::memory_order_relaxed) == me) {
            inside_.store(true, std::memory_order_relaxed);
            std::atomic_signal_fence(std::memory_order_seq_cst); // pairs with the heavy_fence in revoke(): a light_fence, membarrier being there
            if (owner_.load(std::memory_order_relaxed) == me) [[likely]] {
                biased_ = true;
                return;
            }
            inside_.store(false, std::memory_order_release);
        }
        lock_shared(me);
    }

    WEIR_ALWAYS_INLINE void unlock() noexcept {
        if (biased_) {
            inside_.store(false, std::memory_order_release); // release: pairs with the acquire in revoke()
        } else {
            spin_.unlock();
        }
    }

private:
    static constexpr std::uint8_t kGrantAfter = 7;   // log2 of the row that makes an owner,
    static constexpr std::uint8_t kGrantAtLast = 15; // and what revocations may let it grow to

    WEIR_ALWAYS_INLINE void lock_shared(std::uintptr_t me) noexcept {
        if (!spin_.try_lock()) [[unlikely]]
            wait_turn();
        if (owner_.load(std::memory_order_relaxed) != 0) [[unlikely]]
            revoke();
        biased_ = false;
        if (last_ != me) {
            if (!settled_) last_ = me;
            row_ = 0;
        } else if (++row_ >> grant_after_ != 0) [[unlikely]] {
            row_ = 0;
            settled_ = true;
            if (g_membarrier.load(std::memory_order_relaxed)) owner_.store(me, std::memory_order_relaxed);
        }
    }
    WEIR_API WEIR_COLD void wait_turn() noexcept;
    WEIR_API WEIR_COLD void revoke() noexcept;

    std::atomic<std::uintptr_t> owner_{0}; // written under spin_
    std::uintptr_t last_ = 0;              // guarded by spin_, as the next three
    bool settled_ = false; // last_ has been the owner, and nobody else will ever be
    std::uint16_t row_ = 0;
    std::uint8_t grant_after_ = kGrantAfter;
    SpinLock spin_;
    std::atomic<bool> inside_{false}; // the owner is, or was just about to be
    bool biased_ = false;             // how it is held now; the holder's
};

} // namespace weir::detail
