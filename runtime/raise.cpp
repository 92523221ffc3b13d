#include "raise.h"

#if WEIR_OWN_UNWINDING

#include <atomic>
#include <cstddef>
#include <cxxabi.h>
#include <optional>

#include <weir/panic.h>
#include "exception_header.h"
#include "exception_hook.h"
#include "tls.h"
#include "unwind_plan.h"

/// WEIR_READS_STACKS marks a function that the assembly calls and that reads the stack, which may be corrupt: see
/// in_own_unwinding().
#define WEIR_READS_STACKS __attribute__((section("weir_unwinding"), noinline, used, visibility("hidden")))

extern "C" __attribute__((visibility("hidden"))) const char __start_weir_unwinding[], __stop_weir_unwinding[]; // the linker's

namespace weir::detail {

namespace {

std::atomic<bool> g_on{true};

/// Landing is what a landing pad finds in the two registers that exceptions are handed over in. A null header: libgcc is to do
/// it.
struct Landing {
    _Unwind_Exception* exception;
    std::uintptr_t selector;
};

constexpr Landing kToLibgcc{nullptr, 0};

/// shadow_stack tells whether the processor keeps a second list of return addresses, which nobody here cuts.
bool shadow_stack() noexcept {
    std::uintptr_t top = 0;
    asm("rdsspq %0" : "+r"(top)); // does nothing where there is none
    return top != 0;
}

bool usable() noexcept { return g_on.load(std::memory_order_relaxed) && !shadow_stack(); }

/// to_caller turns the registers of a frame at a call into those of its caller.
WEIR_ALWAYS_INLINE void to_caller(UnwindRegisters& regs, const FrameRule& rule) noexcept {
    auto* cfa =
        reinterpret_cast<const std::uintptr_t*>(regs.at[rule.base] + static_cast<std::uintptr_t>(std::intptr_t{rule.offset}));
    for (int slot = 0; slot < UnwindRegisters::kSaved; ++slot) {
        // Without branches: which registers a frame saves is hard to predict.
        const std::uintptr_t* from = rule.saved[slot] != 0 ? cfa + rule.saved[slot] : &regs.at[slot];
        regs.at[slot] = *from;
    }
    regs.at[UnwindRegisters::Pc] = cfa[-1];
    regs.at[UnwindRegisters::Sp] = reinterpret_cast<std::uintptr_t>(cfa);
}

/// land sets the registers that a frame's landing pad begins with.
Landing land(UnwindRegisters& regs, ExceptionHeader& header, std::uintptr_t landing_pad, const UnwindPlan& plan) noexcept {
    regs.at[UnwindRegisters::Pc] = landing_pad;
    regs.at[UnwindRegisters::Sp] += plan.rule.args_size;
    return {&header.unwind, static_cast<std::uintptr_t>(std::intptr_t{plan.selector})};
}

/// Stop is a frame whose landing pad has something to do.
struct Stop {
    const UnwindPlan* plan;
    std::uintptr_t sp; // at the call
};

/// next_stop walks to it, from the frame that the registers are at; nothing: libgcc is to go. In place: registers that have just
/// been stored one by one are slow to copy by larger pieces.
WEIR_ALWAYS_INLINE std::optional<Stop> next_stop(UnwindRegisters& regs, void* panic) noexcept {
    for (;;) {
        const UnwindPlan& plan = g_unwind_plans.at(regs.at[UnwindRegisters::Pc], panic);
        if (plan.kind == PlanKind::Unusual) return std::nullopt;
        if (plan.kind != PlanKind::Pass) return Stop{&plan, regs.at[UnwindRegisters::Sp]};
        to_caller(regs, plan.rule);
    }
}

/// find_handler searches on from a stop.
WEIR_ALWAYS_INLINE std::optional<Stop> find_handler(Stop stop, const UnwindRegisters& regs, void* panic) noexcept {
    if (stop.plan->kind == PlanKind::Handler) return stop;
    UnwindRegisters ahead = regs;
    for (;;) {
        to_caller(ahead, stop.plan->rule);
        std::optional<Stop> next = next_stop(ahead, panic);
        if (!next || next->plan->kind == PlanKind::Handler) return next;
        stop = *next;
    }
}

/// begin_throw makes of the object what __cxa_throw and the search for a handler make of it.
ExceptionHeader& begin_throw(void* panic, const std::type_info* type, void (*destroy)(void*), const Stop& handler) noexcept {
    abi::__cxa_init_primary_exception(panic, const_cast<std::type_info*>(type), destroy);
    ExceptionHeader& header = *ExceptionHeader::of(panic);
    header.references() = 1;
    header.selector = handler.plan->selector;
    header.action = handler.plan->action;
    header.lsda = handler.plan->lsda;
    header.landing_pad = handler.plan->landing_pad;
    header.adjusted = panic;
    header.unwind.private_1 = 0; // not a forced unwinding
    header.unwind.private_2 = handler.sp;
    ++eh_globals()->uncaught;
    return header;
}

constexpr _Unwind_Exception_Class kGnuCxx = 0x474e5543432b2b00; // "GNUCC++\0": of libstdc++, and not of an exception_ptr's throw

/// is_panic tells whether an exception in flight is a PanicException on its way to a handler.
bool is_panic(_Unwind_Exception* e) noexcept {
    return e->exception_class == kGnuCxx && e->private_1 == 0 && ExceptionHeader::of(e)->type == &typeid(PanicException);
}

} // namespace

bool in_own_unwinding(std::uintptr_t pc) noexcept {
    return pc >= reinterpret_cast<std::uintptr_t>(__start_weir_unwinding) &&
           pc < reinterpret_cast<std::uintptr_t>(__stop_weir_unwinding);
}

void set_own_unwinding(bool on) noexcept { g_on.store(on, std::memory_order_relaxed); }

extern "C" {

/// weir_plan_raise finds out where a throw by the caller of weir_raise goes, and sets the registers.
WEIR_READS_STACKS Landing weir_plan_raise(void* panic, const std::type_info* type, void (*destroy)(void*),
                                          UnwindRegisters* regs) noexcept {
    if (!usable()) return kToLibgcc;
    auto* thrower = reinterpret_cast<const void*>(regs->at[UnwindRegisters::Pc]);
    std::optional<Stop> first = next_stop(*regs, panic);
    if (!first) return kToLibgcc;
    std::optional<Stop> handler = find_handler(*first, *regs, panic);
    if (!handler) return kToLibgcc;
    note_throw(panic, thrower);
    ExceptionHeader& header = begin_throw(panic, type, destroy, *handler);
    return land(*regs, header, first->plan->landing_pad, *first->plan);
}

/// weir_plan_resume finds out where the end of a cleanup goes on, and sets the registers.
WEIR_READS_STACKS Landing weir_plan_resume(_Unwind_Exception* e, UnwindRegisters* regs) noexcept {
    if (!is_panic(e) || !usable()) return kToLibgcc;
    ExceptionHeader& header = *ExceptionHeader::of(e);
    std::optional<Stop> stop = next_stop(*regs, header.object());
    if (!stop) return kToLibgcc;
    bool handler = stop->sp == e->private_2;
    if (handler != (stop->plan->kind == PlanKind::Handler)) return kToLibgcc;
    return land(*regs, header, handler ? header.landing_pad : stop->plan->landing_pad, *stop->plan);
}

/// weir_libgcc_resume is libgcc's _Unwind_Resume.
__attribute__((visibility("hidden"))) std::atomic<void*> weir_libgcc_resume{nullptr};
__attribute__((visibility("hidden"), used)) void* weir_find_libgcc_resume() noexcept {
    void* found = next_definition("_Unwind_Resume");
    weir_libgcc_resume.store(found, std::memory_order_relaxed);
    return found;
}

} // extern "C"

static_assert(offsetof(UnwindRegisters, at[UnwindRegisters::Sp]) == 48 &&
                  offsetof(UnwindRegisters, at[UnwindRegisters::Pc]) == 56,
              "the assembly below fills it");

} // namespace weir::detail

