#include "sockaddr.h"

#include <arpa/inet.h>
#include <cstddef>
#include <cstring>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

namespace weir::net::detail {

namespace {

const sockaddr_in& as_ipv4(const SockAddr& a) noexcept { return reinterpret_cast<const sockaddr_in&>(a.storage); }
const sockaddr_in6& as_ipv6(const SockAddr& a) noexcept { return reinterpret_cast<const sockaddr_in6&>(a.storage); }

std::string ipv6_text(const sockaddr_in6& in) {
    char buf[INET6_ADDRSTRLEN];
    if (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr)) return inet_ntop(AF_INET, &in.sin6_addr.s6_addr[12], buf, sizeof buf);
    std::string text = std::string("[") + inet_ntop(AF_INET6, &in.sin6_addr, buf, sizeof buf);
    if (in.sin6_scope_id != 0) {
        char name[IF_NAMESIZE];
        text += "%";
        text += if_indextoname(in.sin6_scope_id, name) != nullptr ? std::string(name) : std::to_string(in.sin6_scope_id);
    }
    return text + "]";
}

std::string unix_text(const SockAddr& a) {
    const auto& un = reinterpret_cast<const sockaddr_un&>(a.storage);
    const std::size_t size = a.size - offsetof(sockaddr_un, sun_path);
    if (a.size <= offsetof(sockaddr_un, sun_path)) return "@"; // unnamed
    if (un.sun_path[0] == '\0') return "@" + std::string(un.sun_path + 1, size - 1);
    return std::string(un.sun_path, strnlen(un.sun_path, size));
}

} // namespace

std::string SockAddr::text() const {
    char buf[INET_ADDRSTRLEN];
    switch (family()) {
    case AF_INET:
        return std::string(inet_ntop(AF_INET, &as_ipv4(*this).sin_addr, buf, sizeof buf)) + ":" + std::to_string(port());
    case AF_INET6:
        return ipv6_text(as_ipv6(*this)) + ":" + std::to_string(port());
    case AF_UNIX:
        return unix_text(*this);
    default:
        return {};
    }
}

std::uint16_t SockAddr::port() const noexcept {
    if (family() == AF_INET) return ntohs(as_ipv4(*this).sin_port);
    if (family() == AF_INET6) return ntohs(as_ipv6(*this).sin6_port);
    return 0;
}

void SockAddr::set_port(std::uint16_t port) noexcept {
    if (family() == AF_INET) reinterpret_cast<sockaddr_in&>(storage).sin_port = htons(port);
    if (family() == AF_INET6) reinterpret_cast<sockaddr_in6&>(storage).sin6_port = htons(port);
}

SockAddr make_ipv4(std::uint32_t host_order_ip, std::uint16_t port) noexcept {
    SockAddr a;
    a.size = sizeof(sockaddr_in);
    auto& in = reinterpret_cast<sockaddr_in&>(a.storage);
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(host_order_ip);
    in.sin_port = htons(port);
    return a;
}

SockAddr make_ipv6_any(std::uint16_t port) noexcept {
    SockAddr a;
    a.size = sizeof(sockaddr_in6);
    auto& in = reinterpret_cast<sockaddr_in6&>(a.storage);
    in.sin6_family = AF_INET6;
    in.sin6_addr = in6addr_any;
    in.sin6_port = htons(port);
    return a;
}

bool make_unix(std::string_view path, SockAddr& out) noexcept {
    auto& un = reinterpret_cast<sockaddr_un&>(out.storage);
    const bool abstract = path.starts_with('@');
    if (path.size() + (abstract ? 0 : 1) > sizeof un.sun_path) return false;
    un.sun_family = AF_UNIX;
    std::memcpy(un.sun_path, path.data(), path.size());
    if (abstract) {
        un.sun_path[0] = '\0';
    } else {
        un.sun_path[path.size()] = '\0';
    }
    out.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1));
    return true;
}

SockAddr local_of(int fd) noexcept {
    SockAddr a;
    a.size = sizeof a.storage;
    if (::getsockname(fd, a.get(), &a.size) < 0) a.size = 0;
    return a;
}

SockAddr peer_of(int fd) noexcept {
    SockAddr a;
    a.size = sizeof a.storage;
    if (::getpeername(fd, a.get(), &a.size) < 0) a.size = 0;
    return a;
}

} // namespace weir::net::detail
