// Lines on stderr that hold nobody up.
#pragma once

#include <cstddef>
#include <string>

#include <weir/detail/config.h>

namespace weir::detail {

/// print_later has the reporter write `line` to stderr: the caller waits neither for whoever reads stderr nor for other writers. Of lines of the
/// same `kind` ten a second are written, and the next one says how many were not; what a full queue does not take counts as a dropped report.
/// Without a runtime it is written at once.
WEIR_API void print_later(std::string line, std::size_t kind) noexcept;

} // namespace weir::detail
