// Bubble: the fibers of one synctest::test(), their clock and timers, and how many of them could still do something.
//
// The root is the fiber that called test(): it belongs to the bubble, runs its timers, and moves its clock on. It is parked otherwise.
//
// Invariants:
//   - `running` counts the fibers, the root included, that are not durably blocked: running, runnable, or parked where something outside the bubble may
//     wake them. It goes up before a fiber is published to be run and down after a parked one has been published to be woken: it is never too low.
//   - Whoever takes it to zero wakes the one that goes on: the fiber in wait(), or the root. Until then nothing in the bubble changes, so that `now`,
//     `waiter` and the choice need no lock.
//   - Only a fiber of the bubble wakes a durably blocked one; any other is caught.
//   - Bubbles are never freed but used again under another id: channels remember the id, and a timer that outlived its bubble may still be
//     stopped (as the workers' heaps outlive their runs).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include <weir/detail/bubble.h>
#include <weir/detail/park.h>
#include "fiber.h"
#include "runtime_lock.h"
#include "timers.h"

namespace weir::detail {

struct PanicRecord;

struct Bubble {
    static constexpr std::int64_t kEpoch = 946'684'800'000'000'000; // midnight UTC 2000-01-01

    std::atomic<std::uint32_t> id{0};  // 0: free
    std::int64_t now = kEpoch;         // ns; the root's, while it alone runs
    TimerHeap timers{TimerHeap::Ties::AsArmed};
    std::atomic<std::int64_t> running{0};
    Fiber* root = nullptr;
    Fiber* main = nullptr;             // the fiber that runs test()'s function
    bool main_done = false;            // written by main at its end
    Fiber* waiter = nullptr;           // parked in wait()
    std::atomic<bool> waiting{false};  // somebody is in wait()
    RuntimeLock lock;
    Ties* fibers = nullptr;                 // all but the root; guarded by lock
    std::shared_ptr<PanicRecord> panic;     // the first that nobody recovered; written under lock
    Bubble* next = nullptr;                 // in the pool's list of all; never changes
    Bubble* next_free = nullptr;            // guarded by the pool's lock

    /// join makes f one of the bubble's fibers, leave ends that. f is not running yet, or no more.
    void join(Fiber& f);
    void leave(Fiber& f) noexcept;

    /// take keeps the first panic that ends a fiber, for test() to go on with. False: there is one already.
    bool take(const std::shared_ptr<PanicRecord>& record);

    /// blocked counts one fiber as durably blocked.
    void blocked() noexcept;
    /// resume counts a durably blocked fiber as running again; the caller wakes it. Fatal when the caller is not of the bubble; false when the bubble
    /// has ended.
    bool resume(Ties& ties) noexcept;

private:
    void all_blocked() noexcept;
};

/// cut_ties takes a fiber that has ended, or will not run, out of its bubble and frees its ties. It may be what the bubble has been waiting for.
void cut_ties(Fiber& f) noexcept;

/// is_durable tells whether only the bubble of a fiber parked for that reason can wake it.
bool is_durable(WaitReason reason) noexcept;

inline Bubble* bubble_of(const Fiber& f) noexcept { return f.ties != nullptr ? f.ties->bubble : nullptr; }

/// forget_bubbles: the run is over, and with it all bubbles.
void forget_bubbles() noexcept;

/// dump_bubble renders the bubble's fibers, all of which are parked.
std::string dump_bubble(Bubble& bubble);

} // namespace weir::detail
