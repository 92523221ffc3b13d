// net: TCP and unix stream sockets that block fibers, Go's package net.
//
//     auto [ln, err] = net::listen("tcp", "127.0.0.1:8080");
//     if (err) return err;
//     for (;;) {
//         auto [conn, err] = ln.accept();
//         if (err) return err;
//         go([conn = conn]() mutable { net::copy(conn, conn); conn.close(); });
//     }
//
// Networks: "tcp" (both IP versions), "tcp4", "tcp6", "unix" (stream; "@name" is an abstract name). Host names are looked up by
// the system's resolver off the workers, through blocking().
//
// Conn and Listener are cheap shared handles: copies are the same socket, and the last one to go closes it. Thread safety: any
// member from any fiber or plain thread at once; reads serialise with reads and writes with writes. close() wakes whoever is
// blocked in the socket. A default-constructed handle fails every call with "invalid argument". Errors have Go's texts ("read tcp
// 127.0.0.1:4242->127.0.0.1:80: i/o timeout") and are OpErrors; the end of the input is kEof, bare.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <weir/bytes.h>
#include <weir/context.h>
#include <weir/detail/config.h>
#include <weir/error.h>
#include <weir/net_deadline.h>

namespace weir::net {

namespace detail {
class PipeEnd;
struct Socket;
struct SocketAccess;
} // namespace detail

/// kClosed: "use of closed network connection". kTimeout: "i/o timeout", a deadline has passed; timeout() is true.
extern WEIR_API const Error kClosed;
extern WEIR_API const Error kTimeout;
/// kClosedPipe: "io: read/write on closed pipe", of pipe()'s connections.
extern WEIR_API const Error kClosedPipe;

/// OpError says which operation failed, on what: the type behind this module's errors, for err.as<net::OpError>().
struct WEIR_API OpError {
    std::string op;      ///< "read", "write", "dial", "listen", "accept", "close", "set", "lookup"
    std::string network; ///< "tcp", ...
    std::string source;  ///< local address, or ""
    std::string addr;    ///< remote address, or the one listened on; or ""
    Error err;

    std::string message() const;
    Error unwrap() const { return err; }
};

/// Addr is an end of a connection. Cheap to make, not free: local_addr() and remote_addr() format it.
class WEIR_API Addr {
public:
    Addr() = default;
    Addr(std::string network, std::string text, std::uint16_t port)
        : network_(std::move(network)), text_(std::move(text)), port_(port) {}

    /// network is "tcp", "unix", or "pipe".
    const std::string& network() const noexcept { return network_; }
    /// string is "127.0.0.1:80", "[::1]:80", a path, or "@name".
    const std::string& string() const noexcept { return text_; }
    /// host is the address without port and brackets.
    std::string host() const;
    /// port is 0 for unix sockets.
    std::uint16_t port() const noexcept { return port_; }

    bool operator==(const Addr&) const = default;
    WEIR_API friend std::ostream& operator<<(std::ostream& out, const Addr& addr);

private:
    std::string network_;
    std::string text_;
    std::uint16_t port_ = 0;
};

/// Conn is a stream connection.
class WEIR_API Conn {
public:
    Conn() noexcept = default;

    /// read fills buf with what there is, at least one byte, blocking ("IO wait") until there is; (0, kEof) at the end. A
    /// zero-byte read is (0, nil). After a deadline it fails at once even if data is there (Go's rule).
    std::pair<std::size_t, Error> read(ByteSpan buf) const;

    /// write sends all bytes, blocking until the kernel has them. On failure it returns how many it took.
    std::pair<std::size_t, Error> write(ByteView bytes) const;

    /// close ends the connection and wakes blocked readers and writers with kClosed; blocks until they have left. A second close
    /// is kClosed.
    Error close() const;
    /// close_write says that no more will be written (the peer reads kEof); close_read the same for reading.
    Error close_write() const;
    Error close_read() const;

    /// set_deadline limits all reads and writes from now on, also those blocked already; an empty Deadline{} clears.
    Error set_deadline(Deadline t) const;
    Error set_read_deadline(Deadline t) const;
    Error set_write_deadline(Deadline t) const;

