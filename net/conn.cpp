#include <weir/net.h>

#include <cerrno>
#include <memory>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "pipe.h"
#include "socket.h"

namespace weir::net {

using detail::IoResult;
using detail::IoStatus;
using detail::Socket;

namespace {

Error invalid() { return Error::from_errno(EINVAL); }

Error set_deadline_of(const std::shared_ptr<Socket>& s, bool read, bool write, Deadline t) {
    if (!s) return invalid();
    return s->fail("set", "set", {.status = s->fd.set_deadline(read, write, t.when())});
}

Error shutdown_of(const std::shared_ptr<Socket>& s, int how) {
    if (!s) return invalid();
    IoResult r;
    r.status = s->fd.shutdown(how, r.error);
    return s->fail("close", "shutdown", r);
}

Error control_of(const std::shared_ptr<Socket>& s, const std::function<void(int)>& fn) {
    if (!s) return invalid();
    return s->fail("control", "control", {.status = s->fd.with_fd(fn)});
}

const Addr kPipeAddr("pipe", "pipe", 0);

Addr to_addr(const Socket& s, const detail::SockAddr& a) { return Addr(s.network, a.text(), a.port()); }

} // namespace

std::pair<std::size_t, Error> Conn::read(ByteSpan buf) const {
    if (!socket_) return pipe_ ? pipe_->read(buf) : std::pair(std::size_t{0}, invalid());
    const IoResult r = socket_->fd.read(buf.data(), buf.size());
    if (r.status == IoStatus::Ok) [[likely]]
        return {r.n, Error()};
    return {r.n, socket_->fail("read", "read", r)};
}

std::pair<std::size_t, Error> Conn::write(ByteView bytes) const {
    if (!socket_) return pipe_ ? pipe_->write(bytes) : std::pair(std::size_t{0}, invalid());
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    const IoResult r = socket_->fd.write(&part, 1);
    if (r.status == IoStatus::Ok) [[likely]]
        return {r.n, Error()};
    return {r.n, socket_->fail("write", "write", r)};
}

Error Conn::close() const {
    if (pipe_) return pipe_->close(), Error();
    if (!socket_) return invalid();
    return socket_->fail("close", "close", {.status = socket_->close()});
}

Error Conn::close_write() const { return shutdown_of(socket_, SHUT_WR); }
Error Conn::close_read() const { return shutdown_of(socket_, SHUT_RD); }

Error Conn::set_deadline(Deadline t) const {
    return pipe_ ? pipe_->set_deadline(true, true, t) : set_deadline_of(socket_, true, true, t);
}
Error Conn::set_read_deadline(Deadline t) const {
    return pipe_ ? pipe_->set_deadline(true, false, t) : set_deadline_of(socket_, true, false, t);
}
Error Conn::set_write_deadline(Deadline t) const {
    return pipe_ ? pipe_->set_deadline(false, true, t) : set_deadline_of(socket_, false, true, t);
}

Addr Conn::local_addr() const { return socket_ ? to_addr(*socket_, socket_->local) : pipe_ ? kPipeAddr : Addr(); }
Addr Conn::remote_addr() const { return socket_ ? to_addr(*socket_, socket_->remote) : pipe_ ? kPipeAddr : Addr(); }

Error Conn::set_no_delay(bool on) const {
    return control([on](int fd) { detail::set_option(fd, IPPROTO_TCP, TCP_NODELAY, on ? 1 : 0); });
}
Error Conn::control(const std::function<void(int)>& fn) const { return control_of(socket_, fn); }

std::pair<Conn, Error> Listener::accept() const {
    if (!socket_) return {Conn(), invalid()};
    int fd = -1;
    detail::SockAddr peer;
    const IoResult r = socket_->fd.accept(fd, peer);
    if (r.status != IoStatus::Ok) return {Conn(), socket_->fail("accept", "accept4", r)};
    auto conn = std::make_shared<Socket>(fd, socket_->network);
    conn->local = detail::local_of(fd);
    conn->remote = peer;
    if (const int e = conn->fd.start(); e != 0)
        return {Conn(), socket_->fail("accept", "epoll_ctl", {.status = IoStatus::Errno, .error = e})};
    return {detail::SocketAccess::conn(std::move(conn)), Error()};
}

Error Listener::close() const {
    if (!socket_) return invalid();
    return socket_->fail("close", "close", {.status = socket_->close()});
}

Error Listener::set_deadline(Deadline t) const { return set_deadline_of(socket_, true, false, t); }
Addr Listener::addr() const { return socket_ ? to_addr(*socket_, socket_->local) : Addr(); }
Error Listener::control(const std::function<void(int)>& fn) const { return control_of(socket_, fn); }

std::pair<std::uint64_t, Error> copy(const Conn& to, const Conn& from) {
    constexpr std::size_t kSize = 32 << 10;
    const auto buf = std::make_unique<char[]>(kSize);
    std::uint64_t total = 0;
    for (;;) {
        const auto [got, read_error] = from.read(ByteSpan(buf.get(), kSize));
        const auto [put, write_error] = to.write(ByteView(buf.get(), got));
        total += put;
        if (write_error) return {total, write_error};
        if (read_error) return {total, read_error == kEof ? Error() : read_error};
    }
}

} // namespace weir::net
