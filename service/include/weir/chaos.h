// chaos: panics and delays on purpose, to see what the service does about them.
//
//     Error Shop::price() {
//         chaos::point("shop.price");                       // nothing is armed: one relaxed load
//         ...
//     chaos::arm({.point = "shop.price", .probability = 0.1});                       // one call in ten panics
//     chaos::arm({.point = "shop.*", .delay = 20ms, .labels = {{"task", "sync_user"}}});
//
//     WEIR_CHAOS='shop.price:panic:0.1;cache.get:delay=20ms:0.5,label task=sync_user,limit 100' WEIR_CHAOS_SEED=7 ./service
//
// Scope. A rule without labels holds in the whole process. One with labels holds where each of them is a label of the fiber (GoOptions::labels)
// or a Scope that is open on it: chaos::Scope s{"handler", "GET /orders"}, {"transaction", "pay"}. A child started with
// GoOptions::inherit_locals begins in its parent's scopes.
//
// Replay. Whether a rule strikes at the n-th of the calls that it holds for depends on the seed, the rule's number and n alone.
// Thread safety: everything here may be called from any fiber or thread, at any time.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <weir/detail/config.h>
#include <weir/error.h>
#include <weir/go.h>

namespace weir::chaos {

/// Action is what a rule does where it strikes.
enum class Action : std::uint8_t {
    Panic, ///< panics with an Injected
    Delay, ///< sleeps
    Abort, ///< std::abort: a crash that cannot be unwound
};

/// Injected is the value of a panic that a rule raised.
struct Injected {
    std::string point;
    std::string message() const { return "chaos: injected panic at " + point; }
};

struct Rule {
    std::string point;                   ///< the name of a point, or how names begin and then *
    Action action = Action::Panic;       ///< Delay when `delay` is set
    std::chrono::nanoseconds delay = {}; ///< for Delay
    double probability = 1;              ///< 0 to 1
    Labels labels = {};                  ///< where it holds; empty: everywhere
    std::uint64_t limit = 0;             ///< strikes so often and no more; 0: no limit
};

/// arm adds a rule and returns its number, from 1. Several rules that strike at one point do so in order, delays and all. Panics when the
/// probability is not from 0 to 1.
WEIR_API int arm(Rule rule);
/// arm adds the rules of a text as in WEIR_CHAOS: POINT:ACTION[:PROBABILITY][,label KEY=VALUE]...[,limit N] with ; between them, where ACTION is
/// panic, abort or delay=DURATION (5us, 20ms, 1.5s). It adds all or, with an error that says what is wrong, none.
WEIR_API Error arm(std::string_view text);
/// disarm takes a rule away, or all of them; the numbers then start again. Calls that are being delayed go on to the end of their delay.
WEIR_API void disarm(int rule);
WEIR_API void disarm_all();

/// seed starts all rules' draws afresh, with another seed or the same. Without it the seed is WEIR_CHAOS_SEED, or 1.
WEIR_API void seed(std::uint64_t value);

/// Stats of one rule that is armed.
struct Stats {
    int rule = 0;
    std::string point;
    std::uint64_t calls = 0;    ///< of points that it holds for
    std::uint64_t injected = 0; ///< of these, struck
};
WEIR_API std::vector<Stats> stats();
/// injected_total counts all strikes since the process began.
WEIR_API std::uint64_t injected_total() noexcept;

namespace detail {
extern WEIR_API std::atomic<bool> g_armed; // also until the environment has been read
WEIR_API WEIR_COLD void point_armed(std::string_view name);
} // namespace detail

/// point names a place where chaos may strike. Panics, or blocks ("sleep"), when a rule says so. The first call reads the environment, and panics
/// when WEIR_CHAOS is wrong.
WEIR_ALWAYS_INLINE void point(std::string_view name) {
    if (detail::g_armed.load(std::memory_order_relaxed)) [[unlikely]]
        detail::point_armed(name);
}

/// Scope is a label that the calling fiber has while the object lives. Objects nest.
class WEIR_API Scope {
public:
    Scope(std::string key, std::string value);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
};

} // namespace weir::chaos
