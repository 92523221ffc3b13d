#include <weir/http_server.h>

#include <algorithm>
#include <cstdio>
#include <mutex>

#include <weir/defer.h>
#include <weir/go.h>
#include <weir/panic.h>
#include <weir/runtime.h>
#include <weir/select.h>

#include "server_conn.h"
#include "server_state.h"

namespace weir::http {

using namespace std::chrono_literals;
using detail::ServerConn;
using detail::ServerState;
using detail::Settings;

const Error kServerClosed{"http: Server closed"};

namespace detail {

ServerHandle::ServerHandle() : state_(std::make_shared<ServerState>()) {}
ServerHandle::~ServerHandle() {
    if (max_procs() == 0) return; // the runtime has gone, and the fibers that serve with it
    state_->begin_close();
    state_->close_all();
}

void log(const Settings& settings, std::string_view line) {
    if (settings.error_log) {
        settings.error_log(line);
    } else {
        std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
    }
}

bool ServerState::add_listener(const net::Listener& listener) {
    std::lock_guard hold(lock_);
    if (closing()) return false;
    listeners_.push_back(listener);
    return true;
}

void ServerState::remove_listener(const net::Listener& listener) {
    std::lock_guard hold(lock_);
    std::erase(listeners_, listener);
}

bool ServerState::add_conn(const std::shared_ptr<ServerConn>& conn) {
    std::lock_guard hold(lock_);
    if (closing()) return false;
    conn->index = conns_.size();
    conns_.push_back(conn);
    return true;
}

void ServerState::remove_conn(ServerConn& conn) {
    std::shared_ptr<ServerConn> removed; // destroyed after unlocking
    bool last = false;
    {
        std::lock_guard hold(lock_);
        conns_.back()->index = conn.index;
        std::swap(conns_[conn.index], conns_.back());
        removed = std::move(conns_.back());
        conns_.pop_back();
        last = closing() && conns_.empty() && !std::exchange(drained_closed_, true);
    }
    if (last) chan<void>(drained_).close();
}

Error ServerState::begin_close() {
    std::vector<net::Listener> listeners;
    bool first = false;
    bool drained = false;
    {
        std::lock_guard hold(lock_);
        // release: pairs with the acquire in closing().
        first = !closing_.exchange(true, std::memory_order_release);
        listeners.swap(listeners_);
        drained = first && conns_.empty();
        drained_closed_ |= drained;
    }
    if (first) chan<void>(stopped_).close();
    if (drained) chan<void>(drained_).close();
    Error result;
    for (const net::Listener& l : listeners) {
        if (Error err = l.close(); err && !result) result = err;
    }
    return result;
}

bool ServerState::close_idle() {
    std::vector<std::shared_ptr<ServerConn>> conns;
    {
        std::lock_guard hold(lock_);
        conns = conns_;
    }
    for (const auto& c : conns) c->close_if_idle();
    return conns.empty();
}

void ServerState::close_all() {
    std::vector<std::shared_ptr<ServerConn>> conns;
    {
        std::lock_guard hold(lock_);
        conns = conns_;
    }
    for (const auto& c : conns) c->close();
}

namespace {

/// is_passing tells whether accepting may succeed a little later: the process or the system is short of something.
bool is_passing(const Error& err) {
    return err.is(std::errc::too_many_files_open) || err.is(std::errc::too_many_files_open_in_system) ||
           err.is(std::errc::no_buffer_space) || err.is(std::errc::not_enough_memory);
}

void start_conn(net::Conn conn, const std::shared_ptr<ServerState>& state, const std::shared_ptr<const Settings>& settings) {
    auto served = std::make_shared<ServerConn>(std::move(conn), state, settings);
    if (!state->add_conn(served)) return served->close();
    const auto failed = catch_panic([&] { go({.name = "http.conn"}, [served] { served->serve(); }); });
    if (!failed) return;
    log(*settings, "http: cannot serve a connection: " + failed->message());
    served->close();
    state->remove_conn(*served);
}

Error accept_loop(const net::Listener& listener, const std::shared_ptr<ServerState>& state,
                  const std::shared_ptr<const Settings>& settings) {
    constexpr auto kFirstDelay = 5ms;
    constexpr auto kLongestDelay = 1000ms;
    auto delay = 0ms;
    for (;;) {
        auto [conn, err] = listener.accept();
        if (!err) {
            delay = 0ms;
            start_conn(std::move(conn), state, settings);
            continue;
        }
        if (state->closing()) return kServerClosed;
        if (!is_passing(err)) return err;
        delay = std::clamp(delay * 2, kFirstDelay, kLongestDelay);
        log(*settings, "http: Accept error: " + err.message() + "; retrying in " + std::to_string(delay.count()) + "ms");
        select(recv(state->stopped()), timeout(delay));
    }
}

} // namespace

} // namespace detail

Error Server::listen_and_serve() {
    if ((*state).closing()) return kServerClosed;
    auto [listener, err] = net::listen("tcp", addr.empty() ? ":80" : addr);
    if (err) return err;
    return serve(listener);
}

Error Server::serve(net::Listener listener) {
    const std::shared_ptr<ServerState> server = state.shared();
    defer close_listener{[&] {
        server->remove_listener(listener);
        listener.close();
    }};
    const auto settings = std::make_shared<const Settings>(Settings{
        .handler = handler ? handler : Handler(default_mux()),
        .read_timeout = read_timeout,
        .read_header_timeout = read_header_timeout,
        .write_timeout = write_timeout,
        .idle_timeout = idle_timeout,
        .max_header_bytes = max_header_bytes,
        .max_body_bytes = max_body_bytes,
        .error_log = error_log,
    });
    if (!server->add_listener(listener)) return kServerClosed;
    return detail::accept_loop(listener, server, settings);
}

Error Server::shutdown(const Context& ctx) {
    constexpr auto kLookAgain = 100ms; // for connections that went idle, or were new for too long, meanwhile
    const std::shared_ptr<ServerState> server = state.shared();
    const Error listener_error = server->begin_close();
    for (;;) {
        if (server->close_idle()) return listener_error;
        bool ended = false;
        select(recv(server->drained()), recv(ctx.done(), [&] { ended = true; }), timeout(kLookAgain));
        if (ended) return ctx.err();
    }
}

Error Server::close() {
    const std::shared_ptr<ServerState> server = state.shared();
    const Error listener_error = server->begin_close();
    server->close_all();
    return listener_error;
}

Error listen_and_serve(std::string_view addr, Handler handler) {
    Server server{.addr = std::string(addr), .handler = std::move(handler)};
    return server.listen_and_serve();
}

} // namespace weir::http
