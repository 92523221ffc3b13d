// ExceptionHeader: what libstdc++ keeps before every exception object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <typeinfo>

#include <unwind.h>

namespace weir::detail {

/// ExceptionHeader mirrors libstdc++'s __cxa_exception (Itanium C++ ABI, 2.2.1); the object begins where it ends.
struct ExceptionHeader {
    const std::type_info* type;
    void (*destroy)(void*);
    void (*unexpected)();
    void (*terminate)();
    ExceptionHeader* next_caught;
    int handler_count;
    // What the personality routine has found in its search for the handler:
    int selector;
    const std::uint8_t* action;
    const void* lsda;
    std::uintptr_t landing_pad;
    void* adjusted; // the object, as the handler's type
    _Unwind_Exception unwind;

    void* object() noexcept { return this + 1; }
    static ExceptionHeader* of(void* object) noexcept { return static_cast<ExceptionHeader*>(object) - 1; }
    static ExceptionHeader* of(_Unwind_Exception* unwind) noexcept {
        return reinterpret_cast<ExceptionHeader*>(reinterpret_cast<char*>(unwind) - offsetof(ExceptionHeader, unwind));
    }
    /// references counts the exception_ptrs and the throw itself; libstdc++'s __cxa_refcounted_exception puts it before the
    /// header.
    int& references() noexcept { return *reinterpret_cast<int*>(reinterpret_cast<char*>(this) - alignof(std::max_align_t)); }
};

#if defined(__x86_64__)
static_assert(sizeof(ExceptionHeader) == 112 && offsetof(ExceptionHeader, unwind) == 80, "as in libstdc++");
#endif

} // namespace weir::detail
