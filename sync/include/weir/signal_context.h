// signal_notify_context: a context that ends when the process is told to, Go's signal.NotifyContext.
//
//     auto [ctx, stop] = weir::signal_notify_context(weir::background(), SIGINT, SIGTERM);
//     weir::defer d{stop};
//     ctx.done().recv();                                     // then drain and leave; whoever is impatient presses Ctrl-C again
//
// The first of the signals ends the context, with a SignalError as cause, and gives all of them their default action back: the second SIGINT
// kills. (In Go that takes a call of stop().) Thread safety: any fiber or thread.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>

#include <weir/chan.h>
#include <weir/context.h>
#include <weir/detail/config.h>
#include <weir/error.h>
#include <weir/signal.h>

namespace weir {

/// SignalError is the cause of a context that a signal has ended: "interrupt signal received". It is(kCanceled) too.
struct WEIR_API SignalError {
    int signal;
    std::string message() const;
    bool is(const Error& target) const { return target == kCanceled; }
};

/// SignalStop ends the context with kCanceled, if nothing has yet, and the signals' delivery: when it has returned they have their default
/// action back, unless others want them. A cheap shared handle.
class WEIR_API SignalStop {
public:
    SignalStop(CancelCauseFunc cancel, chan<int> signals) : cancel_(std::move(cancel)), signals_(std::move(signals)) {}
    void operator()() const;

private:
    CancelCauseFunc cancel_;
    chan<int> signals_;
};

namespace detail {
WEIR_API std::pair<Context, SignalStop> signal_notify_context(const Context& parent, std::initializer_list<int> signals);
}

/// signal_notify_context derives a context that ends when one of the signals arrives, or as with_cancel. One fiber waits for that, until the
/// context has ended. Panics as signal_notify.
template <class... Signals>
    requires(sizeof...(Signals) > 0)
std::pair<Context, SignalStop> signal_notify_context(const Context& parent, Signals... signals) {
    return detail::signal_notify_context(parent, {static_cast<int>(signals)...});
}

} // namespace weir
