#include <weir/signal_context.h>

#include <cctype>
#include <cstring>
#include <memory>
#include <vector>

#include <weir/go.h>
#include <weir/select.h>

namespace weir {

namespace {

/// name_of is Go's: "interrupt", "terminated".
std::string name_of(int signal) {
    const char* description = ::sigdescr_np(signal);
    std::string text = description != nullptr ? description : "signal " + std::to_string(signal);
    text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
    return text;
}

/// SignalContext is a with_cancel_cause under another name.
class SignalContext final : public ContextBase {
public:
    SignalContext(const Context& ctx, const Context& parent, std::initializer_list<int> signals)
        : ContextBase(ctx), parent_(parent), signals_(signals) {}

    std::string string() const override {
        std::string names;
        for (const int signal : signals_) names += (names.empty() ? "" : " ") + name_of(signal);
        return "signal.NotifyContext(" + parent_.string() + ", [" + names + "])";
    }

private:
    const Context parent_;
    const std::vector<int> signals_;
};

} // namespace

std::string SignalError::message() const { return name_of(signal) + " signal received"; }

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
    return {Context(std::make_unique<SignalContext>(ctx, parent, signals)), SignalStop(cancel, arrived)};
}

} // namespace weir
