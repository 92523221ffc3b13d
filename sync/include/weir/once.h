// Once: run a function exactly once, Go's sync.Once; once_func, once_value and once_values make such a function.
//
//     weir::Once loaded;
//     loaded.call([&] { config = load(); });              // the first caller loads; the others wait until that is done
//
//     auto config = weir::once_value([] { return load(); });
//     use(config());                                       // loads at the first call, then returns the same value
//
// When call() returns, the function has run and what it wrote is visible. Works on fibers and on plain OS threads. A call that
// panics or calls goexit counts as done, as in Go. Calling call() of the same Once from its own function deadlocks.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include <weir/detail/config.h>
#include <weir/detail/park.h>
#include <weir/detail/spinlock.h>
#include <weir/panic.h>

namespace weir {

class WEIR_API Once {
public:
    constexpr Once() noexcept = default;
    Once(const Once&) = delete;
    Once& operator=(const Once&) = delete;

    /// call runs fn if this is the first call, and else blocks until the first one has ended ("sync.Once.Do"). After that it
    /// costs one load.
    template <class F>
    void call(F&& fn) {
        // acquire: pairs with the release in finish(); what fn wrote is visible.
        if (stage_.load(std::memory_order_acquire) == Stage::Done) [[likely]]
            return;
        if (!begin()) return;
        struct Finish {
            Once& once;
            ~Finish() { once.finish(); }
        } finish{*this};
        std::forward<F>(fn)();
    }

private:
    enum class Stage : std::uint8_t { New, Running, Done };

    /// begin makes the caller the one that runs; false once somebody else has.
    WEIR_NOINLINE bool begin() noexcept;
    WEIR_NOINLINE void finish() noexcept;

    std::atomic<Stage> stage_{Stage::New}; // changes under lock_
    detail::SpinLock lock_;
    detail::WaitList waiters_; // guarded by lock_
};

namespace detail {

/// OnceState is shared by the copies of one once_func or once_value.
template <class F, class R>
struct OnceState {
    using Kept =
        std::conditional_t<std::is_void_v<R>, bool, std::conditional_t<std::is_reference_v<R>, std::remove_reference_t<R>*, R>>;

    explicit OnceState(F f) : fn(std::move(f)) {}

    void run() {
        // Go's: nothing of the function stays alive after its call, however it ends.
        struct Release {
            std::optional<F>& fn;
            ~Release() { fn.reset(); }
        } release{fn};
        std::optional<Panic> p = catch_panic([&] {
            if constexpr (std::is_void_v<R>) {
                (*fn)();
                result.emplace(true);
            } else if constexpr (std::is_reference_v<R>) {
                result.emplace(std::addressof((*fn)()));
            } else {
                result.emplace((*fn)());
            }
        });
        if (p) failure = p->exception();
    }

    /// get runs the function if nobody has, and repeats its panic.
    const Kept& get() {
        once.call([this] { run(); });
        if (failure) std::rethrow_exception(failure);
        if (!result) panic(nullptr); // it called goexit: Go's answer
        return *result;
    }

    Once once;
    std::optional<F> fn;
    std::optional<Kept> result;
    std::exception_ptr failure;
};

} // namespace detail

/// once_func returns a function, cheap to copy, that runs fn at the first call and then does nothing. If fn panicked, each call
/// panics with the same value. fn is destroyed after its only run.
template <class F>
auto once_func(F fn) {
    return [state = std::make_shared<detail::OnceState<F, void>>(std::move(fn))] { state->get(); };
}

/// once_value returns a function, cheap to copy, that runs fn at the first call and returns its result at every call: a reference
/// to the kept value, which lives as long as the function or a copy of it. A panic repeats and fn is destroyed, as with
/// once_func.
template <class F>
auto once_value(F fn) {
    using R = std::invoke_result_t<F&>;
    return [state = std::make_shared<detail::OnceState<F, R>>(std::move(fn))]() -> const std::remove_reference_t<R>& {
        if constexpr (std::is_reference_v<R>) {
            return *state->get();
        } else {
            return state->get();
        }
    };
}

/// once_values is once_value for a function with several results, a pair or tuple: auto [config, err] = load(); Go's sync.OnceValues.
template <class F>
    requires requires { std::tuple_size<std::invoke_result_t<F&>>::value; }
auto once_values(F fn) {
    return once_value(std::move(fn));
}

} // namespace weir
