// Fiber switches as the sanitizers must see them; nothing in an ordinary build.
#pragma once

#include <cstddef>

#include <weir/detail/config.h>

#if WEIR_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if WEIR_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace weir::detail::san {

/// Context is what the sanitizers keep for one stack: a fiber's, or a worker's own.
struct Context {
#if WEIR_ASAN
    void* fake_stack = nullptr;
    const void* bottom = nullptr;
    std::size_t size = 0;
#endif
#if WEIR_TSAN
    void* tsan = nullptr;
#endif
};

/// before_switch announces that this thread is about to run on `to`. `dying`: `from` never runs again.
WEIR_ALWAYS_INLINE void before_switch([[maybe_unused]] Context& from, [[maybe_unused]] Context& to, [[maybe_unused]] bool dying) noexcept {
#if WEIR_ASAN
    __sanitizer_start_switch_fiber(dying ? nullptr : &from.fake_stack, to.bottom, to.size);
#endif
#if WEIR_TSAN
    __tsan_switch_to_fiber(to.tsan, 0);
#endif
}

/// after_switch completes it on the new stack.
WEIR_ALWAYS_INLINE void after_switch([[maybe_unused]] Context& self) noexcept {
#if WEIR_ASAN
    __sanitizer_finish_switch_fiber(self.fake_stack, nullptr, nullptr);
#endif
}

WEIR_ALWAYS_INLINE void init_stack([[maybe_unused]] Context& c, [[maybe_unused]] const void* low, [[maybe_unused]] std::size_t size) {
#if WEIR_ASAN
    c.fake_stack = nullptr;
    c.bottom = low;
    c.size = size;
#endif
#if WEIR_TSAN
    if (c.tsan == nullptr) c.tsan = __tsan_create_fiber(0);
#endif
}

/// clear_stack forgets the poison that frames left behind on a stack that is about to be used again.
WEIR_ALWAYS_INLINE void clear_stack([[maybe_unused]] const void* low, [[maybe_unused]] std::size_t size) noexcept {
#if WEIR_ASAN
    __asan_unpoison_memory_region(low, size);
#endif
}

/// init_thread takes the calling OS thread's own stack.
void init_thread(Context& c) noexcept;

} // namespace weir::detail::san
