// The one door to the runtime's thread-locals.
//
// A fiber may resume on another OS thread, and compilers cache thread-local addresses across calls. this_worker() therefore reads the
// slot afresh each time: a volatile asm on x86-64, a noinline function elsewhere.
#pragma once

#include <weir/detail/config.h>
#include <weir/detail/uncaught.h>

namespace weir::detail {

struct Worker;

#if defined(__x86_64__)

} // namespace weir::detail
extern "C" {
extern thread_local weir::detail::Worker* weir_tls_worker __attribute__((tls_model("initial-exec"), visibility("hidden")));
}
namespace weir::detail {

/// this_worker is the worker that runs on this OS thread, or null on a thread that is none.
WEIR_ALWAYS_INLINE Worker* this_worker() noexcept {
    Worker* w;
    asm volatile("movq weir_tls_worker@gottpoff(%%rip), %0\n\tmovq %%fs:(%0), %0" : "=r"(w));
    return w;
}

#else

Worker* this_worker() noexcept;

#endif

void set_this_worker(Worker* worker) noexcept;

/// errno and the C++ exception globals of the OS thread that runs right now; both are `const` to the compiler, hence out of line.
int* errno_address() noexcept;

/// EhGlobals mirrors libstdc++'s __cxa_eh_globals: the caught exceptions' stack and the count of uncaught ones.
struct EhGlobals {
    void* caught = nullptr;
    unsigned uncaught = 0;
};
EhGlobals* eh_globals_address() noexcept;

/// eh_globals is the same, faster.
inline EhGlobals* eh_globals() noexcept {
#if defined(__x86_64__)
    if (const void* known = known_eh_globals()) return static_cast<EhGlobals*>(const_cast<void*>(known));
#endif
    return eh_globals_address();
}

} // namespace weir::detail
