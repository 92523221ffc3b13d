#include "overflow.h"

#include "call_site.h"
#include "code_ranges.h"
#include "fiber.h"
#include "worker.h"

namespace weir::detail {

namespace {

#if defined(__x86_64__)

constexpr greg_t kTrapFlag = 0x100;
constexpr std::uintptr_t kRedZone = 128;
constexpr std::uintptr_t kRearmRoom = 4 << 10; // between the floor and who guards it again: the system call's frames, and some to go on with
constexpr std::uint32_t kMostSteps = 4'000'000; // then the code runs on by itself, in what room is left
constexpr std::uint32_t kProgramStep = 100;     // what a step in the program's code counts, for the walk that it takes

WEIR_NO_TSAN void follow(ucontext_t& context, bool on) noexcept {
    greg_t& flags = context.uc_mcontext.gregs[REG_EFL];
    flags = on ? flags | kTrapFlag : flags & ~kTrapFlag;
}

WEIR_NO_TSAN bool above_floor(const Stack& s, std::uintptr_t sp) noexcept { return sp >= reinterpret_cast<std::uintptr_t>(s.floor()) + 2 * kRedZone; }

#endif

} // namespace

#if defined(__x86_64__)

WEIR_NO_TSAN bool begin_overflow(Fiber& f, ucontext_t& context) noexcept {
    if (!stack_open_below_floor(*f.stack)) return false;
    f.stack->overflow = Overflow::Stepping;
    f.overflowing = true;
    f.stack->steps = 0;
    follow(context, true);
    return true;
}

WEIR_NO_TSAN OverflowStep step_overflow(Fiber* f, ucontext_t& context) noexcept {
    bool followed = f != nullptr && f->stack->overflow == Overflow::Stepping;
    if (!followed) { // the fiber was switched away, or this is a debugger's trap
        follow(context, false);
        return OverflowStep::NotOurs;
    }
    Stack& s = *f->stack;
    auto sp = static_cast<std::uintptr_t>(context.uc_mcontext.gregs[REG_RSP]);
    if (above_floor(s, sp)) {
        end_overflow_steps(*f, context);
        stack_close_below_floor(s);
        return OverflowStep::Continue;
    }
    auto pc = static_cast<std::uintptr_t>(context.uc_mcontext.gregs[REG_RIP]);
    bool program = code_owner(pc) == CodeOwner::Program;
    if (program && can_throw_at(pc)) return OverflowStep::Panic;
    s.steps += program ? kProgramStep : 1;
    if (s.steps >= kMostSteps) end_overflow_steps(*f, context);
    return OverflowStep::Continue;
}

WEIR_NO_TSAN void end_overflow_steps(Fiber& f, ucontext_t& context) noexcept {
    follow(context, false);
    f.overflowing = false;
    if (f.stack->overflow == Overflow::Stepping) f.stack->overflow = Overflow::Raised;
}

WEIR_NOINLINE void rearm_raised(Stack& s) noexcept {
    if (stack_of(__builtin_frame_address(0)) == &s && above_floor(s, reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) - kRearmRoom)) {
        stack_close_below_floor(s);
    }
}

#else

bool begin_overflow(Fiber&, ucontext_t&) noexcept { return false; }
OverflowStep step_overflow(Fiber*, ucontext_t&) noexcept { return OverflowStep::NotOurs; }
void end_overflow_steps(Fiber&, ucontext_t&) noexcept {}
void rearm_raised(Stack&) noexcept {}

#endif

} // namespace weir::detail
