#include "crash.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>

#include "bubble.h"
#include "abandon_hooks.h"
#include "fault.h"
#include "fault_frame.h"
#include "fiber_main.h"
#include "report.h"
#include "reporter.h"
#include "scheduler.h"
#include "worker.h"

namespace weir::detail {

namespace {

std::atomic<std::uint64_t> g_abandoned{0};
constexpr std::uint64_t kAbandonedBound = 1024; // from here on the process says how much it holds back, at every doubling

std::terminate_handler g_old_terminate = nullptr; // written before a run

[[noreturn]] void on_terminate() {
    Worker* w = this_worker();
    if (w != nullptr && w->current != nullptr) abandon_fiber(terminated_record());
    if (g_old_terminate != nullptr) g_old_terminate();
    abort_process();
}

void say_when_many(std::uint64_t abandoned) noexcept {
    if (abandoned < kAbandonedBound || (abandoned & (abandoned - 1)) != 0) return;
    write_stderr("weir: " + std::to_string(abandoned) +
                 " fibers have been abandoned: each holds its stack and all it owned; find what crashes in code that cannot unwind, or restart\n");
}

/// Abandoning is what a fiber leaves behind: its stack, in use from `frame` upwards.
struct Abandoning {
    Fiber* fiber;
    char* frame;
};

bool commit_abandon(void* arg) {
    Abandoning a = *static_cast<Abandoning*>(arg);
    auto used = static_cast<std::size_t>(a.fiber->stack->top - a.frame);
    stack_shrink(*a.fiber->stack, (used + kPage - 1) & ~(kPage - 1)); // what was deeper is dead
    a.fiber->context = nullptr;
    a.fiber->state.store(FiberState::Abandoned, std::memory_order_relaxed);
    return true;
}

std::string size_text(std::size_t bytes) {
    return bytes >= (1 << 20) ? std::to_string(bytes >> 20) + " MiB" : std::to_string(bytes >> 10) + " KiB";
}

std::string overflow_text() {
    Fiber* f = this_worker()->current;
    return "stack overflow: fiber " + std::to_string(f->id.load(std::memory_order_relaxed)) + " exceeded " + size_text(f->stack->size()) + "; raise stack_max";
}

/// trace_of takes the stack from the faulting instruction on.
WEIR_NOINLINE Trace trace_of(const FaultFrame& frame) {
    Trace trace;
    void* pc = reinterpret_cast<void*>(frame.regs[FaultFrame::kRip]);
    if (frame.action == FaultAction::AbandonBlind) {
        trace.pc[0] = reinterpret_cast<void*>(frame.fault.pc);
        trace.size = 1;
        return trace;
    }
    take_trace(trace, 0);
    int first = 0;
    while (first < trace.size && trace.pc[static_cast<std::size_t>(first)] != pc) ++first;
    if (first < trace.size) {
        std::copy(trace.pc.begin() + first, trace.pc.begin() + trace.size, trace.pc.begin());
        trace.size -= first;
    }
    return trace;
}

} // namespace

void abandon_fiber(const std::shared_ptr<PanicRecord>& why) noexcept {
    Worker* w = this_worker();
    Fiber* f = w->current;
    why->abandoned = true;
    say_when_many(g_abandoned.fetch_add(1, std::memory_order_relaxed) + 1);
    w->reporting.fetch_add(1, std::memory_order_relaxed); // as in run_entry()
    report_uncaught(why, *f, policy_of(*f));
    w->reporting.fetch_sub(1, std::memory_order_relaxed);
    if (f->is_system) reporter_crashed(*f);
    if (Bubble* b = bubble_of(*f)) b->take(why); // reported all the same: its stack is lost
    run_abandon_hooks(*f, Panic(why));
    end_abandoned(f);
    w = this_worker();
    Abandoning leaving{f, static_cast<char*>(__builtin_frame_address(0))};
    w->leaving = {f, commit_abandon, &leaving};
    leave_for_good(w, nullptr);
}

std::uint64_t abandoned_count() noexcept { return g_abandoned.load(std::memory_order_relaxed); }

void install_terminate_handler() noexcept { g_old_terminate = std::set_terminate(on_terminate); }

void restore_terminate_handler() noexcept { std::set_terminate(g_old_terminate); }

} // namespace weir::detail

void weir_fault_arrived(weir::detail::FaultFrame* frame) {
    using namespace weir::detail;
    SitePtr site = site_of(trace_of(*frame));
    switch (frame->action) {
    case FaultAction::Raise: throw_fault(weir::PanicKind::Fault, fault_text(frame->fault), frame->fault, std::move(site));
    case FaultAction::RaiseOverflow: throw_fault(weir::PanicKind::StackOverflow, overflow_text(), {}, std::move(site));
    case FaultAction::Abandon:
    case FaultAction::AbandonBlind: break;
    }
    bool exhausted = frame->fault.signal == SIGSEGV && this_worker()->current->stack->overflow != Overflow::None;
    if (exhausted) abandon_fiber(crash_record(weir::PanicKind::StackOverflow, overflow_text(), {}, std::move(site)));
    if (frame->fault.signal == SIGABRT) abandon_fiber(crash_record(weir::PanicKind::Fatal, fault_text(frame->fault), {}, std::move(site)));
    abandon_fiber(crash_record(weir::PanicKind::Fault, fault_text(frame->fault), frame->fault, std::move(site)));
}
