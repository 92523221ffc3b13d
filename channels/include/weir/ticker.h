// Timers as channels: after, tick, Timer, Ticker, after_func. Go's time package, with the semantics of Go 1.23.
//
//     select(recv(work, handle), recv(after(50ms), [] { give_up(); }));
//     Ticker t(1s);  for (time_point& now : t.c()) beat(now);
//     Timer idle(30s);  ...  idle.reset(30s);
//
// After stop() or reset() has returned no stale value can be received. A timer whose handles and channels are all gone is freed, fired or not.
// Thread safety: all operations may be called from any fiber or thread at the same time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include <weir/chan.h>
#include <weir/clock.h>
#include <weir/sleep.h>

namespace weir {

namespace detail {

struct TimerCore;

WEIR_API ChanHandle timer_start(std::int64_t ns, std::int64_t period_ns);
WEIR_API bool timer_core_stop(ChanCore* core);
WEIR_API bool timer_core_reset(ChanCore* core, std::int64_t ns, std::int64_t period_ns);

/// FuncTimer is the state behind after_func.
class FuncTimer;
WEIR_API std::shared_ptr<FuncTimer> func_timer_start(std::int64_t ns, std::function<void()> fn);
WEIR_API bool func_timer_stop(const std::shared_ptr<FuncTimer>& timer);
WEIR_API bool func_timer_reset(const std::shared_ptr<FuncTimer>& timer, std::int64_t ns);

WEIR_API std::int64_t ticker_period(std::int64_t ns, const char* where);

} // namespace detail

/// Timer sends the time on c() once, d after it was started. A cheap shared handle.
class Timer {
public:
    /// Starts the timer. d <= 0 fires at once; the maximum duration never does.
    template <class Rep, class Period>
    explicit Timer(std::chrono::duration<Rep, Period> d) : chan_(detail::timer_start(detail::to_ns(d), 0)) {}

    /// c is the channel the time is sent on; nil for after_func's timers.
    recv_chan<time_point> c() const { return detail::ChanMaker::make<recv_chan<time_point>>(chan_); }

    /// stop keeps the timer from firing; true if it was still going to. For after_func: false once the function has been started.
    bool stop() const { return func_ != nullptr ? detail::func_timer_stop(func_) : detail::timer_core_stop(chan_.get()); }

    /// reset starts it anew; true if it had been active. Any older value in c() is dropped.
    template <class Rep, class Period>
    bool reset(std::chrono::duration<Rep, Period> d) const {
        std::int64_t ns = detail::to_ns(d);
        return func_ != nullptr ? detail::func_timer_reset(func_, ns) : detail::timer_core_reset(chan_.get(), ns, 0);
    }

private:
    template <class Rep, class Period>
    friend Timer after_func(std::chrono::duration<Rep, Period> d, std::function<void()> fn);
    explicit Timer(std::shared_ptr<detail::FuncTimer> func) : func_(std::move(func)) {}

    detail::ChanHandle chan_;
    std::shared_ptr<detail::FuncTimer> func_;
};

/// Ticker sends the time on c() every d; a slow reader misses ticks, of which at most one waits. Does not close c(). A cheap shared handle.
class Ticker {
public:
    /// Panics "non-positive interval for NewTicker".
    template <class Rep, class Period>
    explicit Ticker(std::chrono::duration<Rep, Period> d) {
        std::int64_t ns = detail::ticker_period(detail::to_ns(d), "NewTicker");
        chan_ = detail::timer_start(ns, ns);
    }
    recv_chan<time_point> c() const { return detail::ChanMaker::make<recv_chan<time_point>>(chan_); }
    /// stop ends the ticks; c() stays open.
    void stop() const { detail::timer_core_stop(chan_.get()); }
    /// reset changes the period; the next tick is d from now. Panics "non-positive interval for Ticker.Reset".
    template <class Rep, class Period>
    void reset(std::chrono::duration<Rep, Period> d) const {
        std::int64_t ns = detail::ticker_period(detail::to_ns(d), "Ticker.Reset");
        detail::timer_core_reset(chan_.get(), ns, ns);
    }

private:
    detail::ChanHandle chan_;
};

/// after is a channel on which the time is sent once, d from now. Freed when dropped.
template <class Rep, class Period>
recv_chan<time_point> after(std::chrono::duration<Rep, Period> d) {
    return Timer(d).c();
}

/// tick is Ticker(d).c(); nil for d <= 0.
template <class Rep, class Period>
recv_chan<time_point> tick(std::chrono::duration<Rep, Period> d) {
    if (detail::to_ns(d) <= 0) return nil;
    return Ticker(d).c();
}

/// after_func runs fn in a fiber of its own, d from now, unless stopped.
template <class Rep, class Period>
Timer after_func(std::chrono::duration<Rep, Period> d, std::function<void()> fn) {
    return Timer(detail::func_timer_start(detail::to_ns(d), std::move(fn)));
}

} // namespace weir
