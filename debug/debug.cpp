#include <weir/debug.h>

#include <ostream>

#include <weir/detail/dump.h>

namespace weir::debug {

void dump_fibers(std::ostream& out) { out << detail::dump_all_fibers(); }

} // namespace weir::debug
