// The handlers run on the thread's signal stack and never switch fibers. They only decide, and edit the interrupted context:
//
//   the address belongs to the stack       grow it, or begin an overflow (overflow.h)      -> the instruction is run again
//   the program's code, or a library's     write a FaultFrame (fault_frame.h)              -> panics on the fiber's own stack
//   abort(), the unwinder, no room left    likewise                                        -> its fiber is abandoned (crash.h)
//   weir's own code, the allocator         print everything, hand it to the handler before -> the process ends
//   no fiber's stack, kill(2), WEIR_CORE   hand it to the handler before
//
// They are not instrumented by TSan: a fault or a followed instruction may be TSan's own.
#include "fault.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <ucontext.h>
#include <unistd.h>

#include "call_site.h"
#include "check.h"
#include "code_ranges.h"
#include "crash.h"
#include "evict.h"
#include "fault_frame.h"
#include "overflow.h"
#include "report.h"
#include "stack.h"
#include "worker.h"

namespace weir::detail {

namespace {

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};

struct sigaction g_old[NSIG]; // written before a run
int g_users = 0;              // guarded by g_mutex
std::mutex g_mutex;
bool g_contain = true;        // WEIR_CORE=1: faults and aborts are not contained. Written before a run
std::atomic<bool> g_dying{false};

/// pass_on hands a signal that is not weir's to the handler that was there before.
WEIR_NO_TSAN void pass_on(int sig, siginfo_t* info, void* context) {
    const struct sigaction& old = g_old[sig];
    if (old.sa_flags & SA_SIGINFO) {
        old.sa_sigaction(sig, info, context);
    } else if (old.sa_handler == SIG_DFL) {
        signal(sig, SIG_DFL);                   // a fault happens again and takes the default action, with its core dump
        if (info->si_code <= 0) raise(sig);     // a signal that was sent does not
    } else if (old.sa_handler != SIG_IGN) {
        old.sa_handler(sig);
    }
}

#if defined(__x86_64__)

constexpr std::uintptr_t kRedZone = 128;
constexpr std::size_t kBlindRoom = 16 << 10; // at the bottom of an exhausted stack: overwritten to abandon its fiber
constexpr greg_t kDirectionFlag = 0x400;
constexpr greg_t kTrapFlag = 0x100;
constexpr greg_t kInstructionFetch = 0x10;   // in the page fault's error code
constexpr greg_t kPageFault = 14;
constexpr greg_t kProtectionFault = 13;

enum class Answer : std::uint8_t {
    Resume,        // the context is as it shall be
    Raise,
    RaiseOverflow,
    Abandon,
    AbandonBlind,
    PassOn,
    Die,           // a fault where weir cannot go on: print everything, then pass it on
};

/// Interrupted is what a handler looks at.
struct Interrupted {
    int signal;
    const siginfo_t& info;
    ucontext_t& context;
    Worker* worker; // null on a thread that is none
    Stack* stack;   // the fiber stack that the code runs on, or null
    Fiber* fiber;   // its fiber

