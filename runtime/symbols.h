// Symbols: addresses to function names and source lines. The only user of libdw (elfutils) besides unwind.cpp.
#pragma once

#include <span>
#include <string>

#include "panic_context.h"

namespace weir::detail {

/// print_trace renders return addresses as Go prints a stack: "function(...)\n\tfile:line +0xoffset\n" each. Frames of the runtime's own
/// entry code are left out. Slow; takes a lock.
std::string print_trace(std::span<void* const> addresses);

/// print_created renders "created by FUNCTION in goroutine N\n\tfile:line\n".
std::string print_created(void* site, std::uint64_t parent);

/// close_symbols gives back the descriptors and memory that printing has taken. The next print opens them again.
void close_symbols() noexcept;

/// unwind_saved walks a stack that is not running: `stack` is a copy of the bytes from `sp` up, taken where the context was saved.
struct SavedContext {
    std::uintptr_t pc;
    std::uintptr_t sp;
    std::uintptr_t bp;
    std::uintptr_t bx;
    std::uintptr_t r12, r13, r14, r15;
};
Trace unwind_saved(const SavedContext& context, std::span<const std::byte> stack);

} // namespace weir::detail
