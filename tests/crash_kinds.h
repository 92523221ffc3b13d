// The ways a fiber can crash that crash_test.cpp goes through, and what each must come to.
#pragma once

#include <cstddef>
#include <span>

#include <weir/panic.h>

namespace weir_test {

/// Comes is what a crash comes to.
enum class Comes {
    Panic,     ///< a panic of that kind and text: destructors and defers run
    Abandoned, ///< the fiber is abandoned
    Either,    ///< the compiler decides (code built without -fnon-call-exceptions)
};

struct CrashKind {
    const char* name;
    void (*crash)();
    weir::PanicKind kind;
    const char* text; ///< part of the message
    Comes comes;
};

/// crash_kinds lists them all.
std::span<const CrashKind> crash_kinds();

/// destroyed counts the objects that crashing functions have left to their destructors.
std::size_t destroyed() noexcept;

} // namespace weir_test
