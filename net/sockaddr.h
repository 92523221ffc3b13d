// SockAddr: a socket address of any family we use, and its text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <sys/socket.h>

namespace weir::net::detail {

/// SockAddr is a sockaddr with its length. size 0: none.
struct SockAddr {
    sockaddr_storage storage = {};
    socklen_t size = 0;

    sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
    const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
    int family() const noexcept { return size == 0 ? AF_UNSPEC : storage.ss_family; }

    /// text is "127.0.0.1:80", "[::1]:80", a path, "@abstract"; an IPv4 peer of an IPv6 socket is printed as IPv4. Go's String().
    std::string text() const;
    /// port is 0 for unix addresses.
    std::uint16_t port() const noexcept;
    void set_port(std::uint16_t port) noexcept;
};

SockAddr make_ipv4(std::uint32_t host_order_ip, std::uint16_t port) noexcept;
SockAddr make_ipv6_any(std::uint16_t port) noexcept;
/// make_unix: false when the path is too long. A leading '@' means the abstract namespace.
bool make_unix(std::string_view path, SockAddr& out) noexcept;

/// local_of and peer_of ask the kernel; size 0 when it does not know.
SockAddr local_of(int fd) noexcept;
SockAddr peer_of(int fd) noexcept;

} // namespace weir::net::detail
