// futex: sleep on a 32-bit word, wake its sleepers.
#pragma once

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <ctime>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace weir::detail {

/// futex_wait sleeps while word == expected, at most timeout_ns (negative: for ever). May return early.
inline void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t expected, std::int64_t timeout_ns = -1) noexcept {
    timespec ts{timeout_ns / 1000000000, timeout_ns % 1000000000};
    int saved = errno;
    syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, expected, timeout_ns < 0 ? nullptr : &ts, nullptr, 0);
    errno = saved;
}

/// futex_wake wakes up to `count` sleepers. The word may already be gone: the kernel looks up the address only.
inline void futex_wake(std::atomic<std::uint32_t>& word, int count = INT_MAX) noexcept {
    int saved = errno;
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0);
    errno = saved;
}

} // namespace weir::detail
