#include "report.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>
#include <unistd.h>

#include <weir/detail/dump.h>
#include <weir/detail/timer.h>
#include <weir/go.h>
#include "check.h"
#include "fault.h"
#include "fiber.h"
#include "fiber_text.h"
#include "reporter.h"
#include "seeded.h"
#include "symbols.h"
#include "worker.h"

namespace weir {

namespace detail {

namespace {

constexpr unsigned kDyingSeconds = 20;

/// own_header is the calling fiber's.
std::string own_header() {
    Worker* w = this_worker();
    bool locked = w != nullptr && w->current != nullptr && locked_to(*w->current) != nullptr;
    return fiber_header({this_fiber::id(), locked, this_fiber::name(), this_fiber::labels()}, "running");
}

} // namespace

void write_stderr(std::string_view text) noexcept {
    while (!text.empty()) {
        ssize_t n = ::write(STDERR_FILENO, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;
        text.remove_prefix(static_cast<std::size_t>(n));
    }
}

void report_uncaught(const std::shared_ptr<PanicRecord>& panic, const Fiber& f, PanicPolicy policy) noexcept {
    note_uncaught();
    auto o = std::make_shared<Obituary>();
    o->panic = panic;
    o->fiber_id = f.id.load(std::memory_order_relaxed);
    o->parent = f.parent;
    o->created_at = f.created_at;
    if (f.extra != nullptr) {
        o->fiber_name = f.extra->name;
        o->labels = f.extra->labels;
    }
    o->time = std::chrono::system_clock::now();
    o->last_wait = last_wait();
    o->ended = mono_now();
    o->locked_to_thread = locked_to(f) != nullptr;
    o->crash = policy == PanicPolicy::Crash && !f.is_system;
    o->to_handler = !f.is_system;
    if (Trial* trial = current_trial()) {
        if (!trial->failed()) trial->panic = std::move(o);
        return;
    }
    if (o->crash && !panic->abandoned) {
        report_now(*o);
        crash_process();
    }
    if (!report_later(o) && o->crash) crash_process();
}

void report_dying(const FaultInfo& fault) noexcept {
    signal(SIGALRM, SIG_DFL); // what follows may wait for a lock that the dead code held
    alarm(kDyingSeconds);
    write_stderr("fatal error: fault in the runtime, outside any fiber, or in the allocator\n" + signal_line(fault) + "\n");
    Trace trace;
    take_trace(trace, 1);
    write_stderr(own_header() + print_trace({trace.pc.data(), static_cast<std::size_t>(trace.size)}) + "\n");
    write_stderr(dump_all_fibers() + seed_note());
    alarm(0);
}

void fatal(std::string_view message) {
    Trace trace;
    take_trace(trace, 1);
    std::string text = "fatal error: " + std::string(message) + "\n\n" + own_header() +
                       print_trace({trace.pc.data(), static_cast<std::size_t>(trace.size)});
    Worker* w = this_worker();
    if (w != nullptr && w->current != nullptr) text += print_created(w->current->created_at, w->current->parent);
    write_stderr(text + seed_note());
    _exit(2);
}

void check_failed(const char* file, int line, const char* what) noexcept {
    Trace trace;
    take_trace(trace, 1);
    write_stderr("weir: internal error: " + std::string(file) + ":" + std::to_string(line) + ": check failed: " + what + "\n" +
                 print_trace({trace.pc.data(), static_cast<std::size_t>(trace.size)}));
    abort_process();
}

} // namespace detail

namespace this_fiber {

std::string stack() {
    detail::Trace trace;
    detail::take_trace(trace, 1);
    std::string text = detail::own_header() + detail::print_trace({trace.pc.data(), static_cast<std::size_t>(trace.size)});
    detail::Worker* w = detail::this_worker();
    if (w != nullptr && w->current != nullptr) text += detail::print_created(w->current->created_at, w->current->parent);
    return text;
}

} // namespace this_fiber

} // namespace weir
