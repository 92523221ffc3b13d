// TimerNode: a pending callback in a worker's timer heap. The base of sleep, select's timeout, Timer, Ticker, deadlines.
//
// Safe from fibers and plain threads. The callback runs on a worker, on no fiber: it must not block, allocate much or call the user
// (it may ready a Waiter, do a non-blocking channel send, or spawn a fiber).
#pragma once

#include <atomic>
#include <cstdint>

#include <weir/detail/config.h>

namespace weir::detail {

struct TimerPlace;

/// TimerNode is owned by whoever arms it and must not go while it is armed: timer_stop() before. Its owner arms and stops it from one thread at a time.
struct TimerNode {
    using Callback = void (*)(TimerNode&);

    Callback callback = nullptr;
    std::int64_t when = 0;       // monotonic ns, as it was last armed
    std::int64_t period = 0;     // ns; 0: fires once
    TimerPlace* place = nullptr; // where it was last armed; another node may stand there by now
};

/// mono_now is the runtime's clock: CLOCK_MONOTONIC in ns (std::chrono::steady_clock on Linux).
WEIR_API std::int64_t mono_now() noexcept;

/// deadline_after adds d to now without overflow; d at its maximum means never (INT64_MAX).
WEIR_API std::int64_t deadline_after(std::int64_t ns) noexcept;

/// timer_arm schedules node.callback at `when`. The node must not be armed.
WEIR_API void timer_arm(TimerNode& node, std::int64_t when);

/// timer_stop keeps the node from firing, without a lock. True when it was pending. When its callback is running on another thread, waits for it
/// to end, so that the node may be freed afterwards. Not to be called from the callback itself.
WEIR_API bool timer_stop(TimerNode& node) noexcept;

} // namespace weir::detail
