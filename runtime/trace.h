// Trace: the return addresses of a stack; and how to have them, of one that runs and of one that does not.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace weir::detail {

/// Trace is a list of return addresses; symbols are looked up when it is printed.
struct Trace {
    static constexpr int kMax = 64;
    std::array<void*, kMax> pc;
    int size = 0;

    std::span<void* const> addresses() const noexcept { return {pc.data(), static_cast<std::size_t>(size)}; }
};

/// take_trace captures the calling stack, without the innermost `skip` frames.
void take_trace(Trace& trace, int skip) noexcept;

/// SavedContext is the registers that unwinding begins with.
struct SavedContext {
    std::uintptr_t pc;
    std::uintptr_t sp;
    std::uintptr_t bp;
    std::uintptr_t bx;
    std::uintptr_t r12, r13, r14, r15;
};

/// unwind_saved walks a stack that is not running: `stack` is a copy of the bytes from `sp` up, taken where the context was saved. Slow; takes a lock.
Trace unwind_saved(const SavedContext& context, std::span<const std::byte> stack);

} // namespace weir::detail
