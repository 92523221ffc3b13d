// net::Deadline: a point in time from either clock, or none.
//
//     conn.set_read_deadline(weir::now() + 5s);
//     conn.set_deadline({});                              // no deadline; a default-constructed time_point says the same
//
// A value; thread safe as an int. A system_clock time is converted when the Deadline is made: later changes of the clock do not
// move it.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>

#include <weir/clock.h>

namespace weir::net {

class Deadline {
public:
    constexpr Deadline() noexcept = default;
    template <class D>
    constexpr Deadline(std::chrono::time_point<std::chrono::steady_clock, D> t) noexcept // NOLINT(google-explicit-constructor)
        : when_(from_epoch(t.time_since_epoch())) {}
    template <class D>
    Deadline(std::chrono::time_point<std::chrono::system_clock, D> t) noexcept { // NOLINT(google-explicit-constructor)
        if (t.time_since_epoch().count() == 0) return;
        const auto left = saturate(t.time_since_epoch()) - saturate(wall_now().time_since_epoch());
        when_ =
            from_epoch(now().time_since_epoch() + std::chrono::nanoseconds(std::min(left, kMax / 2)));
    }

    /// when is in ns of the monotonic clock; 0: no deadline; its maximum: never.
    constexpr std::int64_t when() const noexcept { return when_; }

private:
    static constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

    template <class Rep, class Period>
    static constexpr std::int64_t saturate(std::chrono::duration<Rep, Period> d) noexcept {
        const auto ns = std::chrono::duration<long double, std::nano>(d).count();
        if (ns >= static_cast<long double>(kMax)) return kMax;
        if (ns <= 0) return 0;
        return std::chrono::duration_cast<std::chrono::nanoseconds>(d).count();
    }
    /// from_epoch keeps 0 for "none": whatever lies before the clock's start has passed just as well at 1.
    template <class Rep, class Period>
    static constexpr std::int64_t from_epoch(std::chrono::duration<Rep, Period> d) noexcept {
        return d.count() == 0 ? 0 : std::max<std::int64_t>(saturate(d), 1);
    }

    std::int64_t when_ = 0;
};

} // namespace weir::net