    Addr local_addr() const;
    Addr remote_addr() const;

    /// set_no_delay(false) turns Nagle's algorithm on; it is off on every new TCP connection, as in Go.
    Error set_no_delay(bool on) const;
    /// control calls fn with the descriptor, which stays open meanwhile: for socket options. fn must not block or close it.
    Error control(const std::function<void(int fd)>& fn) const;

    explicit operator bool() const noexcept { return socket_ != nullptr || pipe_ != nullptr; }
    /// Handles are equal when they share one socket.
    bool operator==(const Conn&) const noexcept = default;

private:
    friend struct detail::SocketAccess;
    friend WEIR_API std::pair<Conn, Conn> pipe();
    explicit Conn(std::shared_ptr<detail::Socket> socket) noexcept : socket_(std::move(socket)) {}
    explicit Conn(std::shared_ptr<detail::PipeEnd> pipe) noexcept : pipe_(std::move(pipe)) {}

    std::shared_ptr<detail::Socket> socket_; // of the two at most one
    std::shared_ptr<detail::PipeEnd> pipe_;
};

/// pipe makes two connections that are each other's peer, in memory: for tests, and durably blocking in a bubble where it was made there. Go's
/// net.Pipe. Nothing is buffered: a write returns when its bytes have been read, and a read or a write of no bytes waits for the other side, too. After
/// close() of one end all of its operations and the other end's writes are kClosedPipe, and the other end reads kEof; a second close is nil. There
/// is no descriptor: close_read(), close_write(), set_no_delay() and control() are "invalid argument".
WEIR_API std::pair<Conn, Conn> pipe();

/// Listener accepts connections.
class WEIR_API Listener {
public:
    Listener() noexcept = default;

    /// accept blocks until there is a connection. When the process is out of descriptors it returns that error; the connection
    /// waits.
    std::pair<Conn, Error> accept() const;
    /// close stops listening, wakes blocked accepts with kClosed and removes a unix socket's file.
    Error close() const;
    /// set_deadline limits accept().
    Error set_deadline(Deadline t) const;
    /// addr is what it listens on, with the port that the system chose for port 0.
    Addr addr() const;
    Error control(const std::function<void(int fd)>& fn) const;

    explicit operator bool() const noexcept { return socket_ != nullptr; }
    /// Handles are equal when they share one socket.
    bool operator==(const Listener&) const noexcept = default;

private:
    friend struct detail::SocketAccess;
    explicit Listener(std::shared_ptr<detail::Socket> socket) noexcept : socket_(std::move(socket)) {}

    std::shared_ptr<detail::Socket> socket_;
};

/// listen listens on "host:port" (an empty host: every address; port 0: any free one) or on a unix path. May look a name up.
WEIR_API std::pair<Listener, Error> listen(std::string_view network, std::string_view address);

/// dial connects to "host:port" or a unix path, trying a name's addresses in turn. ctx limits the dialling only: cancelling it
/// later does no harm.
WEIR_API std::pair<Conn, Error> dial(std::string_view network, std::string_view address);
WEIR_API std::pair<Conn, Error> dial(const Context& ctx, std::string_view network, std::string_view address);
WEIR_API std::pair<Conn, Error> dial_timeout(std::string_view network, std::string_view address, std::chrono::nanoseconds limit);

/// lookup_host lists a name's addresses. When ctx ends first, the lookup goes on unseen and its result is dropped.
WEIR_API std::pair<std::vector<std::string>, Error> lookup_host(const Context& ctx, std::string_view host);

/// copy writes all that `from` has to `to`, until kEof (then nil) or an error; and how many bytes.
WEIR_API std::pair<std::uint64_t, Error> copy(const Conn& to, const Conn& from);

/// HostPort is an address cut in two; err says why it cannot be.
struct HostPort {
    std::string host;
    std::string port;
    Error err;
};
/// split_host_port cuts "host:port", "[ipv6]:port"; join_host_port is its inverse.
WEIR_API HostPort split_host_port(std::string_view address);
WEIR_API std::string join_host_port(std::string_view host, std::string_view port);

} // namespace weir::net
