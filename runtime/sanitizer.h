// Fiber switches as the sanitizers must see them; nothing in an ordinary build.
#pragma once

#include <cstddef>

#include <weir/detail/config.h>

#if WEIR_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#if WEIR_TSAN
#include <sanitizer/tsan_interface.h>
extern "C" { // in libtsan, but in no header
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}
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
    unsigned fibers = 0; // that have begun there
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

/// begin_fiber is called for each fiber that begins on a stack. The last one left a few calls that never returned in TSan's own list of them, which has room
/// for 65,536 and is not looked after.
WEIR_ALWAYS_INLINE void begin_fiber([[maybe_unused]] Context& c) noexcept {
#if WEIR_TSAN
    if (++c.fibers % 1024 != 0) return;
    __tsan_destroy_fiber(c.tsan);
    c.tsan = __tsan_create_fiber(0);
#endif
}

/// end_stack forgets a stack that goes back to the pool. To TSan a fiber counts as a thread, and a process that has any left cannot fork safely.
WEIR_ALWAYS_INLINE void end_stack([[maybe_unused]] Context& c) noexcept {
#if WEIR_TSAN
    if (c.tsan != nullptr) __tsan_destroy_fiber(c.tsan);
    c.tsan = nullptr;
#endif
}

/// keep_reachable makes what the memory points to count as reachable, as from a living thread's stack, when leaks are looked for at the end of the
/// process. False: nobody will look, or too much is kept already, each piece of which takes a look through all mappings. Not for several threads at once.
inline bool keep_reachable([[maybe_unused]] const void* memory, [[maybe_unused]] std::size_t size) noexcept {
#if WEIR_ASAN
    constexpr int kMost = 256;
    static int kept = 0;
    if (kept == kMost) return false;
    ++kept;
    __lsan_register_root_region(memory, size);
    return true;
#else
    return false;
#endif
}

/// Unseen hides the memory accesses of its scope from TSan, which does not know the fences that order them. The caller says what is handed over:
/// published() before, received() after.
class Unseen {
public:
#if WEIR_TSAN
    Unseen() noexcept {
        AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
        AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
    }
    ~Unseen() {
        AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
        AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
    }
#else
    Unseen() noexcept {} // not trivial: no warning about an unused variable
#endif
    Unseen(const Unseen&) = delete;
    Unseen& operator=(const Unseen&) = delete;
};

WEIR_ALWAYS_INLINE void published([[maybe_unused]] void* object) noexcept {
#if WEIR_TSAN
    __tsan_release(object);
#endif
}

WEIR_ALWAYS_INLINE void received([[maybe_unused]] void* object) noexcept {
#if WEIR_TSAN
    __tsan_acquire(object);
#endif
}

/// init_thread takes the calling OS thread's own stack.
void init_thread(Context& c) noexcept;

} // namespace weir::detail::san
