#include "date.h"

#include <algorithm>
#include <cstring>

#include <weir/detail/bubble.h>

namespace weir::http::detail {

namespace {

char* put2(char* out, int n) {
    *out++ = static_cast<char>('0' + n / 10);
    *out++ = static_cast<char>('0' + n % 10);
    return out;
}

char* put(char* out, std::string_view text) { return std::copy(text.begin(), text.end(), out); }

} // namespace

std::string_view DateCache::now() {
    constexpr std::string_view kDays = "SunMonTueWedThuFriSat";
    constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
    timespec ts{};
    clock_gettime(CLOCK_REALTIME_COARSE, &ts);
    if (weir::detail::current_bubble() != nullptr) ts.tv_sec = weir::detail::clock_now() / 1'000'000'000;
    if (ts.tv_sec == second_) return {text_, size_};
    std::tm tm{};
    gmtime_r(&ts.tv_sec, &tm);
    second_ = ts.tv_sec;
    const int year = tm.tm_year + 1900;
    // Not strftime: the names must not follow the locale.
    char* p = put(text_, kDays.substr(static_cast<std::size_t>(tm.tm_wday) * 3, 3));
    p = put2(put(p, ", "), tm.tm_mday);
    p = put(put(put(p, " "), kMonths.substr(static_cast<std::size_t>(tm.tm_mon) * 3, 3)), " ");
    p = put2(put2(p, year / 100), year % 100);
    p = put2(put(p, " "), tm.tm_hour);
    p = put2(put(p, ":"), tm.tm_min);
    p = put2(put(p, ":"), tm.tm_sec);
    p = put(p, " GMT");
    size_ = static_cast<std::size_t>(p - text_);
    return {text_, size_};
}

} // namespace weir::http::detail
