// debug: look into a running program.
//
//     weir::debug::dump_fibers(std::cerr);      // every fiber: state, what it waits for and since when, its stack
#pragma once

#include <iosfwd>

#include <weir/detail/config.h>

namespace weir::debug {

/// dump_fibers writes every fiber in the format of Go's goroutine dumps, names and labels too (those of Go 1.26 under
/// GODEBUG=tracebacklabels=1), without stopping any. Parked fibers show their stacks; those that run
/// on another thread do not. Slow (symbolises); safe from any fiber or thread while a runtime is running.
WEIR_API void dump_fibers(std::ostream& out);

} // namespace weir::debug
