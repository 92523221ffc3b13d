// The runtime's own memory: mimalloc, or the sanitizer's malloc where it must see every block. Frees may come from any thread.
#pragma once

#include <cstddef>
#include <new>

#include <weir/detail/config.h>

namespace weir::detail {

/// allocate returns `size` bytes; throws std::bad_alloc. Freed with deallocate.
WEIR_API void* allocate(std::size_t size, std::size_t align);
WEIR_API void deallocate(void* p) noexcept;

} // namespace weir::detail
