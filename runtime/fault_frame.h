// FaultFrame: a fault, on the fiber's own stack, as if the faulting instruction had called weir_fault_entry.
//
// The signal handler writes the frame below the interrupted code's red zone, points the stack pointer at it and the program counter at
// weir_fault_entry (fault_entry.cpp), and returns. Invariants:
//   - All registers of the interrupted code are in the frame, and the entry's call frame information says where: the unwinder restores
//     them from there. So the frame may lie anywhere on the stack; normally it lies just below the code.
//   - The entry is marked as a signal frame: the unwinder takes regs[kRip] as the instruction itself, not as a return address.
//   - The handler's own frame is gone when the entry runs, and the signal mask is what it was: the entry is ordinary code, which may
//     allocate, throw, and switch fibers.
#pragma once

#include <cstdint>

#include "panic_context.h"

namespace weir::detail {

enum class FaultAction : std::uint8_t {
    Raise,         // throw a panic
    RaiseOverflow, // likewise, that of a stack overflow
    Abandon,       // leave the fiber for good
    AbandonBlind,  // likewise; the innermost frames cannot be walked, or are overwritten by this one
};

struct FaultFrame {
    static constexpr int kRsp = 7; // DWARF's numbers: rax rdx rcx rbx rsi rdi rbp rsp r8-r15 rip
    static constexpr int kRip = 16;

    std::uint64_t regs[17];
    FaultInfo fault;
    FaultAction action;
};

} // namespace weir::detail

extern "C" {
/// weir_fault_entry: jumped to with the stack pointer at a FaultFrame.
void weir_fault_entry() __attribute__((visibility("hidden")));
/// weir_fault_arrived is what it calls.
[[noreturn]] void weir_fault_arrived(weir::detail::FaultFrame* frame) __attribute__((visibility("hidden")));
/// weir_trap_each_instruction sets the trap flag: from here on each instruction raises SIGTRAP, until a handler clears it.
void weir_trap_each_instruction() __attribute__((visibility("hidden")));
}
