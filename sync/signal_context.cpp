#include <weir/signal_context.h>

#include <cctype>
#include <cstring>

#include <weir/go.h>
#include <weir/select.h>

namespace weir {

std::string SignalError::message() const {
    const char* description = ::sigdescr_np(signal);
    std::string text = description != nullptr ? description : "signal " + std::to_string(signal);
    text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0]))); // Go's names: "interrupt", "terminated"
    return text + " signal received";
}

void SignalStop::operator()() const {
    cancel_();
    signal_stop(signals_);
}

std::pair<Context, SignalStop> detail::signal_notify_context(const Context& parent, std::initializer_list<int> signals) {
    chan<int> arrived(1);
    auto [ctx, cancel] = with_cancel_cause(parent);
    detail::signal_notify(arrived, signals);
    weir::go([arrived, done = ctx.done(), cancel = cancel] {
        Error reason;
        select(recv(arrived, [&](int signal) { reason = SignalError{signal}; }), recv(done));
        signal_stop(arrived); // before the context ends: who has seen that may rely on the default action
        cancel(reason);
    });
    return {ctx, SignalStop(cancel, arrived)};
}

} // namespace weir
