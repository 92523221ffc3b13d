// Socket: what the handles Conn and Listener share, and how this module words its errors.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <weir/net.h>

#include "fd.h"
#include "sockaddr.h"

namespace weir::net::detail {

/// Socket is a descriptor with its addresses. All but `fd` is fixed before the handle is given out.
struct Socket {
    Socket(int descriptor, const char* network_name)
        : fd(descriptor, std::string_view(network_name) == "unix" ? ShortRead::MayLeave : ShortRead::Empties),
          network(network_name) {}
    ~Socket() { close(); }
    Socket(const Socket&) = delete;

    /// close closes fd and removes unlink_path, once.
    IoStatus close();

    Fd fd;
    const char* network; // as errors name it: "tcp" or "unix"; "tcp4" and "tcp6" read "tcp" once connected, as in Go
    SockAddr local;
    SockAddr remote;
    std::string unlink_path; // a unix listener's file, or ""

    /// fail words the failure of an operation; nil for IoStatus::Ok, bare kEof at the end. `call` names the system call.
    Error fail(const char* op, const char* call, const IoResult& r) const;
};

/// SocketAccess makes handles, and lets this module look inside them.
struct SocketAccess {
    static Conn conn(std::shared_ptr<Socket> socket) { return Conn(std::move(socket)); }
    static Listener listener(std::shared_ptr<Socket> socket) { return Listener(std::move(socket)); }
    static Socket& of(const Conn& c) noexcept { return *c.socket_; }
    static Socket& of(const Listener& l) noexcept { return *l.socket_; }
};

/// call_error is "connect: connection refused".
Error call_error(const char* call, int number);

/// Network is a parsed network name.
struct Network {
    const char* name = nullptr; // null: unknown
    int family = 0;             // AF_UNSPEC: either IP version
    bool is_unix() const noexcept { return family == AF_UNIX; }
};
Network parse_network(std::string_view name) noexcept;
const char* short_name(const Network& network) noexcept;

/// new_socket makes a non-blocking stream socket; -errno on failure.
int new_socket(int family) noexcept;
void set_option(int fd, int level, int option, int value) noexcept;
/// set_tcp_defaults: no Nagle, keep-alive probes after 15 s (Go's defaults). Accepted sockets inherit them from the listener.
void set_tcp_defaults(int fd) noexcept;

} // namespace weir::net::detail
