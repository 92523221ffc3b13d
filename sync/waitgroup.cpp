#include <weir/waitgroup.h>

#include <weir/detail/planted.h>
#include <weir/detail/sched_point.h>
#include <weir/detail/sema.h>

namespace weir {

/// add_contended returns the state before.
std::uint64_t WaitGroup::add_contended(int n) noexcept {
    turns_.take(state_);
    return state_.fetch_add(pack(n), std::memory_order_acq_rel); // acq_rel: as in add()
}

void WaitGroup::add_slow(std::int32_t count) {
    if (count < 0) panic("sync: negative WaitGroup counter");
    if (count != 0) panic("sync: WaitGroup misuse: Add called concurrently with Wait");
    detail::sched_point();
    // The counter is zero and somebody waits. They cannot return before they are readied below, so the group is still there.
    lock_.lock();
    detail::Waiter* first = list_.take_all();
    std::uint32_t released = 0;
    for (detail::Waiter* w = first; w != nullptr; w = w->next) ++released;
    state_.fetch_sub(released, std::memory_order_relaxed);
    lock_.unlock();
    detail::ready_all(first);
}

/// join_bubble ties a round to the caller's bubble, or to none. Only called while there is some bubble: an id of one that has ended matches nobody.
void WaitGroup::join_bubble() {
    const std::uint32_t mine = detail::current_bubble_id();
    const std::uint32_t its = bubble_id_.load(std::memory_order_relaxed);
    if (mine == its) return;
    if (state_.load(std::memory_order_relaxed) == 0) return bubble_id_.store(mine, std::memory_order_relaxed);
    if (mine != 0 && its != 0) panic("sync: WaitGroup.Add called from multiple synctest bubbles");
    panic("sync: WaitGroup.Add called from inside and outside synctest bubble");
}

void WaitGroup::wait_slow() noexcept {
    detail::sched_point();
    const std::uint32_t bubble = detail::current_bubble_id();
    const bool durable = bubble != 0 && bubble == bubble_id_.load(std::memory_order_relaxed);
    detail::Waiter self;
    lock_.lock();
    std::uint64_t s = state_.load(std::memory_order_acquire);
    for (bool raced = false;; raced = true) {
        if (counter(s) == 0 || (raced && detail::planted(detail::Bug::WaitGroupWakesEarly))) {
            lock_.unlock();
            return;
        }
        detail::sched_point();
        // The CAS finds the counter above zero, so whoever brings it to zero sees this waiter.
        if (state_.compare_exchange_weak(s, s + 1, std::memory_order_acq_rel, std::memory_order_acquire)) break;
    }
    list_.push_back(self);
    detail::park_unlock(self, durable ? detail::WaitReason::SynctestWaitGroupWait : detail::WaitReason::WaitGroupWait, lock_);
}

} // namespace weir
