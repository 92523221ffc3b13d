#include <weir/semaphore.h>

#include <weir/chan.h>
#include <weir/detail/planted.h>
#include <weir/detail/sched_point.h>
#include <weir/panic.h>
#include <weir/select.h>

namespace weir {

/// Entry is one who waits, on its stack. Under a context that can end it waits in a select for `admitted` to be closed; else it parks.
struct Semaphore::Entry : detail::Waiter {
    explicit Entry(std::int64_t units) noexcept : n(units) {}

    const std::int64_t n;
    chan<void> admitted = nil;
    bool in = false; // guarded by lock_: off the line, holding its units; about to be woken
};

detail::Waiter* Semaphore::let_in() noexcept {
    detail::WaitList fit;
    while (auto* first = static_cast<Entry*>(waiters_.front())) {
        if (first->n > size_ - held_) break;
        waiters_.remove(*first);
        held_ += first->n;
        first->in = true;
        fit.push_back(*first);
    }
    return fit.take_all();
}

void Semaphore::wake(detail::Waiter* first) {
    while (first != nullptr) {
        auto& entry = static_cast<Entry&>(*first);
        first = first->next; // before the wake: afterwards the entry is gone
        if (entry.admitted == nil) {
            ready(entry);
        } else {
            const chan<void> admitted = entry.admitted; // close() goes on using the channel after the entry has gone
            admitted.close();
        }
    }
}

Error Semaphore::acquire_slow(const Context& ctx, std::int64_t n) {
    Entry self(n);
    const recv_chan<void> done = ctx.done();
    const bool can_end = !(done == nil);
    if (can_end) self.admitted = chan<void>();
    detail::sched_point(); // somebody may release meanwhile
    lock_.lock();
    const bool jumps = detail::planted(detail::Bug::SemaphoreJumpsLine) && n <= size_ - held_;
    if (jumps) held_ += n;
    if (jumps || take(n)) {
        lock_.unlock();
        return {};
    }
    if (n > size_) {
        lock_.unlock();
        done.recv();
        return ctx.err();
    }
    waiters_.push_back(self);
    if (!can_end) {
        detail::park_unlock(self, detail::WaitReason::SemaphoreAcquire, lock_);
        return {};
    }
    lock_.unlock();
    const bool ended = select(recv(self.admitted), recv(done)) == 1;
    if (ended) {
        give_up(self);
        return ctx.err();
    }
    if (Error err = ctx.err()) { // select chose at random between the two: the end of ctx has precedence, as in Go
        release(n);
        return err;
    }
    return {};
}

/// give_up leaves the line, or gives back what the caller was let in with at the last moment.
void Semaphore::give_up(Entry& self) {
    detail::sched_point();
    lock_.lock();
    const bool in = self.in;
    if (in) {
        held_ -= self.n;
    } else {
        waiters_.remove(self);
    }
    detail::Waiter* fit = let_in();
    lock_.unlock();
    wake(fit);
    if (in) self.admitted.recv(); // until then wake() on another fiber may touch self
}

void Semaphore::release_slow(bool held) {
    detail::Waiter* fit = held ? let_in() : nullptr;
    lock_.unlock();
    if (!held) panic("semaphore: released more than held");
    wake(fit);
}

} // namespace weir
