// TimerHeap: pending timers of one worker or bubble, a 4-ary heap by time.
//
// Any thread may arm, stop, or run what is due: the heap's lock guards it and the place fields of its nodes. Callbacks run without the lock, one
// at a time a heap; `running` names the node meanwhile, which timer_stop() waits out. A node that fires once may be gone as soon as
// its callback has readied its owner, so nothing touches it after the call.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include <weir/detail/timer.h>
#include "runtime_lock.h"

namespace weir::detail {

constexpr std::int64_t kNever = INT64_MAX;

struct TimerHeap {
    /// Entry keeps the time beside the node: comparing does not touch the nodes, which lie on many stacks.
    struct Entry {
        std::int64_t when;
        TimerNode* node;
    };

    RuntimeLock lock;
    std::vector<Entry> nodes;               // guarded by lock
    TimerNode* running = nullptr;           // whose callback runs now; guarded by lock
    bool busy = false;                      // some thread is in run_due(); guarded by lock
    std::atomic<std::int64_t> first{kNever}; // time of the first node; written under lock, read by anyone deciding how long to sleep

    /// run_due runs the callbacks of everything due at `now`. Returns whether any ran.
    bool run_due(std::int64_t now);
    /// forget_all disarms everything: the heap is about to go, its nodes may stay.
    void forget_all() noexcept;
    /// drop_all does, and tells the nodes that want to know.
    void drop_all();

private:
    friend void timer_arm(TimerNode&, std::int64_t);
    void arm(TimerNode& node, std::int64_t when);
    friend bool timer_stop(TimerNode&) noexcept;
    void insert(TimerNode& node);
    void remove(TimerNode& node) noexcept;
    void sift_up(std::size_t i) noexcept;
    void sift_down(std::size_t i) noexcept;
    void place(Entry entry, std::size_t i) noexcept;
    void publish_first() noexcept;
};

/// timer_heap is the heap of that number. Heaps outlive the runs that use them: a timer that has fired may be stopped after its run.
TimerHeap& timer_heap(int index);

} // namespace weir::detail
