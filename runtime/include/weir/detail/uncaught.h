// uncaught: std::uncaught_exceptions() in two loads, for defer, which asks twice.
#pragma once

#include <exception>

#include <weir/detail/config.h>

#if defined(__x86_64__)
/// The thread's __cxa_eh_globals (Itanium C++ ABI: the caught exceptions, then the count of uncaught ones); null until it is first asked for.
extern "C" WEIR_API thread_local const void* weir_tls_eh_globals __attribute__((tls_model("initial-exec")));
#endif

namespace weir::detail {

/// uncaught_slow asks libstdc++, and sets the thread's weir_tls_eh_globals.
WEIR_API int uncaught_slow() noexcept;

#if defined(__x86_64__)

/// known_eh_globals is the calling thread's weir_tls_eh_globals.
WEIR_ALWAYS_INLINE const void* known_eh_globals() noexcept {
    const void* globals;
    // volatile: the fiber may have moved to another thread since the last time.
    asm volatile("movq weir_tls_eh_globals@gottpoff(%%rip), %0\n\tmovq %%fs:(%0), %0" : "=r"(globals));
    return globals;
}

WEIR_ALWAYS_INLINE int uncaught() noexcept {
    const void* globals = known_eh_globals();
    if (globals == nullptr) [[unlikely]] return uncaught_slow();
    return static_cast<int>(*reinterpret_cast<const volatile unsigned*>(static_cast<const char*>(globals) + sizeof(void*)));
}

#else

inline int uncaught() noexcept { return std::uncaught_exceptions(); }

#endif

} // namespace weir::detail
