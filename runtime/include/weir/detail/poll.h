// PollDesc: readiness of one file descriptor, for fibers and plain threads. Go's internal/poll pollDesc.
//
//     PollDesc* pd; int e = poll_open(fd, &pd);          // fd must be non-blocking
//     for (;;) {
//         if (auto r = poll_prepare(pd, PollMode::Read); r != PollResult::Ready) return error_of(r);
//         ssize_t n = ::read(fd, ...);
//         if (n >= 0 || errno != EAGAIN) return n;
//         if (auto r = poll_wait(pd, PollMode::Read); r != PollResult::Ready) return error_of(r);
//     }
//
// Edge-triggered: prepare, try the system call, wait only after EAGAIN, or where it has taken all there was and !poll_ended(pd). At most one waiter per direction at a time: callers serialise
// reads with reads and writes with writes (as Go's fdMutex does).
#pragma once

#include <cstdint>

#include <weir/detail/config.h>

namespace weir::detail {

struct PollDesc;
enum class PollMode : std::uint8_t { Read = 0, Write = 1 };
enum class PollResult : std::uint8_t { Ready, Timeout, Closing };

/// poll_open registers fd for both directions. 0, or the errno of epoll_ctl.
WEIR_API int poll_open(int fd, PollDesc** out);
/// poll_prepare forgets old readiness before a system call. Timeout once the deadline has passed, Closing after poll_unblock.
WEIR_API PollResult poll_prepare(PollDesc* pd, PollMode mode) noexcept;
/// poll_ended tells whether the end, an error or urgent data has been reported. Until then whatever can be read after a system call that found less
/// than it asked for brings an event of its own; afterwards the next one may have to find what has been reported already.
WEIR_API bool poll_ended(const PollDesc* pd) noexcept;
/// poll_wait parks ("IO wait") until ready, the deadline, or poll_unblock.
WEIR_API PollResult poll_wait(PollDesc* pd, PollMode mode) noexcept;
/// poll_set_deadline sets the deadline of one direction (monotonic ns; 0 = none; in the past = time out at once, waking a waiter).
WEIR_API void poll_set_deadline(PollDesc* pd, PollMode mode, std::int64_t when);
/// poll_unblock marks the descriptor as closing and wakes both directions with Closing.
WEIR_API void poll_unblock(PollDesc* pd) noexcept;
/// poll_close unregisters and frees. The caller guarantees that nobody uses pd any more; the caller then closes the fd.
WEIR_API void poll_close(PollDesc* pd) noexcept;

} // namespace weir::detail
