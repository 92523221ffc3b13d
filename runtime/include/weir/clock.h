// now and wall_now: the time as weir's timers, deadlines and contexts see it (Go's time.Now).
//
//     auto begun = weir::now();
//     work();
//     log("took {}", weir::now() - begun);
//     conn.set_deadline(weir::now() + 5s);
//
// Outside synctest::test() these are std::chrono's clocks. In a bubble they are the bubble's: code that takes the time from here, and not from
// std::chrono, can be tested with a clock that stands still until it is waited for. Thread safety: any fiber or thread.
#pragma once

#include <chrono>

#include <weir/detail/bubble.h>
#include <weir/detail/config.h>

namespace weir {

using time_point = std::chrono::steady_clock::time_point;

/// now is the steady clock's time, or the bubble's. In a bubble it counts from 1970 as wall_now does, so that a time taken outside is long past there.
inline time_point now() noexcept { return time_point(std::chrono::nanoseconds(detail::clock_now())); }

/// wall_now is the system clock's time, or the bubble's, which begins at midnight UTC 2000-01-01 as Go's.
inline std::chrono::system_clock::time_point wall_now() noexcept {
    if (detail::current_bubble() == nullptr) return std::chrono::system_clock::now();
    return std::chrono::system_clock::time_point(std::chrono::nanoseconds(detail::clock_now()));
}

namespace detail {

/// time_of is the time of any clock, as this fiber sees it.
template <class Clock>
typename Clock::time_point time_of() {
    if constexpr (std::is_same_v<Clock, std::chrono::steady_clock>) {
        return now();
    } else if constexpr (std::is_same_v<Clock, std::chrono::system_clock>) {
        return wall_now();
    } else {
        return Clock::now();
    }
}

} // namespace detail

} // namespace weir
