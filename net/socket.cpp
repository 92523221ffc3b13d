#include "socket.h"

#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <ostream>
#include <unistd.h>

namespace weir::net {

namespace {

struct TimeoutError {
    std::string message() const { return "i/o timeout"; }
    bool timeout() const { return true; }
};

} // namespace

const Error kClosed{"use of closed network connection"};
const Error kTimeout{TimeoutError{}};

std::string OpError::message() const {
    std::string text = op;
    if (!network.empty()) text += " " + network;
    if (!source.empty()) text += " " + source;
    if (!addr.empty()) text += (source.empty() ? " " : "->") + addr;
    return text + ": " + err.message();
}

std::string Addr::host() const { return network_ == "unix" ? text_ : split_host_port(text_).host; }

std::ostream& operator<<(std::ostream& out, const Addr& addr) { return out << addr.text_; }

namespace detail {

Error call_error(const char* call, int number) { return errorf("{}: {}", call, wrap(Error::from_errno(number))); }

IoStatus Socket::close() {
    const IoStatus status = fd.close();
    if (status == IoStatus::Ok && !unlink_path.empty()) ::unlink(unlink_path.c_str());
    return status;
}

Error Socket::fail(const char* op, const char* call, const IoResult& r) const {
    Error cause;
    switch (r.status) {
    case IoStatus::Ok:
        return {};
    case IoStatus::Eof:
        return kEof;
    case IoStatus::Closed:
        cause = kClosed;
        break;
    case IoStatus::Timeout:
        cause = kTimeout;
        break;
    case IoStatus::Errno:
        cause = call_error(call, r.error);
        break;
    }
    const bool connected = remote.size != 0;
    return OpError{op, network, connected ? local.text() : "", connected ? remote.text() : local.text(), std::move(cause)};
}

Network parse_network(std::string_view name) noexcept {
    if (name == "tcp") return {"tcp", AF_UNSPEC};
    if (name == "tcp4") return {"tcp4", AF_INET};
    if (name == "tcp6") return {"tcp6", AF_INET6};
    if (name == "unix") return {"unix", AF_UNIX};
    return {};
}

const char* short_name(const Network& network) noexcept { return network.is_unix() ? "unix" : "tcp"; }

int new_socket(int family) noexcept {
    const int fd = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

void set_option(int fd, int level, int option, int value) noexcept { ::setsockopt(fd, level, option, &value, sizeof value); }

void set_tcp_defaults(int fd) noexcept {
    constexpr int kSeconds = 15;
    constexpr int kProbes = 9;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, kSeconds);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, kSeconds);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, kProbes);
}

} // namespace detail

} // namespace weir::net
