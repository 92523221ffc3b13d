#include "sanitizer.h"

#include <pthread.h>

namespace weir::detail::san {

void init_thread([[maybe_unused]] Context& c) noexcept {
#if WEIR_ASAN
    pthread_attr_t attr;
    void* low = nullptr;
    std::size_t size = 0;
    if (pthread_getattr_np(pthread_self(), &attr) == 0) {
        pthread_attr_getstack(&attr, &low, &size);
        pthread_attr_destroy(&attr);
    }
    c.bottom = low;
    c.size = size;
#endif
#if WEIR_TSAN
    c.tsan = __tsan_get_current_fiber();
#endif
}

} // namespace weir::detail::san
