#include <weir/net.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <unistd.h>

#include <weir/chan.h>
#include <weir/clock.h>

#include "resolve.h"
#include "socket.h"

namespace weir::net {

using detail::IoResult;
using detail::IoStatus;
using detail::Network;
using detail::SockAddr;
using detail::Socket;
using Clock = std::chrono::steady_clock;

namespace {

/// What ctx's end means to a dial, in Go's words.
struct DialTimeout {
    std::string message() const { return "i/o timeout"; }
    bool timeout() const { return true; }
    bool is(const Error& target) const { return target == kDeadlineExceeded || target == kTimeout; }
};
struct DialCanceled {
    std::string message() const { return "operation was canceled"; }
    bool is(const Error& target) const { return target == kCanceled; }
};

Error map_context_error(const Error& err) {
    if (err == kCanceled) return DialCanceled{};
    if (err == kDeadlineExceeded) return DialTimeout{};
    return err;
}

/// start_connect makes a socket that is connecting, or connected, to addr. Not inlined: see fd.h about errno.
WEIR_NOINLINE std::pair<std::shared_ptr<Socket>, Error> start_connect(const Network& network, const SockAddr& addr,
                                                                      bool& connected) {
    const int fd = detail::new_socket(addr.family());
    if (fd < 0) return {nullptr, detail::call_error("socket", -fd)};
    auto socket = std::make_shared<Socket>(fd, detail::short_name(network));
    if (!network.is_unix()) detail::set_tcp_defaults(fd);
    int r;
    do {
        r = ::connect(fd, addr.get(), addr.size);
    } while (r < 0 && errno == EINTR);
    connected = r == 0 || errno == EISCONN;
    if (!connected && errno != EINPROGRESS && errno != EALREADY) return {nullptr, detail::call_error("connect", errno)};
    // Only now: an unconnected socket reports a hang-up to the poller.
    if (const int e = socket->fd.start(); e != 0) return {nullptr, detail::call_error("epoll_ctl", e)};
    return {std::move(socket), Error()};
}

/// await_connect waits for a connection to stand, or for ctx or `deadline`.
Error await_connect(const Context& ctx, const std::shared_ptr<Socket>& socket, Deadline deadline) {
    socket->fd.set_deadline(false, true, deadline.when());
    chan<void> interrupted;
    auto stop = after_func(ctx, [socket, interrupted]() mutable {
        socket->fd.set_deadline(false, true, 1);
        interrupted.close();
    });
    const IoResult r = socket->fd.wait_connected();
    const bool cancelled = !stop();
    // The interruption may come late: it must not hit the connection once it is the caller's.
    if (cancelled) interrupted.recv();
    if (r.status == IoStatus::Errno) return detail::call_error("connect", r.error);
    if (cancelled) return map_context_error(ctx.err());
    if (r.status != IoStatus::Ok) return DialTimeout{};
    socket->fd.set_deadline(false, true, 0);
    return {};
}

/// self_connected: a TCP socket that dials a free local port may be given that very port and meet itself.
bool self_connected(const Socket& s) noexcept {
    return s.local.family() != AF_UNIX && s.local.port() != 0 && s.local.port() == s.remote.port() &&
           s.local.text() == s.remote.text();
}

/// dial_address tries one address.
std::pair<Conn, Error> dial_address(const Context& ctx, const Network& network, const SockAddr& addr, Deadline deadline) {
    constexpr int kAttempts = 3; // a self-connection is not the peer: Go tries again as often
    for (int attempt = 1;; ++attempt) {
        bool connected = false;
        auto [socket, err] = start_connect(network, addr, connected);
        if (!err && !connected) err = await_connect(ctx, socket, deadline);
        if (err) return {Conn(), err};
        socket->fd.with_fd([&, s = socket.get()](int fd) {
            s->local = detail::local_of(fd);
            s->remote = detail::peer_of(fd);
        });
        if (socket->remote.size == 0) socket->remote = addr;
        if (attempt < kAttempts && self_connected(*socket)) continue;
        return {detail::SocketAccess::conn(std::move(socket)), Error()};
    }
}

/// share_of gives one of `left` addresses its part of the time, at least two seconds of it (Go's partialDeadline).
Deadline share_of(const std::optional<Clock::time_point>& end, std::size_t left) {
    if (!end) return {};
    const auto now = weir::now();
    const auto rest = *end - now;
    return Deadline(now + std::min(rest, std::max<Clock::duration>(rest / static_cast<long>(left), std::chrono::seconds(2))));
}

} // namespace

std::pair<Conn, Error> dial(const Context& ctx, std::string_view network_name, std::string_view address) {
    const Network network = detail::parse_network(network_name);
    const auto fail = [&](std::string at, Error err) -> std::pair<Conn, Error> {
        return {Conn(), OpError{"dial", std::string(network_name), "", std::move(at), map_context_error(err)}};
    };
    if (network.name == nullptr) return fail(std::string(address), errorf("unknown network {}", network_name));
    if (const auto end = ctx.deadline(); end && *end <= weir::now()) return fail(std::string(address), kDeadlineExceeded);
    if (ctx.err()) return fail(std::string(address), ctx.err());
    auto [addrs, resolve_error] = detail::resolve(ctx, network, address, detail::Purpose::Dial);
    if (resolve_error) return fail("", resolve_error);
    std::pair<Conn, Error> first;
    for (std::size_t i = 0; i < addrs.size(); ++i) {
        auto [conn, err] = dial_address(ctx, network, addrs[i], share_of(ctx.deadline(), addrs.size() - i));
        if (!err) return {std::move(conn), Error()};
        if (i == 0) first = fail(addrs[i].text(), err);
        if (ctx.err()) break;
    }
    return first;
}

std::pair<Conn, Error> dial(std::string_view network, std::string_view address) { return dial(background(), network, address); }

std::pair<Conn, Error> dial_timeout(std::string_view network, std::string_view address, std::chrono::nanoseconds limit) {
    auto [ctx, cancel] = with_timeout(background(), limit);
    auto result = dial(ctx, network, address);
    cancel();
    return result;
}

} // namespace weir::net
