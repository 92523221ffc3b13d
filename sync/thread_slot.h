// ThreadSlot: what each OS thread has of its own in this module: its sections of the reclaimer, its caches in pools.
//
// A slot belongs to one living OS thread, which alone writes its counters; the next thread goes on with what it finds there. Slots are never
// freed. A fiber must not keep one across a park: it may go on on another thread.
#pragma once

#include <atomic>
#include <cstdint>

#include <weir/detail/config.h>

namespace weir::detail {

struct alignas(64) ThreadSlot {
    // Read sections entered and left on this thread, by phase. A section may be left on another thread than it was entered on, so that only
    // the sums over all threads mean something.
    std::atomic<std::uint64_t> entered[2] = {};
    std::atomic<std::uint64_t> left[2] = {};

    std::uint32_t retired = 0; // this thread's calls that had to leave something for later

    std::uint32_t index = 0;     // 0, 1, 2, ...; small: the lowest free one is given out
    ThreadSlot* next = nullptr;  // in the list of all slots, constant once it is in there
    bool taken = false;          // guarded by the list's lock
};

/// this_thread_slot is the calling thread's. Allocates at a thread's first call.
ThreadSlot& this_thread_slot();

/// first_thread_slot begins the list of all slots there have ever been; follow `next`.
ThreadSlot* first_thread_slot() noexcept;

} // namespace weir::detail
