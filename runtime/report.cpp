#include "report.h"

#include <cerrno>
#include <cstdlib>
#include <string>
#include <unistd.h>

#include <weir/go.h>
#include "check.h"
#include "fiber.h"
#include "symbols.h"
#include "worker.h"

namespace weir {

namespace detail {

namespace {

std::string goroutine_header(std::uint64_t id, const char* state) { return "goroutine " + std::to_string(id) + " [" + state + "]:\n"; }

} // namespace

void write_stderr(std::string_view text) noexcept {
    while (!text.empty()) {
        ssize_t n = ::write(STDERR_FILENO, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;
        text.remove_prefix(static_cast<std::size_t>(n));
    }
}

void report_uncaught(const PanicRecord& panic, const Fiber& f, PanicPolicy policy) noexcept {
    std::string text = panic_chain_text(panic) + "\n" + goroutine_header(f.id.load(std::memory_order_relaxed), "running");
    if (panic.site != nullptr) text += print_trace({panic.site->pc.data(), static_cast<std::size_t>(panic.site->size)});
    text += print_created(f.created_at, f.parent);
    write_stderr(text + "\n");
    if (policy == PanicPolicy::Crash) _exit(2);
}

void fatal(std::string_view message) {
    Trace trace;
    take_trace(trace, 1);
    std::string text = "fatal error: " + std::string(message) + "\n\n" + goroutine_header(this_fiber::id(), "running") +
                       print_trace({trace.pc.data(), static_cast<std::size_t>(trace.size)});
    Worker* w = this_worker();
    if (w != nullptr && w->current != nullptr) text += print_created(w->current->created_at, w->current->parent);
    write_stderr(text);
    _exit(2);
}

void check_failed(const char* file, int line, const char* what) noexcept {
    Trace trace;
    take_trace(trace, 1);
    write_stderr("weir: internal error: " + std::string(file) + ":" + std::to_string(line) + ": check failed: " + what + "\n" +
                 print_trace({trace.pc.data(), static_cast<std::size_t>(trace.size)}));
    std::abort();
}

} // namespace detail

namespace this_fiber {

std::string stack() {
    detail::Trace trace;
    detail::take_trace(trace, 1);
    std::string text = detail::goroutine_header(id(), "running") + detail::print_trace({trace.pc.data(), static_cast<std::size_t>(trace.size)});
    detail::Worker* w = detail::this_worker();
    if (w != nullptr && w->current != nullptr) text += detail::print_created(w->current->created_at, w->current->parent);
    return text;
}

} // namespace this_fiber

} // namespace weir
