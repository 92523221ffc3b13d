// signal_notify: OS signals as values on a channel (Go's os/signal).
//
//     chan<int> stop(1);
//     signal_notify(stop, SIGTERM, SIGINT);
//     stop.recv();                            // then drain and leave
//
// Delivery never blocks: give the channel room for the signals you must not miss. While a signal is wanted its default action is off;
// signal_stop gives it back, and so does the end of run. Thread safety: any fiber or thread.
#pragma once

#include <initializer_list>

#include <weir/chan.h>

namespace weir {

namespace detail {
WEIR_API void signal_notify(const chan<int>& c, std::initializer_list<int> signals);
}

/// signal_notify sends each of the named signals that arrives from now on to c, once. Panics on a number that is no catchable signal, and
/// "os/signal: Notify using nil channel". signal_notify_context is in <weir/signal_context.h>.
template <class... Signals>
    requires(sizeof...(Signals) > 0)
void signal_notify(const chan<int>& c, Signals... signals) {
    detail::signal_notify(c, {static_cast<int>(signals)...});
}

/// signal_stop ends the delivery of signals to c: when it has returned none comes any more.
WEIR_API void signal_stop(const chan<int>& c);

} // namespace weir
