// The call-site table of a function's language-specific data area: what GCC and Clang write for C++ (Itanium C++ ABI, exception
// handling tables).
#pragma once

#include <cstdint>
#include <optional>

namespace weir::detail {

/// CallSite is what the table says of one instruction.
struct CallSite {
    std::uintptr_t landing_pad; // 0: the exception passes through
    const std::uint8_t* action; // the first record; null: the landing pad only cleans up
    const std::uint8_t* types;  // the end of the type table, which is indexed backwards
    std::uint8_t type_encoding;
};

/// find_call_site looks the instruction at `pc` up, of the function that begins at `function`. Nothing: the compiler took it for
/// one that cannot throw, and an exception ends in std::terminate (or the table is not of the usual kind). Async-signal-safe.
std::optional<CallSite> find_call_site(const void* lsda, std::uintptr_t function, std::uintptr_t pc) noexcept;

} // namespace weir::detail
