#include <weir/detail/alloc.h>

#include <cstdlib>

#include "runtime_lock.h"

#if !WEIR_ASAN && !WEIR_TSAN
#include <mimalloc.h>
#endif

namespace weir::detail {

#if WEIR_ASAN || WEIR_TSAN

void* allocate(std::size_t size, std::size_t align) {
    void* p = nullptr;
    if (posix_memalign(&p, align < sizeof(void*) ? sizeof(void*) : align, size) != 0) throw std::bad_alloc();
    return p;
}

void deallocate(void* p) noexcept { std::free(p); }

#else

// The allocator's heaps are the thread's and outlive the fiber.
void* allocate(std::size_t size, std::size_t align) {
    stay_put();
    void* p = mi_malloc_aligned(size, align);
    may_go();
    if (p == nullptr) throw std::bad_alloc();
    return p;
}

void deallocate(void* p) noexcept {
    stay_put();
    mi_free(p);
    may_go();
}

#endif

} // namespace weir::detail
