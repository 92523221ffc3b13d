// Contention: how a word that several threads change at every operation keeps the speed that one thread alone would have.
//
// Two threads that work on a cache line at once pay for moving it at each operation. So they take turns of some microseconds: who finds the word
// changed under it, by a CAS that failed, asks for its turn, and the other, which looks for that at each operation, stays away for as long.
#pragma once

#include <atomic>

#include <weir/detail/config.h>
#include <weir/detail/spinlock.h>

namespace weir::detail {

/// Turns belongs to a word and lies beside it, in the same cache line. A hint: all goes well, if slowly, without.
class Turns {
public:
    /// wanted: another thread asks for its turn. Who sees that calls take().
    bool wanted() const noexcept { return wanted_.load(std::memory_order_relaxed); }

    /// take returns when the caller may go on: after 500 ns when the word is calm, else when it is its turn, or after some microseconds in any case.
    template <class Word>
    WEIR_NOINLINE void take(const std::atomic<Word>& word) noexcept {
        if (wanted()) {
            wanted_.store(false, std::memory_order_relaxed);
            pause(kTurn);
        }
        if (is_calm(word)) return;
        if (wanted_.exchange(true, std::memory_order_relaxed)) return pause(kTurn); // a third one
        for (int looks = 0; looks < 2 * kLooks && wanted(); ++looks) pause(kLook);
        wanted_.store(false, std::memory_order_relaxed); // who should have seen it does something else now
    }

private:
    static constexpr int kTurn = 512; // pauses: 13 us
    static constexpr int kLook = 4;   // 100 ns: another thread has changed the word by then, even if it had to fetch the line
    static constexpr int kLooks = 5;

    template <class Word>
    static bool is_calm(const std::atomic<Word>& word) noexcept {
        const Word seen = word.load(std::memory_order_relaxed);
        for (int looks = 0; looks < kLooks; ++looks) { // several, because it may have changed and changed back
            pause(kLook);
            if (word.load(std::memory_order_relaxed) != seen) return false;
        }
        return true;
    }

    static void pause(int n) noexcept {
        while (n-- > 0) cpu_pause();
    }

    std::atomic<bool> wanted_{false};
};

} // namespace weir::detail
