#include "fd.h"

#include <cerrno>
#include <mutex>
#include <utility>
#include <unistd.h>

#include <weir/detail/config.h>
#include <weir/runtime.h>

namespace weir::net::detail {

namespace {

/// Each returns its system call's result, or -errno. Never inlined: see the head of fd.h.
WEIR_NOINLINE ssize_t sys_recv(int fd, void* buf, std::size_t size, int flags) {
    const ssize_t n = ::recv(fd, buf, size, flags);
    return n < 0 ? -errno : n;
}
WEIR_NOINLINE ssize_t sys_send(int fd, iovec* parts, std::size_t count) {
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = count;
    const ssize_t n =
        count == 1 ? ::send(fd, parts->iov_base, parts->iov_len, MSG_NOSIGNAL) : ::sendmsg(fd, &message, MSG_NOSIGNAL);
    return n < 0 ? -errno : n;
}
WEIR_NOINLINE int sys_accept(int fd, SockAddr& peer) {
    peer.size = sizeof peer.storage;
    const int n = ::accept4(fd, peer.get(), &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return n < 0 ? -errno : n;
}
WEIR_NOINLINE int sys_socket_error(int fd) {
    int error = 0;
    socklen_t size = sizeof error;
    return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? errno : error;
}
WEIR_NOINLINE bool sys_connected(int fd) {
    SockAddr peer;
    peer.size = sizeof peer.storage;
    return ::getpeername(fd, peer.get(), &peer.size) == 0;
}
WEIR_NOINLINE int sys_shutdown(int fd, int how) { return ::shutdown(fd, how) < 0 ? errno : 0; }

IoStatus translate(PollResult r) noexcept {
    switch (r) {
    case PollResult::Ready:
        return IoStatus::Ok;
    case PollResult::Timeout:
        return IoStatus::Timeout;
    case PollResult::Closing:
        return IoStatus::Closed;
    }
    return IoStatus::Closed;
}

/// consume drops the first n bytes from parts.
void consume(iovec*& parts, std::size_t& count, std::size_t n) noexcept {
    while (count > 0 && n >= parts->iov_len) {
        n -= parts->iov_len;
        ++parts;
        --count;
    }
    if (count == 0) return;
    parts->iov_base = static_cast<char*>(parts->iov_base) + n;
    parts->iov_len -= n;
}

} // namespace

Fd::Use::Use(Fd& fd, Mutex* lock) : fd_(fd), lock_(lock), entered_(fd.enter()) {
    if (entered_ && lock_ != nullptr) lock_->lock();
}

Fd::Use::~Use() {
    if (!entered_) return;
    if (lock_ != nullptr) lock_->unlock();
    fd_.leave();
}

Fd::~Fd() { close(); }

int Fd::start() { return weir::detail::poll_open(fd_, &poll_); }

bool Fd::enter() noexcept {
    std::uint32_t s = state_.load(std::memory_order_relaxed);
    do {
        if ((s & kClosedBit) != 0) return false;
        // acquire: pairs with the release of close(); an entered user sees the descriptor as start() left it.
    } while (!state_.compare_exchange_weak(s, s + kUser, std::memory_order_acquire, std::memory_order_relaxed));
    return true;
}

void Fd::leave() noexcept {
    // acq_rel: the last user after close() must see all that the others did with the descriptor.
    if (state_.fetch_sub(kUser, std::memory_order_acq_rel) == (kClosedBit | kUser)) destroy();
}

void Fd::destroy() noexcept {
    if (poll_ != nullptr) weir::detail::poll_close(poll_);
    ::close(fd_);
    closer_lock_.lock();
    destroyed_ = true;
    weir::detail::Waiter* closer = closer_;
    closer_lock_.unlock();
    if (closer != nullptr) weir::detail::ready(*closer);
}

IoStatus Fd::close() {
    std::uint32_t s = state_.load(std::memory_order_relaxed);
    do {
        if ((s & kClosedBit) != 0) return IoStatus::Closed;
        // Enters as a user too, so that the descriptor stays until the others have been woken. acq_rel: see leave().
    } while (!state_.compare_exchange_weak(s, (s + kUser) | kClosedBit, std::memory_order_acq_rel, std::memory_order_relaxed));
    // With no runtime left, users that are still inside were abandoned with it: nobody can be woken or waited for.
    const bool alone = max_procs() == 0;
    if (poll_ != nullptr && !alone) {
        std::lock_guard hold(deadline_lock_);
        weir::detail::poll_unblock(poll_);
    }
    leave();
    if (!alone) await_destroyed();
    return IoStatus::Ok;
}

void Fd::await_destroyed() noexcept {
    closer_lock_.lock();
    if (destroyed_) {
        closer_lock_.unlock();
        return;
    }
    weir::detail::Waiter self;
    closer_ = &self;
    weir::detail::park_unlock(self, weir::detail::WaitReason::IoWait, closer_lock_);
}

IoStatus Fd::prepare(PollMode mode) noexcept { return translate(weir::detail::poll_prepare(poll_, mode)); }
IoStatus Fd::wait(PollMode mode) noexcept { return translate(weir::detail::poll_wait(poll_, mode)); }

IoResult Fd::read(void* buf, std::size_t size) {
    Use use(*this, &read_lock_);
    if (!use) return {.status = IoStatus::Closed};
    if (size == 0) return {};
    for (;;) {
        if (std::exchange(drained_, false)) {
            if (IoStatus s = wait(PollMode::Read); s != IoStatus::Ok) return {.status = s};
        }
        if (IoStatus s = prepare(PollMode::Read); s != IoStatus::Ok) return {.status = s};
        const ssize_t n = sys_recv(fd_, buf, size, 0);
        if (n > 0) {
            const auto got = static_cast<std::size_t>(n);
            drained_ = got < size && short_read_ == ShortRead::Empties && !weir::detail::poll_ended(poll_);
            return {.n = got};
        }
        if (n == 0) return {.status = IoStatus::Eof};
        if (n != -EAGAIN && n != -EINTR) return {.status = IoStatus::Errno, .error = static_cast<int>(-n)};
        drained_ = n == -EAGAIN;
    }
}

IoResult Fd::write(iovec* parts, std::size_t count) {
    Use use(*this, &write_lock_);
    if (!use) return {.status = IoStatus::Closed};
    std::size_t done = 0;
    consume(parts, count, 0);
    if (IoStatus s = prepare(PollMode::Write); s != IoStatus::Ok) return {.status = s};
    while (count > 0) {
        const ssize_t n = sys_send(fd_, parts, count);
        if (n >= 0) {
            done += static_cast<std::size_t>(n);
            consume(parts, count, static_cast<std::size_t>(n));
            if (count == 0) break;
        } else if (n == -EAGAIN) {
            if (IoStatus s = wait(PollMode::Write); s != IoStatus::Ok) return {.n = done, .status = s};
        } else if (n != -EINTR) {
            return {.n = done, .status = IoStatus::Errno, .error = static_cast<int>(-n)};
        }
        if (IoStatus s = prepare(PollMode::Write); s != IoStatus::Ok) return {.n = done, .status = s};
    }
    return {.n = done};
}

IoResult Fd::accept(int& out, SockAddr& peer) {
    Use use(*this, &read_lock_);
    if (!use) return {.status = IoStatus::Closed};
    for (;;) {
        if (IoStatus s = prepare(PollMode::Read); s != IoStatus::Ok) return {.status = s};
        const int n = sys_accept(fd_, peer);
        if (n >= 0) {
            out = n;
            return {};
        }
        if (n == -EINTR || n == -ECONNABORTED) continue; // a connection that went away while it was queued is no failure of ours
        if (n != -EAGAIN) return {.status = IoStatus::Errno, .error = -n};
        if (IoStatus s = wait(PollMode::Read); s != IoStatus::Ok) return {.status = s};
    }
}

IoResult Fd::wait_connected() {
    Use use(*this, &write_lock_);
    if (!use) return {.status = IoStatus::Closed};
    for (;;) {
        if (IoStatus s = wait(PollMode::Write); s != IoStatus::Ok) return {.status = s};
        const int error = sys_socket_error(fd_);
        // Without an error it may still be a spurious wake-up: only a peer proves the connection.
        if (error == 0 && sys_connected(fd_)) return {};
        if (error != 0 && error != EINPROGRESS && error != EALREADY && error != EINTR)
            return {.status = IoStatus::Errno, .error = error};
    }
}

Peek Fd::watch() {
    Use use(*this, &read_lock_);
    if (!use) return Peek::HungUp;
    drained_ = false; // what it sees it leaves there, and forgets the event
    const auto stopped = [](IoStatus s) { return s == IoStatus::Closed ? Peek::HungUp : Peek::Interrupted; };
    for (;;) {
        if (IoStatus s = prepare(PollMode::Read); s != IoStatus::Ok) return stopped(s);
        char byte;
        const ssize_t n = sys_recv(fd_, &byte, 1, MSG_PEEK);
        if (n > 0) return Peek::Data;
        if (n != -EAGAIN && n != -EINTR) return Peek::HungUp;
        if (n == -EINTR) continue;
        if (IoStatus s = wait(PollMode::Read); s != IoStatus::Ok) return stopped(s);
    }
}

bool Fd::hung_up() {
    Use use(*this);
    if (!use) return true;
    char byte;
    const ssize_t n = sys_recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n <= 0 && n != -EAGAIN && n != -EINTR;
}

IoStatus Fd::shutdown(int how, int& error) {
    Use use(*this);
    if (!use) return IoStatus::Closed;
    error = sys_shutdown(fd_, how);
    return error == 0 ? IoStatus::Ok : IoStatus::Errno;
}

IoStatus Fd::set_deadline(bool read, bool write, std::int64_t when) {
    Use use(*this, &deadline_lock_);
    if (!use) return IoStatus::Closed;
    if (read) weir::detail::poll_set_deadline(poll_, PollMode::Read, when);
    if (write) weir::detail::poll_set_deadline(poll_, PollMode::Write, when);
    return IoStatus::Ok;
}

} // namespace weir::net::detail
