#include <weir/limiter.h>

#include <algorithm>
#include <mutex>

#include <weir/select.h>
#include <weir/ticker.h>

namespace weir {

namespace {

double tokens_in(double limit, std::int64_t ns) noexcept { return limit <= 0 ? 0 : static_cast<double>(ns) * 1e-9 * limit; }

std::int64_t time_for(double limit, double tokens) noexcept {
    if (limit <= 0) return INT64_MAX;
    const double ns = tokens / limit * 1e9;
    return ns > 9.2e18 ? INT64_MAX : static_cast<std::int64_t>(ns);
}

} // namespace

std::chrono::nanoseconds Reservation::delay_from(time_point t) const noexcept {
    if (!ok_) return std::chrono::nanoseconds::max();
    return std::chrono::nanoseconds(std::max<std::int64_t>(0, act_ - Limiter::to_ns(t)));
}

void Reservation::cancel_at(time_point t) noexcept {
    if (ok_) limiter_->give_back(*this, Limiter::to_ns(t));
}

double Limiter::filled(std::int64_t now) const noexcept {
    const std::int64_t elapsed = now - std::min(last_, now);
    return std::min<double>(tokens_ + tokens_in(limit_, elapsed), burst_);
}

void Limiter::fill(std::int64_t now) noexcept {
    tokens_ = filled(now);
    last_ = now;
}

Reservation Limiter::take(std::int64_t now, int n, std::int64_t most_wait) noexcept {
    const std::lock_guard lock(lock_);
    Reservation r;
    r.limiter_ = this;
    r.limit_ = limit_;
    r.act_ = now;
    if (limit_ == kInf) {
        r.ok_ = true;
        r.tokens_ = n;
        return r;
    }
    const double left = filled(now) - n;
    const std::int64_t wait = left < 0 ? time_for(limit_, -left) : 0;
    r.ok_ = n <= burst_ && wait <= most_wait && wait < INT64_MAX - now;
    if (!r.ok_) return r;
    r.tokens_ = n;
    r.act_ = now + wait;
    last_ = now;
    tokens_ = left;
    last_event_ = r.act_;
    return r;
}

void Limiter::give_back(const Reservation& r, std::int64_t now) noexcept {
    const std::lock_guard lock(lock_);
    if (limit_ == kInf || r.tokens_ == 0 || r.act_ < now) return;
    // What was reserved after r counts on r's tokens: those stay taken.
    const double restored = r.tokens_ - tokens_in(r.limit_, last_event_ - r.act_);
    if (restored <= 0) return;
    fill(now);
    tokens_ = std::min<double>(tokens_ + restored, burst_);
    if (r.act_ != last_event_) return;
    const std::int64_t event_before = r.act_ - time_for(r.limit_, r.tokens_);
    if (event_before >= now) last_event_ = event_before;
}

Error Limiter::wait(const Context& ctx, int n) {
    const time_point now = weir::now();
    if (const int most = burst(); n > most && limit() != kInf) return errorf("rate: Wait(n={}) exceeds limiter's burst {}", n, most);
    if (Error err = ctx.err()) return err;
    std::int64_t most_wait = kForever;
    if (const auto deadline = ctx.deadline()) most_wait = to_ns(*deadline) - to_ns(now);
    Reservation r = take(to_ns(now), n, most_wait);
    if (!r.ok()) return errorf("rate: Wait(n={}) would exceed context deadline", n);
    const auto delay = r.delay_from(now);
    if (delay.count() == 0) return {};
    Error err;
    select(timeout(delay), recv(ctx.done(), [&] {
        r.cancel();
        err = ctx.err();
    }));
    return err;
}

double Limiter::limit() const noexcept {
    const std::lock_guard lock(lock_);
    return limit_;
}

int Limiter::burst() const noexcept {
    const std::lock_guard lock(lock_);
    return burst_;
}

double Limiter::tokens_at(time_point t) const noexcept {
    const std::lock_guard lock(lock_);
    return filled(to_ns(t));
}

void Limiter::set_limit_at(time_point t, double limit) noexcept {
    const std::lock_guard lock(lock_);
    fill(to_ns(t));
    limit_ = limit;
}

void Limiter::set_burst_at(time_point t, int burst) noexcept {
    const std::lock_guard lock(lock_);
    fill(to_ns(t));
    burst_ = burst;
}

} // namespace weir
