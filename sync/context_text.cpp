#include "context_text.h"

#include <chrono>
#include <cstdio>
#include <ctime>

#include <weir/clock.h>

namespace weir::detail {

namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

/// decimal is value / unit without trailing zeros; unit is a power of ten.
std::string decimal(std::uint64_t value, std::uint64_t unit) {
    std::string text = std::to_string(value / unit);
    std::string fraction = std::to_string(unit + value % unit).substr(1);
    fraction.erase(fraction.find_last_not_of('0') + 1);
    return fraction.empty() ? text : text + "." + fraction;
}

} // namespace

std::string duration_text(std::int64_t ns) {
    if (ns == 0) return "0s";
    const std::string sign = ns < 0 ? "-" : "";
    const std::uint64_t n = ns < 0 ? 0 - static_cast<std::uint64_t>(ns) : static_cast<std::uint64_t>(ns);
    if (n < 1'000) return sign + std::to_string(n) + "ns";
    if (n < 1'000'000) return sign + decimal(n, 1'000) + "\u00b5s";
    if (n < kSecond) return sign + decimal(n, 1'000'000) + "ms";
    const std::uint64_t minutes = n / (60 * kSecond);
    std::string text = decimal(n % (60 * kSecond), kSecond) + "s";
    if (minutes > 0) text = std::to_string(minutes % 60) + "m" + text;
    if (minutes >= 60) text = std::to_string(minutes / 60) + "h" + text;
    return sign + text;
}

std::string deadline_text(std::int64_t when) {
    const std::int64_t left = when - clock_now();
    const std::int64_t wall =
        std::chrono::duration_cast<std::chrono::nanoseconds>(wall_now().time_since_epoch()).count();
    const std::string bracket = " [" + duration_text(left) + "]";
    if (left > INT64_MAX - wall) return "never" + bracket;
    const std::int64_t at = wall + left;
    const std::time_t seconds = at / static_cast<std::int64_t>(kSecond);
    std::tm utc{};
    ::gmtime_r(&seconds, &utc);
    char text[64];
    std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:", &utc);
    const std::string sec =
        decimal(static_cast<std::uint64_t>(utc.tm_sec) * kSecond + static_cast<std::uint64_t>(at) % kSecond, kSecond);
    return text + std::string(utc.tm_sec < 10 ? "0" : "") + sec + " +0000 UTC" + bracket;
}

} // namespace weir::detail