// Both put the caller's registers on the stack and ask. Then they either leave for good, with the registers that they were given,
// or jump to who does the work otherwise, as if they had not been called.
asm(R"(
    .macro weir_save_registers
    movq %rbx, 0(%rsp)
    movq %rbp, 8(%rsp)
    movq %r12, 16(%rsp)
    movq %r13, 24(%rsp)
    movq %r14, 32(%rsp)
    movq %r15, 40(%rsp)
    leaq 96(%rsp), %rax
    movq %rax, 48(%rsp)
    movq 88(%rsp), %rax
    movq %rax, 56(%rsp)
    .endm

    .macro weir_land
    movq 0(%rsp), %rbx
    movq 8(%rsp), %rbp
    movq 16(%rsp), %r12
    movq 24(%rsp), %r13
    movq 32(%rsp), %r14
    movq 40(%rsp), %r15
    movq 56(%rsp), %rcx
    movq 48(%rsp), %rsp
    jmpq *%rcx
    .endm

    .text
    .p2align 4
    .globl weir_raise
    .hidden weir_raise
    .type weir_raise, @function
weir_raise:
    .cfi_startproc
    subq $88, %rsp
    .cfi_adjust_cfa_offset 88
    movq %rdi, 64(%rsp)
    movq %rsi, 72(%rsp)
    movq %rdx, 80(%rsp)
    weir_save_registers
    movq %rsp, %rcx
    call weir_plan_raise
    testq %rax, %rax
    je 1f
    weir_land
1:  movq 64(%rsp), %rdi
    movq 72(%rsp), %rsi
    movq 80(%rsp), %rdx
    addq $88, %rsp
    .cfi_adjust_cfa_offset -88
    jmp __cxa_throw@PLT
    .cfi_endproc
    .size weir_raise, .-weir_raise

    .p2align 4
    .globl _Unwind_Resume
    .type _Unwind_Resume, @function
_Unwind_Resume:
    .cfi_startproc
    subq $88, %rsp
    .cfi_adjust_cfa_offset 88
    movq %rdi, 64(%rsp)
    weir_save_registers
    movq %rsp, %rsi
    call weir_plan_resume
    testq %rax, %rax
    je 2f
    weir_land
2:  movq weir_libgcc_resume(%rip), %rax
    testq %rax, %rax
    jne 3f
    call weir_find_libgcc_resume
3:  movq 64(%rsp), %rdi
    addq $88, %rsp
    .cfi_adjust_cfa_offset -88
    jmpq *%rax
    .cfi_endproc
    .size _Unwind_Resume, .-_Unwind_Resume
)");

#endif
