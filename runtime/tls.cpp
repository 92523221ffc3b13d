#include "tls.h"

#include <cerrno>
#include <cxxabi.h>

#include <weir/detail/uncaught.h>

thread_local weir::detail::Worker* weir_tls_worker = nullptr;
#if defined(__x86_64__)
thread_local const void* weir_tls_eh_globals = nullptr;
#endif

namespace weir::detail {

#if !defined(__x86_64__)
WEIR_NOINLINE Worker* this_worker() noexcept {
    Worker** slot = &weir_tls_worker;
    asm volatile("" : "+rm"(slot));
    return *slot;
}
#endif

WEIR_NOINLINE void set_this_worker(Worker* worker) noexcept {
    Worker** slot = &weir_tls_worker;
    asm volatile("" : "+rm"(slot));
    *slot = worker;
}

WEIR_NOINLINE int* errno_address() noexcept {
    int* p = &errno;
    asm volatile("" : "+rm"(p));
    return p;
}

WEIR_NOINLINE EhGlobals* eh_globals_address() noexcept {
    void* p = abi::__cxa_get_globals();
    asm volatile("" : "+rm"(p));
    return static_cast<EhGlobals*>(p);
}

WEIR_NOINLINE int uncaught_slow() noexcept {
#if defined(__x86_64__)
    const void** slot = &weir_tls_eh_globals;
    asm volatile("" : "+rm"(slot));
    *slot = eh_globals_address();
#endif
    return std::uncaught_exceptions();
}

} // namespace weir::detail
