// What the C++ tables say about throwing at an instruction.
#pragma once

#include <cstdint>

namespace weir::detail {

enum class CallSite : std::uint8_t {
    NoTable,  // the function has nothing to destroy and nothing to catch: an exception passes through
    Covered,  // an exception may arise here
    Gap,      // none may: the compiler took the instruction for one that cannot throw, and an exception ends in std::terminate
    Unknown,  // no unwind information: the stack cannot be walked beyond this function
};

/// interrupted_call_site looks at `pc`, the instruction that the calling signal handler has interrupted. Async-signal-safe once it has
/// been called outside a handler.
CallSite interrupted_call_site(std::uintptr_t pc) noexcept;

} // namespace weir::detail
