// How a fiber is called in dumps and reports: Go's header line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <weir/go.h>

namespace weir::detail {

/// quoted puts text in double quotes, with escapes as in JSON.
std::string quoted(std::string_view text);

/// FiberTitle is what the line says besides the state. The name goes before the labels, as one of them.
struct FiberTitle {
    std::uint64_t id = 0;
    bool locked_to_thread = false;
    std::string name;
    Labels labels;
};

/// fiber_header is `goroutine 7 [chan receive, 5 minutes, locked to thread labels:{"name": "flush", "task": "sync_user"}]:` and a line end, as Go
/// prints it (1.26: under GODEBUG=tracebacklabels=1).
std::string fiber_header(const FiberTitle& fiber, std::string_view state);

} // namespace weir::detail
