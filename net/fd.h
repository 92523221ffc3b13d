// Fd: a non-blocking descriptor that fibers and plain threads wait on. Go's internal/poll FD.
//
//     auto fd = std::make_shared<Fd>(::socket(...));     // owns the descriptor from here on
//     if (int e = fd->start()) return from_errno(e);     // registers with the poller
//     IoResult r = fd->read(buf, size);                  // blocks; r.status says how it ended
//
// Invariants:
//   - One reader and one writer at a time: read_lock_ and write_lock_ serialise the others, as Go's fdMutex does.
//   - state_ counts the users inside an operation. close() sets the closed bit, wakes whoever waits, and the last user to leave
//     closes the descriptor, so that its number is never reused under somebody's feet. close() returns after that.
//   - A system call is made in a function of its own that returns -errno: the compiler takes errno's address for a constant, and
//     a fiber that parked may have changed threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <sys/socket.h>
#include <sys/uio.h>

#include <weir/detail/park.h>
#include <weir/detail/poll.h>
#include <weir/detail/spinlock.h>
#include <weir/mutex.h>

#include "sockaddr.h"

namespace weir::net::detail {

using weir::detail::PollDesc;
using weir::detail::PollMode;
using weir::detail::PollResult;

enum class IoStatus : std::uint8_t { Ok, Eof, Closed, Timeout, Errno };

/// IoResult: how many bytes were moved, and how it ended.
struct IoResult {
    std::size_t n = 0;
    IoStatus status = IoStatus::Ok;
    int error = 0; // for IoStatus::Errno
};

/// Peek is what watch() saw.
enum class Peek : std::uint8_t { Data, HungUp, Interrupted };

/// ShortRead says what a read that fills only a part of its buffer leaves in the socket: nothing (TCP), or what follows a message
/// that carried descriptors (Unix).
enum class ShortRead : std::uint8_t { Empties, MayLeave };

class Fd {
public:
    explicit Fd(int fd, ShortRead short_read = ShortRead::MayLeave) noexcept : fd_(fd), short_read_(short_read) {}
    ~Fd();
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;

    /// start registers with the poller; 0 or an errno.
    int start();

    /// read moves up to `size` bytes; Eof at the end. Blocks until there is something.
    IoResult read(void* buf, std::size_t size);
    /// write moves all bytes of the parts, in order, consuming `parts`. Blocks until they are with the kernel.
    IoResult write(iovec* parts, std::size_t count);
    /// accept takes a connection: its descriptor goes to `out`, the peer's address to `peer`.
    IoResult accept(int& out, SockAddr& peer);
    /// wait_connected blocks until a socket that is connecting has connected, or failed.
    IoResult wait_connected();
    /// watch waits, reading nothing, until there is data, the connection is gone (closed by either side), or a read deadline
    /// interrupts it.
    Peek watch();
    /// hung_up tells, without blocking, whether the peer has closed its side and nothing is left to read.
    bool hung_up();

    /// in_use tells whether anybody is inside an operation.
    bool in_use() const noexcept { return state_.load(std::memory_order_relaxed) >= kUser; }

    /// close ends all operations with Closed. Blocks until they have left. A second close is Closed.
    IoStatus close();
    IoStatus shutdown(int how, int& error);
    /// set_deadline: monotonic ns, 0 for none.
    IoStatus set_deadline(bool read, bool write, std::int64_t when);

    /// with_fd calls fn(descriptor) while it cannot be closed.
    template <class F>
    IoStatus with_fd(F&& fn) {
        Use use(*this);
        if (!use) return IoStatus::Closed;
        fn(fd_);
        return IoStatus::Ok;
    }

private:
    /// Use keeps the descriptor open; false when it is closed already. With a lock it also holds that.
    class Use {
    public:
        explicit Use(Fd& fd, Mutex* lock = nullptr);
        ~Use();
        Use(const Use&) = delete;
        explicit operator bool() const noexcept { return entered_; }

    private:
        Fd& fd_;
        Mutex* lock_;
        bool entered_;
    };

    // state_:  | users | closed |
    //            31..1     0
    static constexpr std::uint32_t kClosedBit = 1;
    static constexpr std::uint32_t kUser = 2;

    bool enter() noexcept;
    void leave() noexcept;
    void destroy() noexcept;
    void await_destroyed() noexcept;
    /// prepare and wait are poll_prepare and poll_wait with their answers translated.
    IoStatus prepare(PollMode mode) noexcept;
    IoStatus wait(PollMode mode) noexcept;

    std::atomic<std::uint32_t> state_{0};
    int fd_;
    const ShortRead short_read_;
    bool drained_ = false;     // the last read left nothing: the next one waits first; guarded by read_lock_
    PollDesc* poll_ = nullptr; // set by start(), freed by the last user
    Mutex read_lock_;
    Mutex write_lock_;
    Mutex deadline_lock_; // poll_set_deadline and poll_unblock must not meet each other
    weir::detail::SpinLock closer_lock_;
    bool destroyed_ = false;                 // guarded by closer_lock_
    weir::detail::Waiter* closer_ = nullptr; // guarded by closer_lock_
};

} // namespace weir::net::detail
