// The runtime: run, its options, and what a program may ask of the scheduler.
//
//     int main() { return weir::run([] { ... }); }
//     int main() { return weir::run(weir::Options{.max_procs = 4}, [] { ...; return 0; }); }
//
// Thread safety: everything here may be called from any fiber and, while a runtime is running, from any OS thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <weir/detail/config.h>
#include <weir/panic.h>

namespace weir {

inline namespace literals {
constexpr std::size_t operator""_KiB(unsigned long long n) { return static_cast<std::size_t>(n) << 10; }
constexpr std::size_t operator""_MiB(unsigned long long n) { return static_cast<std::size_t>(n) << 20; }
} // namespace literals

/// Options of one run. A field left empty takes its WEIR_* variable, then its default.
struct Options {
    /// Fibers that run at the same time. WEIR_MAXPROCS; default: the CPUs this process may use (affinity and the cgroup's
    /// cpu.max).
    std::optional<int> max_procs = {};
    /// Largest stack of a fiber, in bytes, rounded up to a power of two; 32 KiB to 1 GiB. WEIR_STACK_MAX; default 256 KiB.
    std::optional<std::size_t> stack_max = {};
    /// What an uncaught panic ends. WEIR_PANIC=contain|crash; default Contain.
    std::optional<PanicPolicy> panic_policy = {};
    /// Most OS threads, those stuck in blocking calls included. WEIR_MAXTHREADS; default 1024.
    std::optional<int> max_threads = {};
    /// Wait for all other fibers to end before run returns; without it they are abandoned where they are, as in Go.
    bool drain = false;
    /// Run on the calling thread alone, the next fiber always drawn from this seed, time standing still while any can run: the
    /// same seed gives the same run (explore.h says how far). max_procs is 1 then. WEIR_SEED.
    std::optional<std::uint64_t> seed = {};
};

namespace detail {

/// MainFn is the main fiber's body; returns the exit status.
using MainFn = int (*)(void* fn);
WEIR_API int run_main(const Options& options, MainFn call, void* fn);

/// blocking_enter/leave tell the scheduler that this thread is about to block, and that it is back.
WEIR_API void blocking_enter() noexcept;
WEIR_API void blocking_leave() noexcept;

struct BlockingScope {
    BlockingScope() noexcept { blocking_enter(); }
    ~BlockingScope() { blocking_leave(); }
    BlockingScope(const BlockingScope&) = delete;
    BlockingScope& operator=(const BlockingScope&) = delete;
};

} // namespace detail

/// run starts the runtime, runs fn as the main fiber, and returns its exit status (0 for a void fn) once fn has returned.
/// Blocks the calling thread. All of the runtime's threads and descriptors are gone when it returns; it may be called again.
/// Fibers still parked are abandoned: their defers and destructors do not run. An uncaught panic of fn gives status 2.
/// Panics on a bad option and when a runtime is already running.
template <class F>
int run(const Options& options, F&& fn) {
    using Fn = std::remove_reference_t<F>;
    if constexpr (std::is_function_v<Fn>) { // its address does not fit into a void*
        return run(options, [&] { return fn(); });
    } else {
        return detail::run_main(
            options,
            [](void* f) -> int {
                if constexpr (std::is_void_v<std::invoke_result_t<Fn&>>) {
                    (*static_cast<Fn*>(f))();
                    return 0;
                } else {
                    return static_cast<int>((*static_cast<Fn*>(f))());
                }
            },
            const_cast<void*>(static_cast<const void*>(std::addressof(fn))));
    }
}

template <class F>
int run(F&& fn) {
    return run(Options{}, std::forward<F>(fn));
}

/// num_fibers counts the fibers that exist, the main one included.
WEIR_API std::size_t num_fibers() noexcept;

/// max_procs tells how many fibers may run at the same time.
WEIR_API int max_procs() noexcept;

/// max_procs(n) changes it and returns the previous value. Panics when n is below 1.
WEIR_API int max_procs(int n);

/// blocking runs fn, a call that blocks the OS thread, and lets another thread run this worker's fibers meanwhile. Returns fn's
/// result.
template <class F>
auto blocking(F&& fn) -> std::invoke_result_t<F> {
    detail::BlockingScope scope;
    return std::forward<F>(fn)();
}

/// lock_os_thread ties the calling fiber to its current OS thread, which then runs no other fiber. Calls nest.
WEIR_API void lock_os_thread();
/// unlock_os_thread undoes one lock_os_thread.
WEIR_API void unlock_os_thread();

} // namespace weir
