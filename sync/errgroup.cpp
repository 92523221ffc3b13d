#include <weir/errgroup.h>

#include <weir/detail/planted.h>

namespace weir::detail {

void ErrGroupState::enter() {
    if (running_) running_.send();
    tasks_.add(1);
}

bool ErrGroupState::try_enter() {
    if (running_ && !running_.try_send()) return false;
    tasks_.add(1);
    return true;
}

void ErrGroupState::leave() {
    const bool late = planted(Bug::ErrGroupKeepsSlot);
    if (running_ && !late) running_.recv(); // before done(): whoever has waited for all may start as many anew
    tasks_.done();
    if (running_ && late) running_.recv();
}

void ErrGroupState::fail(Error err) {
    failed_.call([&] {
        err_ = std::move(err);
        cancel_(err_);
    });
}

void ErrGroupState::set_limit(int n) {
    if (const std::size_t active = running_.len(); active != 0)
        panic(errorf("errgroup: modify limit while {} goroutines in the group are still active", active));
    running_ = n < 0 ? chan<void>(nil) : chan<void>(n);
}

Error ErrGroupState::wait() {
    tasks_.wait();
    cancel_(err_);
    return err_;
}

} // namespace weir::detail
