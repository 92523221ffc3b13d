// http::Mux: routes requests to handlers by Go 1.22's patterns.
//
//     http::Mux mux;
//     mux.handle("GET /orders/{id}", get_order);           // r.path_value("id")
//     mux.handle("/static/", files);                       // everything below /static/
//     mux.handle("GET example.com/{rest...}", mirror);     // one host, the rest of the path
//     mux.handle("/{$}", home);                            // "/" and nothing else
//
// A pattern is "[METHOD ][HOST]/[PATH]". GET also matches HEAD. When several match, the most specific wins, whatever the order of
// registration; two that both match some request while neither is more specific conflict, and registering the second panics. No
// match: 404; a match for another method only: 405 with Allow. Paths are cleaned and "/tree" goes to "/tree/" by a redirect
// (307), as in Go.
//
// A Mux is a cheap shared handle: copies share the patterns. Thread safe; handlers may be added while it serves.
#pragma once

#include <functional>
#include <memory>
#include <source_location>
#include <string_view>

#include <weir/detail/config.h>
#include <weir/http_request.h>
#include <weir/http_response.h>

namespace weir::http {

/// Mux is Go's ServeMux, and a Handler.
class WEIR_API Mux {
public:
    Mux();

    /// handle registers a handler. Panics when the pattern is malformed or conflicts with an earlier one, saying where each was
    /// registered.
    void handle(std::string_view pattern, Handler handler, std::source_location where = std::source_location::current()) const;

    /// The Mux as a handler: dispatches the request.
    void operator()(ResponseWriter& w, const Request& r) const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

/// default_mux is the one that handle() below registers in and that a Server without a handler uses.
WEIR_API Mux& default_mux();
/// handle registers in default_mux().
WEIR_API void handle(std::string_view pattern, Handler handler, std::source_location where = std::source_location::current());

/// strip_prefix removes a prefix from the path and calls `handler`; 404 for a path that does not begin with it.
WEIR_API Handler strip_prefix(std::string_view prefix, Handler handler);

/// recovered contains panics: when `handler` panics the answer becomes 500, or 503 if r.context() is done, and on_panic (default:
/// one line on stderr, ten a second of the same message) is told. When part of the response has left already the connection is closed instead, so that the peer
/// sees it is broken.
WEIR_API Handler recovered(Handler handler, std::function<void(const Panic&, const Request&)> on_panic = {});

} // namespace weir::http
