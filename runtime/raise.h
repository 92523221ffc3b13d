// Raising a panic without libgcc's unwinder, which reads the tables of every frame twice a throw: one walk along plans that are
// worked out once (unwind_plan.h), and a jump to the first landing pad.
//
// Whatever is out of the ordinary on the way (a frame without a plan, nobody who catches) is found before anything has been
// changed, and the throw is then libstdc++'s and libgcc's. What is written into the exception's header is what they would write:
// each may take over from the other at every cleanup.
#pragma once

#include <cstdint>
#include <typeinfo>

#include <weir/detail/config.h>

#if defined(__x86_64__) && defined(__LP64__) && defined(__GLIBCXX__) && !WEIR_ASAN && !WEIR_TSAN
#define WEIR_OWN_UNWINDING 1
#else
#define WEIR_OWN_UNWINDING 0
#endif

namespace weir::detail {

#if WEIR_OWN_UNWINDING

/// in_own_unwinding tells whether the instruction at `pc` is one of those that read the frames of a stack. Async-signal-safe.
bool in_own_unwinding(std::uintptr_t pc) noexcept;

/// set_own_unwinding switches it on and off, for tests; it is on.
void set_own_unwinding(bool on) noexcept;

#else

inline bool in_own_unwinding(std::uintptr_t) noexcept { return false; }

#endif

} // namespace weir::detail

/// weir_raise is __cxa_throw for a PanicException. Never returns; without noreturn, so that a caller may leave by a jump.
#if WEIR_OWN_UNWINDING
extern "C" __attribute__((visibility("hidden"))) void weir_raise(void* panic, const std::type_info* type, void (*destroy)(void*));
#else
extern "C" void weir_raise(void* panic, const std::type_info* type, void (*destroy)(void*)) __asm__("__cxa_throw");
#endif
