// fiber_local<T>: a variable with one value per fiber, as thread_local has one per thread.
//
//     weir::fiber_local<std::string> trace_id;      // usually a global
//     trace_id = "4bf92f";  use(*trace_id);
//
// A thread_local in code that parks may be another thread's after the park; a fiber_local never is. The value is made on first use, lives
// until its fiber ends, and is copied to a child fiber started with GoOptions::inherit_locals. On a plain OS thread it is the thread's.
// Thread safety: each fiber sees its own value only.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

#include <weir/detail/config.h>

namespace weir {

namespace detail {

/// LocalType says how values of one fiber_local are made, copied for a child, and destroyed.
struct LocalType {
    void* (*copy)(const void* value); // null when T cannot be copied: a child then starts anew
    void (*destroy)(void* value);
};

WEIR_API std::size_t local_register(const LocalType* type);
WEIR_API void** local_slot(std::size_t index);

} // namespace detail

template <class T>
class fiber_local {
public:
    fiber_local() : fiber_local(T{}) {}
    /// Every fiber's value starts as a copy of `initial`.
    explicit fiber_local(T initial) : initial_(std::move(initial)), index_(detail::local_register(&kType)) {}
    fiber_local(const fiber_local&) = delete;
    fiber_local& operator=(const fiber_local&) = delete;

    /// get is the calling fiber's value. Allocates on first use in a fiber. The reference is good while that fiber lives.
    T& get() {
        void** slot = detail::local_slot(index_);
        if (*slot == nullptr) *slot = new T(initial_);
        return *static_cast<T*>(*slot);
    }
    T& operator*() { return get(); }
    T* operator->() { return &get(); }
    fiber_local& operator=(T value) {
        get() = std::move(value);
        return *this;
    }

private:
    static void* copy_value(const void* value) {
        if constexpr (std::is_copy_constructible_v<T>) {
            return new T(*static_cast<const T*>(value));
        } else {
            return nullptr;
        }
    }
    static constexpr detail::LocalType kType{std::is_copy_constructible_v<T> ? &copy_value : nullptr, [](void* value) { delete static_cast<T*>(value); }};

    T initial_;
    std::size_t index_;
};

} // namespace weir
