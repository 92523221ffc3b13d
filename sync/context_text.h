// How a deadline shows in Context::string().
#pragma once

#include <cstdint>
#include <string>

namespace weir::detail {

/// duration_text is Go's Duration.String: "1h15m30.918s", "1.5ms", "0s".
std::string duration_text(std::int64_t ns);

/// deadline_text is the deadline in UTC and how far off it is, as Go: "2024-05-01 12:00:00.5 +0000 UTC [1.999s]". `when` is
/// monotonic.
std::string deadline_text(std::int64_t when);

} // namespace weir::detail
