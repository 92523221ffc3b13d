// go: start a fiber.
//
//     go([&] { serve(conn); });
//     go(worker, i, std::move(jobs));
//     go({.name = "flush", .stack_max = 8_MiB, .labels = {{"task", "sync_user"}}}, fn);
//
// A fiber runs fn once, on any worker, and ends when fn returns, panics or calls goexit(). Its stack starts small and grows.
// Thread safety: go may be called from any fiber and, while a runtime is running, from any OS thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <weir/detail/config.h>
#include <weir/panic.h>
#include <weir/runtime.h>

namespace weir {

/// Labels are key/value pairs that go with a fiber: this_fiber::labels(), PanicReport::labels.
using Labels = std::vector<std::pair<std::string, std::string>>;

/// GoOptions of one fiber.
struct GoOptions {
    std::string name = {};
    std::size_t stack_max = 0; ///< bytes; 0: the runtime's default
    Labels labels = {};
    std::optional<PanicPolicy> panic_policy = {};
    bool inherit_locals = false; ///< start with copies of the parent's fiber_local values
};

class Panic;

namespace detail {

struct Fiber;

/// SpawnSlot is where a new fiber's closure goes: storage of the asked size, freed by the runtime after `entry` has returned.
struct SpawnSlot {
    Fiber* fiber;
    void* closure;
};

/// spawn_begin makes a fiber that is not yet runnable. Panics when no stack or memory can be had, with what to change.
WEIR_API SpawnSlot spawn_begin(std::size_t closure_size, std::size_t closure_align, const GoOptions* options);
/// spawn_commit makes it runnable. `entry` must move the closure out or destroy it itself; `site` is printed as "created by".
WEIR_API void spawn_commit(Fiber* fiber, void (*entry)(void*), void* site) noexcept;
/// spawn_commit_answering does, for an entry that takes an Abandoned too.
WEIR_API void spawn_commit_answering(Fiber* fiber, void (*entry)(void*), void* site) noexcept;
/// spawn_cancel gives it back unstarted: constructing the closure threw.
WEIR_API void spawn_cancel(Fiber* fiber) noexcept;
[[noreturn]] WEIR_API void go_nil_function();

/// Abandoned is what an entry gets instead of its closure, the address one higher, when its fiber has been abandoned: on another
/// fiber, for the others that count on this one.
struct Abandoned {
    void* closure;
    const Panic* why;
};

/// AnswersAbandon: a function object that has something to do then.
template <class F>
concept AnswersAbandon = requires(F& fn, const Panic& why) { fn.abandoned(why); };

template <class Closure>
void closure_entry(void* p) {
    if constexpr (AnswersAbandon<std::tuple_element_t<0, Closure>>) {
        if (reinterpret_cast<std::uintptr_t>(p) % 2 != 0) [[unlikely]] {
            const auto& gone = *reinterpret_cast<const Abandoned*>(static_cast<const char*>(p) - 1);
            return std::get<0>(*static_cast<Closure*>(gone.closure)).abandoned(*gone.why);
        }
    }
    auto* closure = static_cast<Closure*>(p);
    struct Destroy {
        Closure* c;
        ~Destroy() { c->~Closure(); }
    } destroy{closure};
    std::apply([](auto&& fn, auto&&... args) { std::invoke(std::move(fn), std::move(args)...); }, std::move(*closure));
}

template <class F>
bool is_null_function(const F& fn) {
    if constexpr (std::is_pointer_v<F> || std::is_member_pointer_v<F>) {
        return fn == nullptr;
    } else if constexpr (requires {
                             fn.target_type();
                             static_cast<bool>(fn);
                         }) {
        return !static_cast<bool>(fn);
    } else {
        return false;
    }
}

template <class F, class... A>
WEIR_ALWAYS_INLINE void go_impl(const GoOptions* options, void* site, F&& fn, A&&... args) {
    using Closure = std::tuple<std::decay_t<F>, std::decay_t<A>...>;
    if (is_null_function<std::decay_t<F>>(fn)) go_nil_function();
    SpawnSlot slot = spawn_begin(sizeof(Closure), alignof(Closure), options);
    if constexpr (std::is_nothrow_constructible_v<Closure, F, A...>) {
        new (slot.closure) Closure(std::forward<F>(fn), std::forward<A>(args)...);
    } else {
        try {
            new (slot.closure) Closure(std::forward<F>(fn), std::forward<A>(args)...);
        } catch (...) {
            spawn_cancel(slot.fiber);
            throw;
        }
    }
    if constexpr (AnswersAbandon<std::decay_t<F>>) {
        spawn_commit_answering(slot.fiber, &closure_entry<Closure>, site);
    } else {
        spawn_commit(slot.fiber, &closure_entry<Closure>, site);
    }
}

/// CanStart: fn and args can be copied or moved in, and called.
template <class F, class... A>
concept CanStart = std::is_invocable_v<std::decay_t<F>, std::decay_t<A>...> && std::is_constructible_v<std::decay_t<F>, F> &&
                   (std::is_constructible_v<std::decay_t<A>, A> && ...);

/// here is an address in the function that it is inlined into.
WEIR_ALWAYS_INLINE void* here() {
    void* pc;
#if defined(__x86_64__)
    asm volatile("1: leaq 1b(%%rip), %0" : "=r"(pc));
#elif defined(__aarch64__)
    asm volatile("adr %0, ." : "=r"(pc));
#endif
    return pc;
}

} // namespace detail

/// go starts a fiber that runs fn(args...), copied or moved in as std::thread does. Does not block. Allocates nothing for
/// closures up to detail::kInlineClosure bytes from a warm cache. A null function is fatal: "go of nil func value".
template <class F, class... A>
    requires detail::CanStart<F, A...>
WEIR_ALWAYS_INLINE void go(F&& fn, A&&... args) {
    detail::go_impl(nullptr, detail::here(), std::forward<F>(fn), std::forward<A>(args)...);
}

/// go with options: a name, labels, its own stack_max or panic policy.
template <class F, class... A>
    requires detail::CanStart<F, A...>
WEIR_ALWAYS_INLINE void go(const GoOptions& options, F&& fn, A&&... args) {
    detail::go_impl(&options, detail::here(), std::forward<F>(fn), std::forward<A>(args)...);
}

/// yield lets other fibers run; on a plain OS thread it is std::this_thread::yield.
WEIR_API void yield() noexcept;

/// goexit ends the calling fiber after running its defers (Go's runtime.Goexit). On the main fiber the others go on; when all
/// have ended the process ends with "no goroutines (main called goexit) - deadlock!". Fatal outside a fiber.
[[noreturn]] WEIR_API void goexit();

namespace this_fiber {

/// id is unique for the life of the process; the main fiber of the first run is 1. 0 on a plain OS thread.
WEIR_API std::uint64_t id() noexcept;
/// name as given to go, or empty.
WEIR_API std::string name();
WEIR_API Labels labels();
/// stack is a printable trace of the caller, as Go's debug.Stack. Symbolises: slow.
WEIR_API std::string stack();

} // namespace this_fiber

} // namespace weir
