// What the C++ tables say about throwing at an instruction.
#pragma once

#include <cstdint>

namespace weir::detail {

/// can_throw_at tells whether an exception may arise at `pc`, the instruction that the calling signal handler has interrupted: whether the tables
/// of its function allow it or, where that has none (nothing to destroy or catch: the exception passes through), those of its callers.
/// Async-signal-safe once it has been called outside a handler.
bool can_throw_at(std::uintptr_t pc) noexcept;

} // namespace weir::detail
