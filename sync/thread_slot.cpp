#include "thread_slot.h"

#include <mutex>

#include <weir/detail/spinlock.h>

namespace weir::detail {

namespace {

std::atomic<ThreadSlot*> first_slot{nullptr};
SpinLock slots_lock; // guards `taken` of all slots, and adding one

thread_local ThreadSlot* my_slot __attribute__((tls_model("initial-exec"))) = nullptr;

ThreadSlot* take_free_slot() noexcept {
    const std::lock_guard lock(slots_lock);
    ThreadSlot* lowest = nullptr;
    for (ThreadSlot* slot = first_thread_slot(); slot != nullptr; slot = slot->next) {
        if (!slot->taken && (lowest == nullptr || slot->index < lowest->index)) lowest = slot;
    }
    if (lowest != nullptr) lowest->taken = true;
    return lowest;
}

ThreadSlot* add_slot() {
    auto* slot = new ThreadSlot; // never freed: readers of the list hold no lock
    const std::lock_guard lock(slots_lock);
    slot->next = first_slot.load(std::memory_order_relaxed);
    slot->index = slot->next != nullptr ? slot->next->index + 1 : 0;
    slot->taken = true;
    first_slot.store(slot, std::memory_order_release); // release: pairs with the acquire in first_thread_slot()
    return slot;
}

/// Lease gives the slot back when its thread ends.
struct Lease {
    ~Lease() {
        const std::lock_guard lock(slots_lock);
        my_slot->taken = false;
        my_slot = nullptr;
    }
};

WEIR_NOINLINE ThreadSlot& lease_slot() {
    ThreadSlot* slot = take_free_slot();
    my_slot = slot != nullptr ? slot : add_slot();
    static thread_local Lease lease;
    (void)&lease;
    return *my_slot;
}

} // namespace

// Not inlined: the compiler must not keep the address of a thread-local across a park.
WEIR_NOINLINE ThreadSlot& this_thread_slot() { return my_slot != nullptr ? *my_slot : lease_slot(); }

ThreadSlot* first_thread_slot() noexcept { return first_slot.load(std::memory_order_acquire); }

} // namespace weir::detail
