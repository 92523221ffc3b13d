// explore: run a concurrent program under many schedules, each drawn from a seed and repeatable.
//
//     TEST_CASE("nothing is lost") {
//         weir::explore(10'000, [] {
//             Account account;                            // everything made afresh: a run must not depend on the one before
//             weir::WaitGroup wg;
//             for (int i = 0; i < 3; ++i) wg.go([&] { account.deposit(1); });
//             wg.wait();
//             if (account.balance() != 3) weir::panic("a deposit is lost");
//         });
//     }
//
// Each run has one thread, the caller's, and one fiber running at a time. At every point (park, ready, go, yield, and before
// every operation of a channel, select or sync primitive) the next fiber is drawn from the seed among all that can run. So what
// two fibers do between two points is never mixed: races on plain memory are the business of ThreadSanitizer, and lock-free code
// of the program's own wants explore_point() between its steps. select draws from the seed as well.
//
// Time is the run's own: it stands still while any fiber can run, and then goes to the next timer at once; sleep(1h) costs
// nothing. std::chrono's clocks do not know of it.
//
// The same seed gives the same run as long as the program depends on nothing else: not on threads of its own, sockets, the real
// time, or the order of addresses. A std::mutex held over an operation of weir's blocks the only thread there is; use
// weir::Mutex.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include <weir/detail/config.h>
#include <weir/detail/sched_point.h>
#include <weir/runtime.h>

namespace weir {

/// ExploreOptions of one exploration.
struct ExploreOptions {
    std::uint64_t first_seed = 1;              ///< n runs use first_seed, first_seed + 1, ...
    std::optional<std::uint64_t> seed = {};    ///< run this one only. WEIR_SEED does the same, and has precedence
    std::uint64_t max_points = 1'000'000;      ///< a run that passes more has failed: it would never end
    std::optional<std::size_t> stack_max = {}; ///< as in Options
};

/// ExploreFailure is a run that failed. what() says how, with stacks, and how to repeat it.
class WEIR_API ExploreFailure : public std::runtime_error {
public:
    ExploreFailure(std::uint64_t failed_seed, std::uint64_t runs, const std::string& text)
        : std::runtime_error(text), seed_(failed_seed), runs_(runs) {}
    std::uint64_t seed() const noexcept { return seed_; } ///< the seed that fails
    std::uint64_t runs() const noexcept { return runs_; } ///< how many were run, this one included

private:
    std::uint64_t seed_;
    std::uint64_t runs_;
};

namespace detail {

WEIR_API std::optional<ExploreFailure> find_failure(const ExploreOptions& options, std::uint64_t n, MainFn call, void* fn);

/// explored calls fn; 1 when it returned false.
template <class Fn>
int explored(void* fn) {
    if constexpr (std::is_void_v<std::invoke_result_t<Fn&>>) {
        (*static_cast<Fn*>(fn))();
        return 0;
    } else {
        return static_cast<bool>((*static_cast<Fn*>(fn))()) ? 0 : 1;
    }
}

} // namespace detail

/// find_failure runs fn as the main fiber of n seeded runs, each as weir::run would, and returns the first that fails, if any: by
/// an uncaught panic or exception of any fiber, a deadlock, too many points, or fn returning false. Fibers still parked when fn
/// returns are no failure. Blocks the calling thread. Panics when a runtime is running.
template <class F>
    requires std::is_invocable_v<F&>
std::optional<ExploreFailure> find_failure(const ExploreOptions& options, std::uint64_t n, F fn) {
    return detail::find_failure(options, n, &detail::explored<F>, std::addressof(fn));
}
template <class F>
    requires std::is_invocable_v<F&>
std::optional<ExploreFailure> find_failure(std::uint64_t n, F fn) {
    return find_failure(ExploreOptions{}, n, std::move(fn));
}

/// explore is find_failure for tests: it throws the ExploreFailure, a std::exception, which fails a test in any framework.
template <class F>
    requires std::is_invocable_v<F&>
void explore(const ExploreOptions& options, std::uint64_t n, F fn) {
    if (auto failure = find_failure(options, n, std::move(fn))) throw *std::move(failure);
}
template <class F>
    requires std::is_invocable_v<F&>
void explore(std::uint64_t n, F fn) {
    explore(ExploreOptions{}, n, std::move(fn));
}

/// explore_point is a point of the program's own, between two steps of code that other fibers may come between. Nothing outside a
/// seeded run.
WEIR_ALWAYS_INLINE void explore_point() noexcept { detail::sched_point(); }

namespace synctest {

using weir::explore;
using weir::explore_point;
using weir::ExploreFailure;
using weir::ExploreOptions;
using weir::find_failure;

} // namespace synctest

} // namespace weir
