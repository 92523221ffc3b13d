// Contention: how a word that several threads change at every operation keeps the speed that one thread alone would have.
//
// Two threads that take turns on a cache line pay for moving it each time. So the first try of an operation is a CAS: when it fails, another thread
// has changed the word within the last nanoseconds, and stand_back() looks whether that goes on. If so it stays away for some
// microseconds, and the other gets a batch done undisturbed. Used before an operation, while the object is known to be there.
#pragma once

#include <atomic>
#include <cstdint>

#include <weir/detail/config.h>
#include <weir/detail/spinlock.h>

namespace weir::detail {

/// stand_back returns at once when the word has calmed down, and after about 3 us when it has not.
template <class Word>
WEIR_NOINLINE void stand_back(const std::atomic<Word>& word) noexcept {
    constexpr int kLooks = 4;
    constexpr int kPauses = 128;
    Word seen = word.load(std::memory_order_relaxed);
    for (int look = 0; look < kLooks; ++look) {
        cpu_pause();
        const Word now = word.load(std::memory_order_relaxed);
        if (now == seen) return;
        seen = now;
    }
    for (int pause = 0; pause < kPauses; ++pause) cpu_pause();
}

} // namespace weir::detail
