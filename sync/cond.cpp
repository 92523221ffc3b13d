#include <weir/cond.h>

#include <weir/detail/planted.h>
#include <weir/detail/sched_point.h>
#include <weir/detail/sema.h>

// Go's notifyList. wait() must be in line before it unlocks the mutex, but may park only afterwards; a ticket bridges the gap. A
// signal serves the oldest ticket: either its holder has parked and is readied, or it finds its ticket served when it comes to
// park.

namespace weir {

struct Cond::Entry : detail::Waiter {
    explicit Entry(std::uint32_t t) noexcept : ticket(t) {}
    std::uint32_t ticket;
};

std::uint32_t Cond::take_ticket() noexcept {
    lock_.lock();
    const std::uint32_t ticket = next_++;
    lock_.unlock();
    return ticket;
}

void Cond::park_with(std::uint32_t ticket) noexcept {
    Entry self(ticket);
    lock_.lock();
    const bool served = !detail::planted(detail::Bug::CondLosesWake) && static_cast<std::int32_t>(ticket - served_) < 0;
    if (served) {
        lock_.unlock();
        return;
    }
    waiters_.push_back(self);
    detail::park_unlock(self, detail::WaitReason::CondWait, lock_);
}

void Cond::wait() {
    detail::sched_point();
    const Locker locker = locker_; // the Cond may be destroyed once everyone has been woken
    const std::uint32_t ticket = take_ticket();
    locker.unlock(locker.mu);
    detail::sched_point();
    park_with(ticket);
    locker.lock(locker.mu);
}

void Cond::signal() noexcept {
    detail::sched_point();
    detail::Waiter* found = nullptr;
    lock_.lock();
    if (served_ != next_) {
        const std::uint32_t ticket = served_++;
        // Holders park in nearly the order of their tickets: this looks at one or two.
        for (found = waiters_.front(); found != nullptr && static_cast<Entry*>(found)->ticket != ticket;) found = found->next;
        if (found != nullptr) waiters_.remove(*found);
    }
    lock_.unlock();
    if (found != nullptr) ready(*found);
}

void Cond::broadcast() noexcept {
    detail::sched_point();
    lock_.lock();
    served_ = next_;
    detail::Waiter* first = waiters_.take_all();
    lock_.unlock();
    detail::ready_all(first);
}

} // namespace weir
