#include <weir/once.h>

#include <weir/detail/planted.h>
#include <weir/detail/sched_point.h>
#include <weir/detail/sema.h>

namespace weir {

bool Once::begin() noexcept {
    detail::sched_point();
    detail::Waiter self;
    lock_.lock();
    switch (stage_.load(std::memory_order_relaxed)) {
    case Stage::New:
        stage_.store(Stage::Running, std::memory_order_relaxed);
        lock_.unlock();
        return true;
    case Stage::Running:
        if (detail::planted(detail::Bug::OnceLetsPass)) break;
        waiters_.push_back(self);
        detail::park_unlock(self, detail::WaitReason::OnceDo, lock_);
        return false;
    case Stage::Done:
        break;
    }
    lock_.unlock();
    return false;
}

void Once::finish() noexcept {
    detail::sched_point();
    lock_.lock();
    // release: pairs with the acquire in call().
    stage_.store(Stage::Done, std::memory_order_release);
    detail::Waiter* first = waiters_.take_all();
    lock_.unlock();
    detail::ready_all(first);
}

} // namespace weir