    WEIR_ALWAYS_INLINE std::uintptr_t pc() const noexcept { return static_cast<std::uintptr_t>(context.uc_mcontext.gregs[REG_RIP]); }
    WEIR_ALWAYS_INLINE std::uintptr_t sp() const noexcept { return static_cast<std::uintptr_t>(context.uc_mcontext.gregs[REG_RSP]); }
    WEIR_ALWAYS_INLINE greg_t trap() const noexcept { return context.uc_mcontext.gregs[REG_TRAPNO]; }
    WEIR_ALWAYS_INLINE bool memory_fault() const noexcept { return (signal == SIGSEGV || signal == SIGBUS) && info.si_code > 0; }
};

/// fiber_on finds whose stack it is: between two fibers `current` is already the next one.
WEIR_NO_TSAN Fiber* fiber_on(const Worker& w, const Stack* stack) noexcept {
    if (w.current != nullptr && w.current->stack == stack) return w.current;
    return w.leaving.fiber != nullptr && w.leaving.fiber->stack == stack ? w.leaving.fiber : nullptr;
}

WEIR_NO_TSAN Interrupted look_at(int sig, const siginfo_t& info, ucontext_t& context) noexcept {
    Interrupted i{sig, info, context, this_worker(), nullptr, nullptr};
    if (i.worker == nullptr) return i;
    Stack* stack = stack_of(reinterpret_cast<void*>(i.sp()));
    i.fiber = stack != nullptr ? fiber_on(*i.worker, stack) : nullptr;
    if (i.fiber != nullptr) i.stack = stack;
    return i;
}

WEIR_NO_TSAN bool non_canonical(std::uintptr_t p) noexcept { return static_cast<std::intptr_t>(p << 16) >> 16 != static_cast<std::intptr_t>(p); }

/// wild_call: the program counter itself is invalid.
WEIR_NO_TSAN bool wild_call(const Interrupted& i) noexcept {
    if (i.signal != SIGSEGV) return false;
    if (i.trap() == kPageFault) return (i.context.uc_mcontext.gregs[REG_ERR] & kInstructionFetch) != 0;
    return i.trap() == kProtectionFault && non_canonical(i.pc());
}

WEIR_NO_TSAN Answer answer_stack(const Interrupted& i) noexcept {
    switch (stack_grow(*i.stack, i.info.si_addr)) {
    case Growth::Grown: return Answer::Resume;
    case Growth::Overflow: return begin_overflow(*i.fiber, i.context) ? Answer::Resume : Answer::AbandonBlind;
    case Growth::Exhausted: return Answer::AbandonBlind;
    case Growth::NotGrowth: break;
    }
    return Answer::PassOn;
}

WEIR_NO_TSAN Answer answer_trap(const Interrupted& i) noexcept {
    switch (step_overflow(i.fiber, i.context)) {
    case OverflowStep::Continue: return Answer::Resume;
    case OverflowStep::Panic: return Answer::RaiseOverflow;
    case OverflowStep::NotOurs: break;
    }
    return i.worker != nullptr ? Answer::Resume : Answer::PassOn;
}

WEIR_NO_TSAN Answer answer_abort(const Interrupted& i) noexcept {
    bool own = i.info.si_code == SI_TKILL && i.info.si_pid == getpid();
    return own && i.fiber != nullptr && g_contain ? Answer::Abandon : Answer::PassOn;
}

/// answer_fault: a fault of code that runs on a fiber's stack.
WEIR_NO_TSAN Answer answer_fault(const Interrupted& i) noexcept {
    switch (wild_call(i) ? CodeOwner::Program : code_owner(i.pc())) {
    case CodeOwner::Program:
    case CodeOwner::Libc:
    case CodeOwner::Library: return g_contain ? Answer::Raise : Answer::PassOn;
    case CodeOwner::Unwinder: return g_contain ? Answer::AbandonBlind : Answer::PassOn;
    case CodeOwner::Allocator:
    case CodeOwner::Runtime: break;
    }
    return Answer::Die;
}

WEIR_NO_TSAN Answer answer(const Interrupted& i) noexcept {
    if (g_dying.load(std::memory_order_relaxed)) return Answer::PassOn;
    if (i.signal == SIGTRAP && i.info.si_code == TRAP_TRACE) return answer_trap(i);
    if (i.signal == SIGABRT) return answer_abort(i);
    if (i.info.si_code <= 0) return Answer::PassOn; // sent by somebody
    if (i.fiber == nullptr) return i.worker != nullptr ? Answer::Die : Answer::PassOn;
    if (i.memory_fault() && !wild_call(i)) {
        if (Answer a = answer_stack(i); a != Answer::PassOn) return a;
    }
    return answer_fault(i);
}

/// write_registers stores the interrupted code's registers, as they are for the unwinder: at the faulting instruction.
WEIR_NO_TSAN void write_registers(const Interrupted& i, FaultFrame& frame) noexcept {
    constexpr int order[17] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8,
                               REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};
    for (int r = 0; r < 17; ++r) frame.regs[r] = static_cast<std::uint64_t>(i.context.uc_mcontext.gregs[order[r]]);
    std::uint64_t& rip = frame.regs[FaultFrame::kRip];
    std::uint64_t& rsp = frame.regs[FaultFrame::kRsp];
    if (wild_call(i)) { // the caller's call instruction: its return address is on top of the stack
        std::memcpy(&rip, reinterpret_cast<const void*>(rsp), sizeof rip);
        rip -= 1;
        rsp += sizeof rip;
    } else if (i.signal == SIGTRAP && i.info.si_code != TRAP_TRACE) {
        rip -= 1; // a breakpoint instruction has been executed
    }
}

/// room_for finds the place of the frame: below the interrupted code's frame, or, where that stack is exhausted, over its innermost ones.
WEIR_NO_TSAN std::uintptr_t room_for(const Interrupted& i, FaultAction& action) noexcept {
    std::uintptr_t at = (i.sp() - kRedZone - sizeof(FaultFrame)) & ~std::uintptr_t{15};
    Growth growth = stack_grow(*i.stack, reinterpret_cast<void*>(at));
    if (growth == Growth::NotGrowth || growth == Growth::Grown) return at;
    if (growth == Growth::Overflow && stack_open_below_floor(*i.stack)) {
        i.stack->overflow = Overflow::Raised;
        return at;
    }
    action = FaultAction::AbandonBlind;
    char* window = i.stack->window.load(std::memory_order_relaxed);
    return (reinterpret_cast<std::uintptr_t>(window) + kBlindRoom - sizeof(FaultFrame)) & ~std::uintptr_t{15};
}

