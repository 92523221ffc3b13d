// FrameRule: where a frame keeps its caller's registers, out of the call frame information that the compiler has written
// (.eh_frame).
#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace weir::detail {

/// UnwindRegisters are those that a call preserves, with the stack pointer and the return address: all that unwinding deals with.
struct UnwindRegisters {
    enum Slot : std::uint8_t { Bx, Bp, R12, R13, R14, R15, Sp, Pc, kCount };
    static constexpr int kSaved = Sp; // those before it are saved by the callee
    std::uintptr_t at[kCount];
};

struct FrameRule {
    UnwindRegisters::Slot base; // the CFA (the stack pointer before the call) is this register plus `offset`
    std::int32_t offset;
    std::array<std::int16_t, UnwindRegisters::kSaved> saved; // where, in words from the CFA; 0: the register is unchanged
    std::uint32_t args_size; // bytes pushed for the call in progress, which its landing pad wants popped
};

/// FrameInfo is what is known of the frame that a return address leads to.
struct FrameInfo {
    FrameRule rule;
    std::uintptr_t function;    // where it begins
    std::uintptr_t personality; // 0: none
    const void* lsda;           // null: none
};

/// frame_info reads the tables. Nothing where they say more than a FrameRule holds (signal frames, realigned stacks, linkage
/// tables), and at the outermost frame. Slow.
std::optional<FrameInfo> frame_info(std::uintptr_t return_address) noexcept;

} // namespace weir::detail
