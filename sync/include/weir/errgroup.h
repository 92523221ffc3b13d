// ErrGroup: run tasks that can fail, wait for all, get the first error. Go's golang.org/x/sync/errgroup.
//
//     auto [g, ctx] = weir::with_errgroup(parent);          // ctx ends at the first failure
//     g.set_limit(8);
//     for (auto& url : urls) g.go([&, ctx = ctx] { return fetch(ctx, url); });
//     if (Error err = g.wait()) return err;
//
// A task that panics, or whose fiber is abandoned, fails with a PanicError, which holds the panic; one that calls goexit succeeds. A cheap shared handle: copies are the
// same group. When wait() returns, the tasks have ended and their functions are destroyed. Works on fibers and on plain OS threads.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include <weir/chan.h>
#include <weir/context.h>
#include <weir/defer.h>
#include <weir/detail/config.h>
#include <weir/error.h>
#include <weir/go.h>
#include <weir/once.h>
#include <weir/panic.h>
#include <weir/waitgroup.h>

namespace weir {

/// PanicError is the error of a task that panicked: err.as<PanicError>()->panic. It unwraps to the panic's value if that is an error or an
/// exception.
struct PanicError {
    Panic panic;
    std::string message() const { return "recovered from errgroup.Group: " + panic.message(); }
    Error unwrap() const { return Error(panic); }
};

namespace detail {

class WEIR_API ErrGroupState {
public:
    ErrGroupState() = default;
    explicit ErrGroupState(CancelCauseFunc cancel) noexcept : cancel_(std::move(cancel)) {}

    void enter();
    bool try_enter();
    void leave();
    void fail(Error err);
    void set_limit(int n);
    Error wait();

private:
    WaitGroup tasks_;
    chan<void> running_ = nil; // one value for each task under a limit; nil: no limit
    Once failed_;
    Error err_; // written once, in failed_, before that task leaves tasks_; read after tasks_.wait()
    CancelCauseFunc cancel_;
};

} // namespace detail

class ErrGroup {
public:
    /// A group without a context and without a limit. Allocates.
    ErrGroup() : state_(std::make_shared<detail::ErrGroupState>()) {}

    /// go runs fn, which returns an Error, on a new fiber; under a limit it blocks until fewer tasks run ("chan send"). The first error
    /// becomes wait()'s and cancels the group's context.
    template <class F>
        requires std::is_invocable_r_v<Error, std::decay_t<F>&>
    WEIR_ALWAYS_INLINE void go(F&& fn) {
        if (detail::is_null_function<std::decay_t<F>>(fn)) detail::go_nil_function();
        state_->enter();
        start(std::forward<F>(fn));
    }

    /// try_go is go if that need not wait; false otherwise.
    template <class F>
        requires std::is_invocable_r_v<Error, std::decay_t<F>&>
    WEIR_ALWAYS_INLINE bool try_go(F&& fn) {
        if (detail::is_null_function<std::decay_t<F>>(fn)) detail::go_nil_function();
        if (!state_->try_enter()) return false;
        start(std::forward<F>(fn));
        return true;
    }

    /// set_limit lets at most n tasks run at a time; 0 lets none start, a negative n lifts the limit. Panics "errgroup: modify limit while N
    /// goroutines in the group are still active".
    void set_limit(int n) { state_->set_limit(n); }

    /// wait blocks until all tasks have ended ("sync.WaitGroup.Wait"), ends the group's context, and returns the first error there was, if any;
    /// also when the group is used again.
    Error wait() { return state_->wait(); }

private:
    friend std::pair<ErrGroup, Context> with_errgroup(const Context& parent);
    explicit ErrGroup(CancelCauseFunc cancel) : state_(std::make_shared<detail::ErrGroupState>(std::move(cancel))) {}

    using State = std::shared_ptr<detail::ErrGroupState>;

    /// Task is the function of a task's fiber.
    template <class F>
    struct Task {
        State state;
        F fn;

        void operator()() {
            defer leave{[this] { end(); }};
            const std::optional<Panic> p = catch_panic([this] {
                F task(std::move(fn)); // so that it is gone before the task counts as ended
                if (Error err = task()) state->fail(std::move(err));
            });
            if (p) state->fail(PanicError{*p});
        }
        void abandoned(const Panic& why) {
            if (state == nullptr) return; // it had ended
            state->fail(PanicError{why});
            end();
        }
        void end() { std::exchange(state, nullptr)->leave(); }
    };

    template <class F>
    WEIR_ALWAYS_INLINE void start(F&& fn) {
        /// Leave takes the task off again when it could not be started.
        struct Leave {
            detail::ErrGroupState* state;
            ~Leave() {
                if (state != nullptr) state->leave();
            }
        } leave{state_.get()};
        weir::go(Task<std::decay_t<F>>{state_, std::forward<F>(fn)});
        leave.state = nullptr;
    }

    State state_;
};

/// with_errgroup makes a group and a context below `parent` that ends when a task fails (its cause is that error) or when wait() returns.
inline std::pair<ErrGroup, Context> with_errgroup(const Context& parent) {
    auto [ctx, cancel] = with_cancel_cause(parent);
    return {ErrGroup(std::move(cancel)), std::move(ctx)};
}

} // namespace weir
