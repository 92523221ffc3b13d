// Dump: every fiber's state, wait reason and stack, as Go's goroutine dumps, without stopping anything.
#pragma once

#include <string>

#include <weir/detail/config.h>

namespace weir::detail {

/// dump_all_fibers renders all fibers that exist, the calling one first with its own stack.
WEIR_API std::string dump_all_fibers();

} // namespace weir::detail
