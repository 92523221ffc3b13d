// Reports: what a panic or fatal error prints, in Go's format.
#pragma once

#include <string>
#include <string_view>

#include "panic_context.h"

namespace weir::detail {

struct Fiber;

/// report_uncaught prints a panic that ends its fiber; under PanicPolicy::Crash it ends the process with status 2.
void report_uncaught(const PanicRecord& panic, const Fiber& f, PanicPolicy policy) noexcept;

/// write_stderr writes all of `text` in one go, so that reports of several threads do not mix.
void write_stderr(std::string_view text) noexcept;

} // namespace weir::detail