/// divert makes the interrupted code go on in weir_fault_entry.
WEIR_NO_TSAN void divert(const Interrupted& i, FaultAction action) noexcept {
    end_overflow_steps(*i.fiber, i.context);
    auto& frame = *reinterpret_cast<FaultFrame*>(room_for(i, action));
    san::clear_stack(&frame, sizeof frame);
    write_registers(i, frame);
    frame.fault = {i.signal, i.info.si_code, reinterpret_cast<std::uintptr_t>(i.info.si_addr), i.pc()};
    frame.action = action;
    auto& regs = i.context.uc_mcontext.gregs;
    regs[REG_RSP] = static_cast<greg_t>(reinterpret_cast<std::uintptr_t>(&frame));
    regs[REG_RIP] = static_cast<greg_t>(reinterpret_cast<std::uintptr_t>(&weir_fault_entry));
    regs[REG_EFL] &= ~(kDirectionFlag | kTrapFlag);
    if (i.context.uc_mcontext.fpregs != nullptr) { // what is pending would fault again
        i.context.uc_mcontext.fpregs->swd &= 0x7f00;
        i.context.uc_mcontext.fpregs->mxcsr &= ~0x3fu;
    }
}

WEIR_NO_TSAN void on_crash(int sig, siginfo_t* info, void* context) {
    int saved = errno;
    Interrupted i = look_at(sig, *info, *static_cast<ucontext_t*>(context));
    Answer a = answer(i);
    switch (a) {
    case Answer::Resume: break;
    case Answer::Raise: divert(i, FaultAction::Raise); break;
    case Answer::RaiseOverflow: divert(i, FaultAction::RaiseOverflow); break;
    case Answer::Abandon: divert(i, FaultAction::Abandon); break;
    case Answer::AbandonBlind: divert(i, FaultAction::AbandonBlind); break;
    case Answer::Die: g_dying.store(true, std::memory_order_relaxed); report_dying({sig, info->si_code, reinterpret_cast<std::uintptr_t>(info->si_addr), i.pc()}); [[fallthrough]];
    case Answer::PassOn: pass_on(sig, info, context); break;
    }
    errno = saved;
}

#else

/// Elsewhere stacks grow, and every other fault ends the process as it does without weir.
[[noreturn]] void report_overflow_and_exit(const Stack& stack) {
    char text[160];
    int n = std::snprintf(text, sizeof text, "fatal error: stack overflow: fiber %llu exceeded %zu KiB; raise stack_max\n",
                          static_cast<unsigned long long>(stack.fiber.load(std::memory_order_relaxed)), stack.size() >> 10);
    write_stderr({text, static_cast<std::size_t>(n)});
    _exit(2);
}

WEIR_NO_TSAN void on_crash(int sig, siginfo_t* info, void* context) {
    int saved = errno;
    Stack* stack = sig == SIGSEGV || sig == SIGBUS ? stack_of(info->si_addr) : nullptr;
    Growth growth = stack != nullptr ? stack_grow(*stack, info->si_addr) : Growth::NotGrowth;
    errno = saved;
    if (growth == Growth::Grown) return;
    if (growth == Growth::Overflow) report_overflow_and_exit(*stack);
    pass_on(sig, info, context);
}

#endif

WEIR_NO_TSAN void on_evict(int sig, siginfo_t* info, void* context) {
    if (!obey_eviction(context) && g_old[sig].sa_handler != SIG_DFL) pass_on(sig, info, context); // by default it is ignored
}

void install(int sig, void (*handler)(int, siginfo_t*, void*), int flags) {
    struct sigaction sa {};
    sa.sa_sigaction = handler;
    sa.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | flags;
    sigemptyset(&sa.sa_mask);
    WEIR_CHECK(sigaction(sig, &sa, &g_old[sig]) == 0);
}

} // namespace

void install_fault_handler() {
    std::lock_guard hold(g_mutex);
    if (g_users++ > 0) return;
    stack_init();
    note_code_ranges();
    const char* core = std::getenv("WEIR_CORE");
    g_contain = core == nullptr || std::strcmp(core, "1") != 0;
    can_throw_at(0); // the unwinder's first call may allocate
    // SA_NODEFER: a fault in the handler is handled too, as one in the runtime.
    for (int sig : kSignals) install(sig, on_crash, SA_NODEFER);
    install(kEvictSignal, on_evict, 0);
    install_terminate_handler();
}

void restore_fault_handler() {
    std::lock_guard hold(g_mutex);
    if (--g_users > 0) return;
    restore_terminate_handler();
    for (int sig : kSignals) sigaction(sig, &g_old[sig], nullptr);
    sigaction(kEvictSignal, &g_old[kEvictSignal], nullptr);
}

void abort_process() noexcept {
    g_dying.store(true, std::memory_order_relaxed);
    std::abort();
}

} // namespace weir::detail
