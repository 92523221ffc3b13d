#include <weir/http_mux.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <weir/detail/print_later.h>
#include <weir/http_server.h>
#include <weir/panic.h>

namespace weir::http {

namespace {

void report(const Panic& panic, const Request& r) {
    const std::string message = panic.message();
    std::string line =
        "http: panic serving " + r.remote_addr() + ": " + r.method() + " " + r.path() + ": " + message;
    weir::detail::print_later(std::move(line), std::hash<std::string>()(message));
}

} // namespace

Handler recovered(Handler handler, std::function<void(const Panic&, const Request&)> on_panic) {
    if (!on_panic) on_panic = report;
    // Shared: a Handler is copied where a server starts, and this one may hold much.
    return [handler = std::make_shared<const Handler>(std::move(handler)), on_panic = std::move(on_panic)](ResponseWriter& w,
                                                                                                           const Request& r) {
        const auto p = catch_panic([&] { (*handler)(w, r); });
        if (!p) return;
        if (p->value<AbortHandler>()) panic(AbortHandler{});
        on_panic(*p, r);
        if (!w.reset() && w.status() != 0) panic(AbortHandler{});
        const int code = r.context().err() ? kStatusServiceUnavailable : kStatusInternalServerError;
        error(w, status_text(code), code);
    };
}

} // namespace weir::http
