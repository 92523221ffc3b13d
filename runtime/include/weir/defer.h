// defer: run a function at the end of the scope, last in first out, also while panicking.
//
//     defer close{[&] { file.close(); }};
//     WEIR_DEFER { mu.unlock(); };              // needs no name
//
// While panicking the function is a deferred call: recover() works in it, and it may itself panic (its panic then replaces the one
// unwinding, as in Go), block, or move to another OS thread. A lambda's captures decide what Go decides by evaluating arguments:
// [x = x] takes the value now, [&] reads it at the end of the scope.
#pragma once

#include <type_traits>
#include <utility>

#include <weir/detail/config.h>
#include <weir/detail/uncaught.h>
#include <weir/panic.h>

namespace weir {

namespace detail {

/// run_deferred_panicking calls fn(arg) as the deferred call of the panic that is unwinding. Never throws: a panic out of fn replaces that one.
WEIR_API void run_deferred_panicking(void (*fn)(void*), void* arg) noexcept;
[[noreturn]] WEIR_API void panic_nil_defer();

} // namespace detail

/// defer runs fn when its scope ends. Neither copied nor moved. Allocates nothing.
template <class F>
class defer {
public:
    [[nodiscard]] explicit defer(F fn) noexcept(std::is_nothrow_move_constructible_v<F>)
        : fn_(std::move(fn)), uncaught_(detail::uncaught()) {}
    defer(const defer&) = delete;
    defer& operator=(const defer&) = delete;

    ~defer() noexcept(false) {
        if (detail::uncaught() == uncaught_) [[likely]] {
            call();
        } else {
            detail::run_deferred_panicking([](void* self) { static_cast<defer*>(self)->call(); }, this);
        }
    }

private:
    void call() {
        if constexpr (requires { fn_ == nullptr; }) {
            if (fn_ == nullptr) detail::panic_nil_defer();
        }
        fn_();
    }

    F fn_;
    int uncaught_; // exceptions in flight when the scope began: more at its end means that it is unwinding
};

namespace detail {
struct DeferMaker {
    template <class F>
    defer<std::decay_t<F>> operator+(F&& fn) const {
        return defer<std::decay_t<F>>(std::forward<F>(fn));
    }
};
} // namespace detail

} // namespace weir

#define WEIR_DETAIL_CAT2(a, b) a##b
#define WEIR_DETAIL_CAT(a, b) WEIR_DETAIL_CAT2(a, b)
/// WEIR_DEFER { statements }; runs them at the end of the scope, capturing by reference.
#define WEIR_DEFER                                                                                                                         \
    [[maybe_unused]] const auto WEIR_DETAIL_CAT(weir_defer_, __COUNTER__) = ::weir::detail::DeferMaker{} + [&]()
