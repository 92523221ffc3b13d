// TimerHeap: pending timers of one worker or bubble, a 4-ary heap by time.
//
// Any thread may arm, stop, or run what is due. The heap's lock guards the heap, not its nodes: an armed node stands in a TimerPlace, and
// stopping it takes it out of there by one CAS. Its entry stays behind as garbage, as in Go, until it comes to the top or a quarter of the heap
// is garbage. So an entry names a place rather than a node, which may be gone by then; places are never freed, only reused.
//
//     place.holds:   0          nothing: stopped, or fired
//                    node       the node is pending
//                    node | 1   its callback runs; timer_stop() waits it out
//
// Callbacks run without the lock, a batch at a time, by one thread a heap. A node that fires once may be gone as soon as its callback has readied its owner, so
// nothing touches it after the call.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include <weir/detail/timer.h>
#include "runtime_lock.h"

namespace weir::detail {

constexpr std::int64_t kNever = INT64_MAX;

class TimerHeap;

struct TimerPlace {
    std::atomic<std::uintptr_t> holds{0};
    TimerHeap* heap = nullptr;       // whose place this is
    TimerPlace* next_free = nullptr; // guarded by the heap's lock
    union {                          // guarded by the heap's lock
        std::uint64_t order = 0;     // of a heap AsArmed: among those of one time
        const void* wakes;           // of any other: the node's
    };
};

class TimerHeap {
public:
    /// Ties says in which order timers of one time fire: any, or that in which they were armed, or ticked last; in a seeded run one that is drawn from the seed.
    enum class Ties : std::uint8_t { Any, AsArmed };
    explicit TimerHeap(Ties ties = Ties::Any) noexcept : ties_(ties) {}

    RuntimeLock lock;
    std::atomic<std::int64_t> first{kNever}; // time of the first entry; written under lock, read by anyone deciding how long to sleep

    /// run_due runs the callbacks of what is due at `now`, a batch at most: what they make ready is to run while it is in the caches. Returns
    /// whether any ran.
    bool run_due(std::int64_t now);
    /// run_all_due runs batches until nothing is due, save what another thread has begun with. Not to be called from a callback.
    void run_all_due(std::int64_t now);
    /// next is the time of the first timer that has not been stopped.
    std::int64_t next() noexcept;
    /// forget_all disarms everything: the run is over, its nodes may stay.
    void forget_all() noexcept;
    /// drop_all does, and tells the nodes that want to know; false when there were none.
    bool drop_all();

    void arm(TimerNode& node, std::int64_t when);
    /// left_garbage notes that a node was taken out of a place of this heap.
    void left_garbage() noexcept { garbage_.fetch_add(1, std::memory_order_relaxed); }

private:
    /// Entry keeps the time beside the place: comparing touches neither places nor nodes, which lie on many stacks.
    struct Entry {
        std::int64_t when;
        TimerPlace* place;
    };

    static constexpr std::size_t kBatch = 64;
    enum class Fired : std::uint8_t { Not, Once, Again };

    bool before(const Entry& a, const Entry& b) const noexcept;
    std::uint64_t next_order() noexcept;
    void insert(TimerNode& node);
    std::size_t take_due(std::int64_t now, Entry (&due)[kBatch]) noexcept;
    Fired fire(Entry& entry, std::int64_t now);
    void push(Entry entry);
    TimerPlace* take_place();
    void give_place(TimerPlace* place) noexcept;
    void drop_first() noexcept;
    bool mostly_clean() const noexcept;
    void sweep() noexcept;
    void sift_up(std::size_t i) noexcept;
    void sift_down(std::size_t i) noexcept;
    void publish_first() noexcept;

    const Ties ties_;
    // All guarded by lock, but garbage_.
    std::vector<Entry> entries_;
    TimerPlace* free_places_ = nullptr;
    std::uint64_t pushed_ = 0;               // entries, if AsArmed
    bool busy_ = false;                      // some thread is in run_due()
    std::atomic<std::int32_t> garbage_{0};   // entries whose node was stopped; counted after the stop, so that it may lag behind
};

/// real_now is CLOCK_MONOTONIC, also where mono_now() is a clock that is set.
std::int64_t real_now() noexcept;
/// set_clock makes mono_now() stand at `now`; 0 lets it go again.
void set_clock(std::int64_t now) noexcept;

/// timer_heap is the heap of that number. Heaps outlive the runs that use them: a timer that has fired may be stopped after its run.
TimerHeap& timer_heap(int index);

} // namespace weir::detail
