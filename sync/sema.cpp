#include <weir/detail/sema.h>

#include <weir/detail/sched_point.h>

namespace weir::detail {

void Sema::acquire(WaitReason reason) noexcept {
    sched_point();
    Waiter self;
    lock_.lock();
    if (units_ > 0) {
        --units_;
        lock_.unlock();
        return;
    }
    waiters_.push_back(self);
    park_unlock(self, reason, lock_);
}

void Sema::release(std::uint32_t n) noexcept {
    sched_point();
    WaitList woken;
    lock_.lock();
    for (; n > 0 && !waiters_.empty(); --n) woken.push_back(*waiters_.pop_front());
    units_ += n;
    lock_.unlock();
    ready_all(woken.take_all());
}

void ready_all(Waiter* first) noexcept {
    while (first != nullptr) {
        Waiter* w = first;
        first = w->next; // before ready(): afterwards the waiter is gone
        ready(*w);
    }
}

} // namespace weir::detail
