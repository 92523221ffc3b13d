// jump: one stack to another. The only place, with make_fcontext, that knows what a saved context looks like.
//
// On x86-64 it is Boost.Context's jump_fcontext written out where it is used, over the same frame: contexts from make_fcontext,
// jump_fcontext and here are one kind of thing. It saves what the compiler does not save anyhow, and loads the floating-point
// control words only where they differ: loading costs as much as all the rest (yield: 25 ns with, 16 without).
#pragma once

#include <boost/context/detail/fcontext.hpp>
#include <cstdint>

#include <weir/detail/config.h>

namespace weir::detail {

/// SavedFrame is what a context points to: the frame of jump_fcontext on x86-64 (Boost 1.61 and later).
struct SavedFrame {
    std::uint32_t mxcsr;
    std::uint32_t x87;
    std::uintptr_t r12, r13, r14, r15;
    std::uintptr_t bx; // in a context from make_fcontext: the function to enter
    std::uintptr_t bp;
    std::uintptr_t pc;
};
static_assert(sizeof(SavedFrame) == 64);

/// jump leaves the running context for `to`, and returns when somebody jumps back: with that somebody's context. Only from a
/// function that calls others, which therefore keeps nothing in the red zone.
WEIR_ALWAYS_INLINE void* jump(void* to) noexcept {
#if defined(__x86_64__)
    void* from;
    asm volatile("leaq -64(%%rsp), %%rsp\n\t"
                 "stmxcsr (%%rsp)\n\t"
                 "fnstcw 4(%%rsp)\n\t"
                 "movq %%rbp, 48(%%rsp)\n\t"
                 "leaq 3f(%%rip), %%rax\n\t"
                 "movq %%rax, 56(%%rsp)\n\t"
                 "movq %%rsp, %%rax\n\t"
                 "movq %%rdi, %%rsp\n\t"
                 "movl (%%rsp), %%ecx\n\t"
                 "movzwl 4(%%rsp), %%edx\n\t"
                 "cmpl %%ecx, (%%rax)\n\t"
                 "jne 1f\n\t"
                 "cmpw %%dx, 4(%%rax)\n\t"
                 "je 2f\n"
                 "1:\n\t"
                 "ldmxcsr (%%rsp)\n\t"
                 "fldcw 4(%%rsp)\n"
                 "2:\n\t"
                 "movq 40(%%rsp), %%rbx\n\t"
                 "movq 48(%%rsp), %%rbp\n\t"
                 "movq 56(%%rsp), %%r8\n\t"
                 "leaq 64(%%rsp), %%rsp\n\t"
                 "movq %%rax, %%rdi\n\t" // a new context is entered as a function of a transfer_t: its first word is who came
                 "jmpq *%%r8\n"
                 "3:"
                 : "=a"(from), "+D"(to)
                 :
                 : "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1", "xmm2",
                   "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",
                   "memory", "cc"
#if defined(__AVX512F__)
                   ,
                   "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27",
                   "xmm28", "xmm29", "xmm30", "xmm31", "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#endif
    );
    return from;
#else
    return boost::context::detail::jump_fcontext(to, nullptr).fctx;
#endif
}

} // namespace weir::detail
