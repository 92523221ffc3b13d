// WEIR_CHECK: the runtime's own invariants. Always on; a failure means corruption, so it prints and aborts.
#pragma once

#include <weir/detail/config.h>

namespace weir::detail {
[[noreturn]] WEIR_COLD void check_failed(const char* file, int line, const char* what) noexcept;
}

#define WEIR_CHECK(cond)                                                                                                                   \
    do {                                                                                                                                   \
        if (!(cond)) [[unlikely]] ::weir::detail::check_failed(__FILE__, __LINE__, #cond);                                                 \
    } while (0)

#ifdef NDEBUG
#define WEIR_DCHECK(cond) ((void)0)
#else
#define WEIR_DCHECK(cond) WEIR_CHECK(cond)
#endif
