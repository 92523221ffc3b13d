// Reports: what a panic or fatal error prints, in Go's format.
#pragma once

#include <string>
#include <string_view>

#include "panic_context.h"

namespace weir::detail {

struct Fiber;

/// report_uncaught reports a panic that ends the calling fiber; under PanicPolicy::Crash it ends the process with status 2, or the reporter does
/// when the fiber has been abandoned.
void report_uncaught(const std::shared_ptr<PanicRecord>& panic, const Fiber& f, PanicPolicy policy) noexcept;

/// report_dying prints a fault that weir cannot go on after, the calling thread's stack and every fiber's. For the signal handler: ends in
/// bounded time, whatever is locked.
void report_dying(const FaultInfo& fault) noexcept;

/// write_stderr writes all of `text` in one go, so that reports of several threads do not mix.
void write_stderr(std::string_view text) noexcept;

} // namespace weir::detail
