#include <weir/detail/reclaim.h>

#include <atomic>
#include <utility>

#include <weir/detail/sched_point.h>
#include <weir/detail/spinlock.h>

#include "thread_slot.h"

namespace weir::detail {

Retired::~Retired() = default;

/// Reclaimer holds what has been retired and may still be read.
class Reclaimer {
public:
    std::uint32_t phase() const noexcept { return phase_.load(std::memory_order_relaxed); }

    /// idle tells whether nothing waits to be destroyed; may be out of date.
    bool idle() const noexcept {
        return fresh_.load(std::memory_order_relaxed) == nullptr && batch_.load(std::memory_order_relaxed) == nullptr;
    }

    /// retire_all looks at the counts of all threads only now and then while something waits: it takes their cache lines from the readers.
    void retire_all(Retired* first) noexcept {
        constexpr std::uint32_t kOften = 16;
        if (idle() && nobody_reads()) return destroy(first);
        push(first);
        if (++this_thread_slot().retired % kOften == 0) collect();
    }

    /// collect destroys what it can. Does nothing while another thread is at it.
    void collect() noexcept {
        Retired* free = nullptr;
        if (!lock_.try_lock()) return;
        while (next_batch() && advance()) {
            if (passes_ < kPasses) continue;
            Retired* batch = take_batch();
            last(batch)->next_ = free;
            free = batch;
        }
        lock_.unlock();
        destroy(free);
    }

private:
    static constexpr int kPasses = 2; // drained phases that a batch waits for: both

    static bool drained(std::uint32_t phase) noexcept {
        std::uint64_t left = 0;
        std::uint64_t entered = 0;
        // acquire: pairs with the release in leave_section(); what those sections read, they have read.
        for (ThreadSlot* slot = first_thread_slot(); slot != nullptr; slot = slot->next)
            left += slot->left[phase].load(std::memory_order_acquire);
        for (ThreadSlot* slot = first_thread_slot(); slot != nullptr; slot = slot->next)
            entered += slot->entered[phase].load(std::memory_order_relaxed);
        return left == entered;
    }

    /// nobody_reads tells whether all sections have ended that had begun before.
    static bool nobody_reads() noexcept {
        std::atomic_thread_fence(std::memory_order_seq_cst); // pairs with the fence in enter_section()
        return drained(0) && drained(1);
    }

    void push(Retired* first) noexcept {
        Retired*& end = last(first)->next_;
        end = fresh_.load(std::memory_order_relaxed);
        // release: pairs with the acquire in next_batch(); the list is linked.
        while (!fresh_.compare_exchange_weak(end, first, std::memory_order_release, std::memory_order_relaxed)) {
        }
    }

    /// next_batch makes a batch of all that has been retired, if none is waiting already.
    bool next_batch() noexcept {
        if (batch_.load(std::memory_order_relaxed) != nullptr) return true;
        batch_.store(fresh_.exchange(nullptr, std::memory_order_acquire), std::memory_order_relaxed);
        passes_ = 0;
        return batch_.load(std::memory_order_relaxed) != nullptr;
    }

    /// advance notes that the phase which new sections do not use has drained, and turns to the other.
    bool advance() noexcept {
        std::atomic_thread_fence(std::memory_order_seq_cst); // pairs with the fence in enter_section()
        const std::uint32_t other = phase() ^ 1;
        if (!drained(other)) return false;
        phase_.store(other, std::memory_order_relaxed);
        ++passes_;
        return true;
    }

    Retired* take_batch() noexcept {
        Retired* batch = batch_.load(std::memory_order_relaxed);
        batch_.store(nullptr, std::memory_order_relaxed);
        return batch;
    }

    static Retired* last(Retired* list) noexcept {
        while (list->next_ != nullptr) list = list->next_;
        return list;
    }

    static void destroy(Retired* list) noexcept {
        while (list != nullptr) delete std::exchange(list, list->next_);
    }

    // Apart: every section reads the phase, every writer writes fresh_.
    alignas(64) std::atomic<std::uint32_t> phase_{0}; // written under lock_
    alignas(64) std::atomic<Retired*> fresh_{nullptr}; // a stack
    alignas(64) std::atomic<Retired*> batch_{nullptr}; // written under lock_
    SpinLock lock_;
    int passes_ = 0; // guarded by lock_: phases that have drained since batch_ was made
};

namespace {
constinit Reclaimer reclaimer;
} // namespace

std::uint32_t enter_section() {
    sched_point();
    ThreadSlot& slot = this_thread_slot();
    const std::uint32_t phase = reclaimer.phase();
    std::atomic<std::uint64_t>& entered = slot.entered[phase];
    entered.store(entered.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); // only this thread writes it
    std::atomic_thread_fence(std::memory_order_seq_cst); // pairs with those in nobody_reads() and advance(): see reclaim.h
    return phase;
}

void leave_section(std::uint32_t phase) noexcept {
    constexpr std::uint64_t kOften = 64; // ends of sections between two looks for what others have retired
    std::atomic<std::uint64_t>& left = this_thread_slot().left[phase];
    const std::uint64_t n = left.load(std::memory_order_relaxed) + 1;
    left.store(n, std::memory_order_release); // release: pairs with the acquire in drained()
    if (n % kOften == 0 && !reclaimer.idle()) reclaimer.collect();
}

void retire_all(Retired* first) noexcept { reclaimer.retire_all(first); }

} // namespace weir::detail
