// Symbols: addresses to function names and source lines. The only user of libdw (elfutils) besides unwind.cpp.
#pragma once

#include <span>
#include <string>

#include "trace.h"

namespace weir::detail {

/// print_trace renders return addresses as Go prints a stack: "function(...)\n\tfile:line +0xoffset\n" each. Frames of the runtime's own
/// entry code are left out. Slow; takes a lock.
std::string print_trace(std::span<void* const> addresses);

/// print_created renders "created by FUNCTION in goroutine N\n\tfile:line\n".
std::string print_created(void* site, std::uint64_t parent);

/// close_symbols gives back the descriptors and memory that printing has taken. The next print opens them again.
void close_symbols() noexcept;

} // namespace weir::detail
