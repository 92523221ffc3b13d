#include "exception_hook.h"

#include <cstdio>
#include <cstdlib>
#include <cxxabi.h>
#include <dlfcn.h>
#include <exception>

#include <weir/detail/config.h>
#include "tls.h"

namespace weir::detail {

void* next_definition(const char* symbol) noexcept {
    void* p = dlsym(RTLD_NEXT, symbol);
    if (p == nullptr) {
        std::fprintf(stderr, "weir: no other definition of %s: link the C++ library dynamically (not -static-libstdc++)\n",
                     symbol);
        std::abort();
    }
    return p;
}

} // namespace weir::detail

#if WEIR_ASAN
extern "C" void __asan_handle_no_return();
#endif

namespace {

void about_to_unwind() noexcept {
#if WEIR_ASAN
    __asan_handle_no_return(); // ASan's own interceptor may come after ours or not at all
#endif
}

/// The header that libstdc++ puts before every exception object begins further down; its caught list leads to the object being
/// handled.
void* handled_object() noexcept {
    std::exception_ptr e = std::current_exception();
    return *reinterpret_cast<void**>(&e);
}

} // namespace

// Under names of their own, without noreturn: then each leaves by a jump, and the unwinder has one frame less to cross, twice.
extern "C" {
WEIR_API void weir_cxa_throw(void* object, std::type_info* type, void (*destroy)(void*)) __asm__("__cxa_throw");
WEIR_API void weir_cxa_rethrow() __asm__("__cxa_rethrow");
WEIR_API void weir_rethrow_exception(std::exception_ptr) __asm__("_ZSt17rethrow_exceptionNSt15__exception_ptr13exception_ptrE");
}

void weir_cxa_throw(void* object, std::type_info* type, void (*destroy)(void*)) {
    using Fn = void (*)(void*, std::type_info*, void (*)(void*));
    static const Fn next = reinterpret_cast<Fn>(weir::detail::next_definition("__cxa_throw"));
    weir::detail::note_throw(object, __builtin_return_address(0));
    about_to_unwind();
    next(object, type, destroy);
}

void weir_cxa_rethrow() {
    using Fn = void (*)();
    static const Fn next = reinterpret_cast<Fn>(weir::detail::next_definition("__cxa_rethrow"));
    if (void* object = handled_object()) weir::detail::note_throw(object, nullptr);
    about_to_unwind();
    next();
}

void weir_rethrow_exception(std::exception_ptr e) {
    using Fn = void (*)(std::exception_ptr);
    static const Fn next =
        reinterpret_cast<Fn>(weir::detail::next_definition("_ZSt17rethrow_exceptionNSt15__exception_ptr13exception_ptrE"));
    if (void* object = *reinterpret_cast<void**>(&e)) weir::detail::note_throw(object, nullptr);
    about_to_unwind();
    next(std::move(e));
}
