#include <weir/detail/alloc.h>

#include <cstdlib>

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

void* allocate(std::size_t size, std::size_t align) {
    void* p = mi_malloc_aligned(size, align);
    if (p == nullptr) throw std::bad_alloc();
    return p;
}

void deallocate(void* p) noexcept { mi_free(p); }

#endif

} // namespace weir::detail
