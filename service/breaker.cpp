#include <weir/breaker.h>

#include <algorithm>
#include <mutex>

namespace weir {

const Error kCircuitOpen("circuit open");
const Error kMaxConcurrency("max concurrency");
const Error kBreakerTimeout("timeout");

void Breaker::Window::add(std::int64_t slice, bool failed) noexcept {
    Slice& s = slices_[static_cast<std::size_t>(slice % kSlices)];
    if (s.number != slice) s = {slice};
    ++s.calls;
    s.failures += failed;
}

std::pair<std::uint64_t, std::uint64_t> Breaker::Window::totals(std::int64_t slice) const noexcept {
    std::pair<std::uint64_t, std::uint64_t> sum;
    for (const Slice& s : slices_) {
        if (s.number <= slice - kSlices) continue;
        sum.first += s.calls;
        sum.second += s.failures;
    }
    return sum;
}

Breaker::Breaker(BreakerOptions options) : options_(std::move(options)) {}

std::int64_t Breaker::slice(std::int64_t now) const noexcept {
    return now / std::max<std::int64_t>(1, options_.window.count() / Window::kSlices);
}

Error Breaker::enter(std::uint64_t& era) {
    const std::int64_t at = now();
    const std::lock_guard lock(lock_);
    Error refused = admit(at);
    ++(refused ? refused_ : running_);
    era = era_;
    return refused;
}

Error Breaker::admit(std::int64_t now) noexcept {
    if (state_ == BreakerState::Open && now - opened_ >= options_.open_for.count()) become(BreakerState::HalfOpen);
    if (state_ == BreakerState::Open || probing_) return kCircuitOpen;
    if (options_.max_concurrent > 0 && running_ >= static_cast<std::uint64_t>(options_.max_concurrent)) return kMaxConcurrency;
    probing_ = state_ == BreakerState::HalfOpen;
    return {};
}

void Breaker::leave(Outcome outcome, std::uint64_t era) {
    const std::int64_t at = now();
    const std::lock_guard lock(lock_);
    --running_;
    if (era == era_) settle(at, outcome);
}

void Breaker::settle(std::int64_t now, Outcome outcome) noexcept {
    probing_ = false;
    if (outcome == Outcome::Ignored) return;
    const bool failed = outcome == Outcome::Failure;
    if (state_ == BreakerState::HalfOpen) return failed ? open(now) : become(BreakerState::Closed);
    window_.add(slice(now), failed);
    const auto [calls, failures] = window_.totals(slice(now));
    const bool too_many = failed && static_cast<double>(failures) >= options_.failure_ratio * static_cast<double>(calls);
    if (too_many && calls >= options_.volume) open(now);
}

void Breaker::become(BreakerState state) noexcept {
    state_ = state;
    ++era_;
}

void Breaker::open(std::int64_t now) noexcept {
    become(BreakerState::Open);
    opened_ = now;
    window_.clear(); // Closed begins anew
}

BreakerState Breaker::state() const {
    const std::lock_guard lock(lock_);
    return state_;
}

Breaker::Stats Breaker::stats() const {
    const std::int64_t at = now();
    const std::lock_guard lock(lock_);
    const auto [calls, failures] = window_.totals(slice(at));
    return {calls, failures, running_, refused_};
}

} // namespace weir
