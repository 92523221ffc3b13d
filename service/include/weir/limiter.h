// Limiter: how often something may happen, a token bucket with the rules of golang.org/x/time/rate.
//
//     weir::Limiter limiter(10, 3);                          // 10 a second on average, at most 3 at once
//     if (!limiter.allow()) return too_many_requests();      // drop
//     if (Error err = limiter.wait(ctx)) return err;         // or wait
//     auto r = limiter.reserve();  weir::sleep(r.delay());   // or do so yourself
//
// The bucket holds up to `burst` tokens, starts full, and fills at `limit` tokens a second; n events take n tokens. Thread safety: all of it, on
// fibers and on plain OS threads. The time arguments are for callers with a clock of their own.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>

#include <weir/clock.h>
#include <weir/context.h>
#include <weir/detail/config.h>
#include <weir/detail/spinlock.h>
#include <weir/error.h>

namespace weir {

class Limiter;

/// Reservation is the permission to act later. Must not outlive its Limiter.
class WEIR_API Reservation {
public:
    using time_point = std::chrono::steady_clock::time_point;

    /// ok tells whether the events can happen at all: n is not above the burst.
    bool ok() const noexcept { return ok_; }
    /// delay is how long to wait before acting: zero for at once, the maximum if not ok().
    std::chrono::nanoseconds delay() const { return delay_from(weir::now()); }
    std::chrono::nanoseconds delay_from(time_point t) const noexcept;
    /// cancel says that the events will not happen, and gives their tokens back as far as later reservations have not counted on them.
    void cancel() { cancel_at(weir::now()); }
    void cancel_at(time_point t) noexcept;

private:
    friend class Limiter;

    bool ok_ = false;
    Limiter* limiter_ = nullptr;
    int tokens_ = 0;
    std::int64_t act_ = 0; // ns of the steady clock
    double limit_ = 0;     // that of the limiter when it was made
};

class WEIR_API Limiter {
public:
    using time_point = Reservation::time_point;

    /// kInf as limit allows everything, whatever the burst.
    static constexpr double kInf = std::numeric_limits<double>::max();

    /// every is the limit of one event each `interval`.
    template <class Rep, class Period>
    static constexpr double every(std::chrono::duration<Rep, Period> interval) {
        const double seconds = std::chrono::duration<double>(interval).count();
        return seconds <= 0 ? kInf : 1 / seconds;
    }

    /// `limit` events a second, at most `burst` at once. A burst of 0 allows nothing unless the limit is kInf.
    Limiter(double limit, int burst) noexcept : limit_(limit), burst_(burst), tokens_(burst) {}
    Limiter(const Limiter&) = delete;
    Limiter& operator=(const Limiter&) = delete;

    /// allow tells whether n events may happen now, and counts them if so.
    bool allow(int n = 1) { return allow_at(weir::now(), n); }
    bool allow_at(time_point t, int n) { return take(to_ns(t), n, 0).ok_; }

    /// reserve counts n events, and says when they may happen.
    Reservation reserve(int n = 1) { return reserve_at(weir::now(), n); }
    Reservation reserve_at(time_point t, int n) { return take(to_ns(t), n, kForever); }

    /// wait blocks until n events may happen ("select"). Errors: ctx.err(); "rate: Wait(n=4) exceeds limiter's burst 3"; and at once, when
    /// it would take too long, "rate: Wait(n=3) would exceed context deadline".
    Error wait(const Context& ctx, int n = 1);

    double limit() const noexcept;
    int burst() const noexcept;
    /// tokens is what is in the bucket; below zero when reservations wait for what comes.
    double tokens() const { return tokens_at(weir::now()); }
    double tokens_at(time_point t) const noexcept;

    /// set_limit and set_burst hold from now on. Reservations made before keep their time.
    void set_limit(double limit) { set_limit_at(weir::now(), limit); }
    void set_limit_at(time_point t, double limit) noexcept;
    void set_burst(int burst) { set_burst_at(weir::now(), burst); }
    void set_burst_at(time_point t, int burst) noexcept;

private:
    friend class Reservation;
    static constexpr std::int64_t kForever = INT64_MAX;

    static std::int64_t to_ns(time_point t) noexcept { return t.time_since_epoch().count(); }
    Reservation take(std::int64_t now, int n, std::int64_t most_wait) noexcept;
    /// filled and fill want lock_ held: what the bucket holds at `now`; and making that so.
    double filled(std::int64_t now) const noexcept;
    void fill(std::int64_t now) noexcept;
    void give_back(const Reservation& r, std::int64_t now) noexcept;

    mutable detail::SpinLock lock_;
    double limit_;                // guarded by lock_, as is all below
    int burst_;
    double tokens_;               // at last_
    std::int64_t last_ = 0;       // when tokens_ was set
    std::int64_t last_event_ = 0; // the latest time that a reservation waits for
};

} // namespace weir
