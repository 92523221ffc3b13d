#include "tls.h"

#include <cerrno>
#include <cxxabi.h>

thread_local weir::detail::Worker* weir_tls_worker = nullptr;

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

} // namespace weir::detail
