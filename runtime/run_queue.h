// RunQueue: a worker's bounded queue of runnable fibers. The owner pushes at the tail and pops at the head; thieves take half from the head.
//
// Protocol (Go's): only the owner writes tail_. head_ only grows, by CAS, so whoever moves it owns the slots it moved past. A slot is
// rewritten only after head_ has passed it, hence a thief that read a stale slot loses its CAS. Until a thief comes the owner moves head_ with a
// plain store (bias.h).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "bias.h"
#include "fiber.h"

namespace weir::detail {

class RunQueue {
public:
    static constexpr std::uint32_t kSize = 1024;

    /// push is the owner's; false when full.
    bool push(Fiber* f) noexcept {
        std::uint32_t tail = tail_.load(std::memory_order_relaxed);
        std::uint32_t head = head_.load(std::memory_order_acquire); // acquire: pairs with take()'s CAS; the slot is free again
        if (tail - head >= kSize) return false;
        slots_[tail % kSize].store(f, std::memory_order_relaxed);
        tail_.store(tail + 1, std::memory_order_release); // release: pairs with the acquire of tail_ in take(); publishes slot and fiber
        return true;
    }

    /// pop is the owner's; null when empty.
    Fiber* pop() noexcept {
        if (!bias_.enter()) [[unlikely]] return pop_shared();
        std::uint32_t head = head_.load(std::memory_order_relaxed);
        Fiber* f = nullptr;
        if (head != tail_.load(std::memory_order_relaxed)) {
            f = slots_[head % kSize].load(std::memory_order_relaxed);
            head_.store(head + 1, std::memory_order_relaxed);
        }
        bias_.leave();
        return f;
    }

    /// peek is the owner's: what pop() would return after so many others, unless a thief takes it; null when there are no more.
    Fiber* peek(std::uint32_t ahead) const noexcept {
        const std::uint32_t i = head_.load(std::memory_order_relaxed) + ahead;
        if (static_cast<std::int32_t>(tail_.load(std::memory_order_relaxed) - i) <= 0) return nullptr;
        return slots_[i % kSize].load(std::memory_order_relaxed);
    }

    /// steal is anyone's: as take(), or nothing when the owner could not be made to share.
    std::uint32_t steal(Fiber** out, std::uint32_t most) noexcept {
        if (empty() || !bias_.share()) return 0;
        std::uint32_t n = take(out, most);
        bias_.unshare();
        return n;
    }

    /// take moves up to `most` fibers, at most half (rounded up), into out[]; the owner's. Returns how many.
    std::uint32_t take(Fiber** out, std::uint32_t most) noexcept {
        std::uint32_t head = head_.load(std::memory_order_acquire);
        for (;;) {
            std::uint32_t tail = tail_.load(std::memory_order_acquire); // acquire: pairs with push()
            std::uint32_t n = tail - head;
            n -= n / 2;
            if (n == 0 || n > kSize / 2 + 1) { // the second: head moved between the two loads
                std::uint32_t again = head_.load(std::memory_order_acquire);
                if (again == head) return 0;
                head = again;
                continue;
            }
            if (n > most) n = most;
            for (std::uint32_t i = 0; i < n; ++i) out[i] = slots_[(head + i) % kSize].load(std::memory_order_relaxed);
            if (head_.compare_exchange_weak(head, head + n, std::memory_order_acq_rel, std::memory_order_acquire)) return n;
        }
    }

    std::uint32_t size() const noexcept {
        std::uint32_t head = head_.load(std::memory_order_acquire);
        std::uint32_t n = tail_.load(std::memory_order_acquire) - head;
        return n > kSize ? 0 : n;
    }
    bool empty() const noexcept { return size() == 0; }

private:
    Fiber* pop_shared() noexcept {
        std::uint32_t head = head_.load(std::memory_order_acquire);
        for (;;) {
            if (head == tail_.load(std::memory_order_relaxed)) return nullptr;
            Fiber* f = slots_[head % kSize].load(std::memory_order_relaxed);
            // acq_rel: pairs with the thieves' CAS; whoever moves head_ owns the slot.
            if (head_.compare_exchange_weak(head, head + 1, std::memory_order_acq_rel, std::memory_order_acquire)) return f;
        }
    }

    alignas(64) std::atomic<std::uint32_t> head_{0};
    alignas(64) std::atomic<std::uint32_t> tail_{0};
    alignas(64) std::array<std::atomic<Fiber*>, kSize> slots_{};
    alignas(64) Bias bias_;
};

} // namespace weir::detail
