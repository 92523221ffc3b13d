// with_cancel, with_deadline and after_func: the kinds of contexts that can end.
#include <weir/context.h>

#include <weir/go.h>

#include "context_cancel.h"
#include "context_text.h"

namespace weir {

using detail::CancelLink;
using detail::ContextAccess;
using detail::Ender;

namespace {

class DeadlineLink final : public CancelLink {
public:
    DeadlineLink(const Context& parent, std::int64_t when, Error reason)
        : CancelLink(parent, Context::time_point(std::chrono::nanoseconds(when))), when_(when),
          timeout_reason_(std::move(reason)) {
        timer_.link = this;
        timer_.bubble = detail::current_bubble();
        timer_.callback = [](detail::TimerNode& node) { static_cast<Timer&>(node).link->fire(); };
    }

    ~DeadlineLink() override {
        if (armed_) timer_stop(timer_); // waits for fire() to be over
    }

    std::string string() const override { return embedded().string() + ".WithDeadline(" + detail::deadline_text(when_) + ")"; }

    void start() {
        if (when_ == INT64_MAX) return;
        if (when_ <= detail::clock_now()) return cancel(kDeadlineExceeded, timeout_reason_);
        timer_arm(timer_, when_);
        // Either on_end() finds armed_ set, or this finds that the link has ended: both look under lock_ after their own change.
        lock_.lock();
        armed_ = true;
        lock_.unlock();
        if (!live()) timer_stop(timer_);
    }

private:
    struct Timer : detail::TimerNode {
        DeadlineLink* link;
    };

    void fire() {
        // Under lock_: catch_up() either finds missed_ set, or has made this try succeed.
        lock_.lock();
        missed_ = !ContextAccess::try_retain(*this);
        const bool missed = missed_;
        lock_.unlock();
        if (missed) return;
        cancel(kDeadlineExceeded, timeout_reason_, Ender::TimerCallback);
        let_go(*this, Ender::TimerCallback);
    }

    void on_end(Ender ender) override {
        lock_.lock();
        const bool armed = armed_;
        lock_.unlock();
        if (armed && ender != Ender::TimerCallback) timer_stop(timer_);
    }

    bool ends_by_itself() const noexcept override { return armed_; }

    void catch_up() override {
        lock_.lock();
        const bool missed = missed_;
        lock_.unlock();
        if (missed) cancel(kDeadlineExceeded, timeout_reason_);
    }

    const std::int64_t when_;
    const Error timeout_reason_;
    Timer timer_;
    bool armed_ = false;  // guarded by lock_; the maker sets it
    bool missed_ = false; // guarded by lock_: it was time, but nobody held the link
};

class AfterFuncLink final : public CancelLink {
public:
    AfterFuncLink(const Context& parent, std::unique_ptr<detail::Task> task) : CancelLink(parent), task_(std::move(task)) {}

    bool stop() {
        if (taken_.exchange(true, std::memory_order_acq_rel)) return false;
        const std::unique_ptr<detail::Task> unused = std::move(task_);
        cancel(kCanceled, {});
        return true;
    }

private:
    void on_end(Ender) override {
        if (taken_.exchange(true, std::memory_order_acq_rel)) return;
        weir::go([task = std::move(task_)] { task->run(); });
    }

    std::atomic<bool> taken_{false}; // elects who has task_: the run or stop()
    std::unique_ptr<detail::Task> task_;
};

CancelLink* link_of(const Context& ctx) { return static_cast<CancelLink*>(ctx.base()); }

} // namespace

std::pair<Context, CancelFunc> with_cancel(const Context& parent) {
    auto* link = new CancelLink(parent);
    Context ctx(link); // before join(), which may end the link
    link->join();
    return {ctx, CancelFunc(ctx)};
}

std::pair<Context, CancelCauseFunc> with_cancel_cause(const Context& parent) {
    auto* link = new CancelLink(parent);
    Context ctx(link);
    link->join();
    return {ctx, CancelCauseFunc(ctx)};
}

void CancelFunc::operator()() const {
    if (ctx_ != background()) link_of(ctx_)->cancel(kCanceled, {});
}

void CancelCauseFunc::operator()(const Error& reason) const {
    if (ctx_ != background()) link_of(ctx_)->cancel(kCanceled, reason);
}

bool StopFunc::operator()() const {
    return registration_ != background() && static_cast<AfterFuncLink*>(registration_.base())->stop();
}

namespace detail {

std::pair<Context, CancelFunc> with_deadline(const Context& parent, std::int64_t when, const Error& reason) {
    const auto inherited = parent.deadline();
    if (inherited && inherited->time_since_epoch().count() < when) return with_cancel(parent);
    auto* link = new DeadlineLink(parent, when, reason);
    Context ctx(link);
    link->join();
    if (link->live()) link->start();
    return {ctx, CancelFunc(ctx)};
}

StopFunc after_func(const Context& ctx, std::unique_ptr<Task> task) {
    auto* link = new AfterFuncLink(ctx, std::move(task));
    Context registration(link);
    link->join(detail::Keep::UntilEnd);
    return StopFunc(registration);
}

} // namespace detail

} // namespace weir
