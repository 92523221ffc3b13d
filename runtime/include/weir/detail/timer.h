// TimerNode: a pending callback in a timer heap: a worker's, or a bubble's. The base of sleep, select's timeout, Timer, Ticker, deadlines.
//
// Safe from fibers and plain threads. The callback runs on a worker, on no fiber (in a bubble: on a fiber of it): it must not block, allocate much or call the user
// (it may ready a Waiter, do a non-blocking channel send, or spawn a fiber).
#pragma once

#include <atomic>
#include <cstdint>

#include <weir/detail/config.h>

namespace weir::detail {

struct Bubble;
struct TimerPlace;

/// TimerNode is owned by whoever arms it and must not go while it is armed: timer_stop() before. Its owner arms and stops it from one thread at a time.
struct TimerNode {
    using Callback = void (*)(TimerNode&);

    Callback callback = nullptr;
    Callback dropped = nullptr;  // if set, called when the node's bubble ends with it armed
    Bubble* bubble = nullptr;    // whose clock it goes by; null: the real one. Set before the first timer_arm()
    std::int64_t when = 0;       // monotonic ns, as it was last armed
    std::int64_t period = 0;     // ns; 0: fires once
    TimerPlace* place = nullptr; // where it was last armed; another node may stand there by now
    const void* wakes = nullptr; // the fiber that its callback readies, to be fetched before; null: none or unknown
};

/// mono_now is the runtime's clock: CLOCK_MONOTONIC in ns (std::chrono::steady_clock on Linux); in a seeded run one that stands while anything can run.
WEIR_API std::int64_t mono_now() noexcept;

/// deadline_after adds d to the caller's time (clock_now) without overflow; d at its maximum means never (INT64_MAX).
WEIR_API std::int64_t deadline_after(std::int64_t ns) noexcept;

/// timer_arm schedules node.callback at `when`. The node must not be armed. In a bubble a time that has come already calls it at once.
WEIR_API void timer_arm(TimerNode& node, std::int64_t when);

/// timer_stop keeps the node from firing, without a lock. True when it was pending. When its callback is running on another thread, waits for it
/// to end, so that the node may be freed afterwards. Not to be called from the callback itself.
WEIR_API bool timer_stop(TimerNode& node) noexcept;

} // namespace weir::detail
