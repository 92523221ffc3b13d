// DateCache: the text of the Date field, made anew once a second.
#pragma once

#include <ctime>
#include <string_view>

namespace weir::http::detail {

/// DateCache belongs to one connection, so that nothing is shared between fibers.
class DateCache {
public:
    /// now is "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7).
    std::string_view now();

private:
    std::time_t second_ = -1;
    char text_[32];
    std::size_t size_ = 0;
};

} // namespace weir::http::detail
