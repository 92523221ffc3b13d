// sleep and sleep_until: park the calling fiber (or block the plain OS thread) for a time.
#pragma once

#include <chrono>
#include <cstdint>

#include <weir/clock.h>
#include <weir/detail/config.h>

namespace weir {

namespace detail {

WEIR_API void sleep_ns(std::int64_t ns) noexcept;

/// to_ns rounds a duration up to whole nanoseconds, saturating: a timer never fires early.
template <class Rep, class Period>
constexpr std::int64_t to_ns(std::chrono::duration<Rep, Period> d) {
    using Ns = std::chrono::nanoseconds;
    if (std::chrono::duration<double>(d) >= std::chrono::duration<double>(Ns::max())) return INT64_MAX;
    if (std::chrono::duration<double>(d) <= std::chrono::duration<double>(Ns::min())) return INT64_MIN;
    return std::chrono::ceil<Ns>(d).count();
}

/// ns_until is the time from now to t in whole nanoseconds, 0 when it has passed. Compared first: the difference to the least time point overflows.
template <class Clock, class Duration>
std::int64_t ns_until(std::chrono::time_point<Clock, Duration> t) {
    auto now = time_of<Clock>();
    return t <= now ? 0 : to_ns(t - now);
}

} // namespace detail

/// sleep blocks for at least d; d <= 0 returns at once; the maximum duration never returns.
template <class Rep, class Period>
void sleep(std::chrono::duration<Rep, Period> d) noexcept {
    detail::sleep_ns(detail::to_ns(d));
}

/// sleep_until blocks until Clock reaches t; in a bubble, until weir::now() or weir::wall_now() does.
template <class Clock, class Duration>
void sleep_until(std::chrono::time_point<Clock, Duration> t) noexcept {
    detail::sleep_ns(detail::ns_until(t));
}

} // namespace weir
