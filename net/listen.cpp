#include <weir/net.h>

#include <cerrno>
#include <fstream>
#include <netinet/in.h>

#include "resolve.h"
#include "socket.h"

namespace weir::net {

using detail::Network;
using detail::SockAddr;
using detail::Socket;

namespace {

/// backlog is the kernel's limit, as Go asks for it.
int backlog() {
    static const int limit = [] {
        int n = SOMAXCONN;
        std::ifstream("/proc/sys/net/core/somaxconn") >> n;
        return n > 0 ? n : SOMAXCONN;
    }();
    return limit;
}

/// listen_on binds one address. The error is that of the call that failed. Not inlined: see fd.h about errno.
WEIR_NOINLINE std::pair<std::shared_ptr<Socket>, Error> listen_on(const Network& network, const SockAddr& addr) {
    const int fd = detail::new_socket(addr.family());
    if (fd < 0) return {nullptr, detail::call_error("socket", -fd)};
    auto socket = std::make_shared<Socket>(fd, detail::short_name(network));
    if (!network.is_unix()) {
        detail::set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        detail::set_tcp_defaults(fd);
        // One socket serves both IP versions, unless the caller wants "tcp6".
        if (addr.family() == AF_INET6) detail::set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, network.family == AF_INET6 ? 1 : 0);
    }
    if (::bind(fd, addr.get(), addr.size) < 0) return {nullptr, detail::call_error("bind", errno)};
    if (::listen(fd, backlog()) < 0) return {nullptr, detail::call_error("listen", errno)};
    if (const int e = socket->fd.start(); e != 0) return {nullptr, detail::call_error("epoll_ctl", e)};
    socket->local = detail::local_of(fd);
    return {std::move(socket), Error()};
}

} // namespace

std::pair<Listener, Error> listen(std::string_view network_name, std::string_view address) {
    const Network network = detail::parse_network(network_name);
    const auto fail = [&](std::string at, Error err) -> std::pair<Listener, Error> {
        return {Listener(), OpError{"listen", std::string(network_name), "", std::move(at), std::move(err)}};
    };
    if (network.name == nullptr) return fail(std::string(address), errorf("unknown network {}", network_name));
    auto [addrs, resolve_error] = detail::resolve(background(), network, address, detail::Purpose::Listen);
    if (resolve_error) return fail("", resolve_error);
    // An IPv4 address wins where a name has both, as in Go.
    const SockAddr* chosen = &addrs.front();
    for (const SockAddr& a : addrs) {
        if (a.family() == AF_INET) {
            chosen = &a;
            break;
        }
    }
    auto [socket, err] = listen_on(network, *chosen);
    if (err) return fail(address.starts_with(':') ? std::string(address) : chosen->text(), err);
    if (network.is_unix() && !address.starts_with('@')) socket->unlink_path = address;
    return {detail::SocketAccess::listener(std::move(socket)), Error()};
}

} // namespace weir::net
