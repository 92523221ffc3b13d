// http::Server: serves HTTP/1.1, one fiber a connection, Go's net/http Server.
//
//     http::Server srv{.addr = ":8080", .handler = mux};
//     go([&] { stop.recv(); auto [ctx, cancel] = with_timeout(background(), 10s); srv.shutdown(ctx); });
//     if (Error err = srv.listen_and_serve(); err != http::kServerClosed) log(err.message());
//
// Keep-alive, pipelining, Content-Length and chunked bodies, Expect: 100-continue, HTTP/1.0 and HEAD. The body of a request is
// read whole, up to max_body_bytes, before its handler runs. A malformed request is answered 400, a header over the limit 431, a
// body over the limit 413, and the connection closed. A handler that panics loses its connection, is logged, and hurts nobody
// else; http::recovered answers 500 instead. One whose crash cannot be unwound (abort) is answered 500 too, if nothing has been
// sent yet, and its connection closed.
//
// Thread safety: the settings are read when serving starts and must not change afterwards; the functions may be called from
// anywhere, several serve() at once. Destroying a Server closes it as close() does; connections whose handlers still run end by
// themselves.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <weir/context.h>
#include <weir/detail/config.h>
#include <weir/error.h>
#include <weir/http_mux.h>
#include <weir/http_response.h>
#include <weir/net.h>

namespace weir::http {

/// kServerClosed: "http: Server closed", what serving ends with after shutdown() or close().
extern WEIR_API const Error kServerClosed;

/// AbortHandler: a handler that panics with this value breaks off its response and connection without a word in the log.
struct AbortHandler {
    std::string message() const { return "net/http: abort Handler"; }
};

namespace detail {
class ServerState;

/// ServerHandle owns what a running Server needs beside its settings, so that Server can stay an aggregate.
class WEIR_API ServerHandle {
public:
    ServerHandle();
    ~ServerHandle();
    ServerHandle(const ServerHandle&) = delete;
    ServerHandle& operator=(const ServerHandle&) = delete;

    ServerState& operator*() const noexcept { return *state_; }
    const std::shared_ptr<ServerState>& shared() const noexcept { return state_; }

private:
    std::shared_ptr<ServerState> state_;
};
} // namespace detail

/// Server is an aggregate: set fields by name. A duration of 0 means no limit.
struct WEIR_API Server {
    std::string addr = {};                             ///< "host:port" for listen_and_serve; "" means ":80"
    Handler handler = {};                              ///< empty: default_mux()
    std::chrono::nanoseconds read_timeout = {};        ///< for a whole request, body included
    std::chrono::nanoseconds read_header_timeout = {}; ///< for its header; 0: read_timeout
    std::chrono::nanoseconds write_timeout = {};       ///< from the end of the request's header to the end of the response
    std::chrono::nanoseconds idle_timeout = {};        ///< between two requests of a connection; 0: read_timeout
    std::size_t max_header_bytes = 1 << 20;
    std::uint64_t max_body_bytes = 10 << 20;                   ///< 0: no limit
    std::function<void(std::string_view line)> error_log = {}; ///< called from many fibers; empty: stderr

    detail::ServerHandle state = {}; ///< not a setting

    /// listen_and_serve listens on addr and serves until shutdown() or close(), then returns kServerClosed at once, while
    /// shutdown() may still be waiting; or it returns why it could not listen or accept. Blocks.
    Error listen_and_serve();
    /// serve serves the connections of a listener, which it closes at the end.
    Error serve(net::Listener listener);

    /// shutdown stops accepting, closes idle connections and waits until the busy ones have answered; nil then, or ctx's error
    /// when that ends first. Contexts of running requests are not cancelled, as in Go.
    Error shutdown(const Context& ctx);
    /// close closes everything at once; running handlers see their contexts cancelled.
    Error close();
};

/// listen_and_serve serves `handler`, or default_mux() when it is empty, on addr.
WEIR_API Error listen_and_serve(std::string_view addr, Handler handler = {});

} // namespace weir::http
