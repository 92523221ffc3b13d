// Breaker: stop calling what keeps failing, the circuit breaker.
//
//     weir::Breaker payments({.timeout = 500ms, .max_concurrent = 20});
//     Error err = payments.run(ctx, [=](const Context& ctx) { return charge(ctx, order); });
//     if (err == weir::kCircuitOpen) return from_cache(order);        // nobody was called
//
//     Closed    -- volume calls in the window, failure_ratio of them failed -->  Open
//     Open      -- after open_for, with the next call -->                        HalfOpen
//     HalfOpen  -- that call succeeds -->  Closed;   it fails -->                Open
//
// Open lets no call through, HalfOpen one. A call fails by an error, a panic, or by taking longer than `timeout`; one whose caller's context has
// ended counts for nothing, and neither do those turned away. Thread safety: all of it.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <weir/chan.h>
#include <weir/clock.h>
#include <weir/context.h>
#include <weir/defer.h>
#include <weir/detail/config.h>
#include <weir/detail/spinlock.h>
#include <weir/error.h>
#include <weir/go.h>
#include <weir/panic.h>
#include <weir/select.h>

namespace weir {

/// Why a Breaker did not call, or did not wait any longer: "circuit open", "max concurrency", "timeout".
extern WEIR_API const Error kCircuitOpen;
extern WEIR_API const Error kMaxConcurrency;
extern WEIR_API const Error kBreakerTimeout;

struct BreakerOptions {
    std::chrono::nanoseconds timeout{0};                     ///< longest call; 0: as long as it takes, on the caller's fiber
    int max_concurrent = 0;                                  ///< calls at a time; more are turned away; 0: any number
    std::uint64_t volume = 20;                               ///< fewer calls in the window never open it
    double failure_ratio = 0.5;                              ///< of the calls in the window
    std::chrono::nanoseconds window = std::chrono::seconds(10);
    std::chrono::nanoseconds open_for = std::chrono::seconds(5);
    /// The clock, for tests.
    std::function<std::chrono::steady_clock::time_point()> now = weir::now;
};

enum class BreakerState : std::uint8_t { Closed, Open, HalfOpen };

class WEIR_API Breaker {
public:
    explicit Breaker(BreakerOptions options = {});
    Breaker(const Breaker&) = delete;
    Breaker& operator=(const Breaker&) = delete;

    /// run calls fn(ctx) if the circuit lets it, and returns its error, or one of the three above. With a timeout fn runs on a fiber of its own,
    /// under a context that ends in time; when it does not end with that, run() returns and fn goes on alone: it must own what it uses. A
    /// panic of fn is run()'s; one that comes after the timeout ends fn's fiber.
    template <class F>
        requires std::is_invocable_r_v<Error, std::decay_t<F>&, const Context&>
    Error run(const Context& ctx, F&& fn) {
        std::uint64_t era = 0;
        if (Error refused = enter(era)) return refused;
        Outcome outcome = Outcome::Failure;
        defer end{[&] { leave(outcome, era); }};
        const Error err = options_.timeout.count() > 0 ? run_timed(ctx, std::forward<F>(fn)) : Error(fn(ctx));
        if (!err) {
            outcome = Outcome::Success;
        } else if (ctx.err()) {
            outcome = Outcome::Ignored;
        }
        return err;
    }

    BreakerState state() const;

    struct Stats {
        std::uint64_t calls = 0;    ///< let through and ended, in the window
        std::uint64_t failures = 0; ///< of these
        std::uint64_t running = 0;
        std::uint64_t refused = 0; ///< turned away, ever
    };
    Stats stats() const;

private:
    enum class Outcome : std::uint8_t { Success, Failure, Ignored };

    /// Window counts calls in slices of the time that it spans.
    class Window {
    public:
        static constexpr std::int64_t kSlices = 10;

        void add(std::int64_t slice, bool failed) noexcept;
        void clear() noexcept { slices_ = {}; }
        std::pair<std::uint64_t, std::uint64_t> totals(std::int64_t slice) const noexcept;

    private:
        struct Slice {
            std::int64_t number = -1;
            std::uint64_t calls = 0;
            std::uint64_t failures = 0;
        };
        std::array<Slice, kSlices> slices_;
    };

    template <class F>
    Error run_timed(const Context& ctx, F&& fn) {
        struct Ended {
            Error err;
            std::optional<Panic> panic;
        };
        auto [timed, cancel] = with_timeout(ctx, options_.timeout);
        defer release{cancel};
        chan<Ended> ended(1); // so that a late result finds room, and its fiber ends
        go([ended, timed = timed, task = std::decay_t<F>(std::forward<F>(fn))]() mutable {
            Ended end;
            end.panic = catch_panic([&] { end.err = task(timed); });
            if (end.panic && timed.err()) std::rethrow_exception(end.panic->exception()); // nobody waits for it any more
            ended.send(std::move(end));
        });
        std::optional<Ended> end;
        select(recv(ended, [&](Ended e) { end = std::move(e); }), recv(timed.done()));
        if (!end) end = ended.try_recv(); // both at once
        if (!end) return ctx.err() ? ctx.err() : kBreakerTimeout;
        if (end->panic) std::rethrow_exception(end->panic->exception());
        return end->err;
    }

    /// enter admits a call, in the era that it sets, or says why not.
    Error enter(std::uint64_t& era);
    void leave(Outcome outcome, std::uint64_t era);
    std::int64_t now() const { return options_.now().time_since_epoch().count(); }
    std::int64_t slice(std::int64_t now) const noexcept;
    /// These want lock_ held.
    Error admit(std::int64_t now) noexcept;
    void settle(std::int64_t now, Outcome outcome) noexcept;
    void become(BreakerState state) noexcept;
    void open(std::int64_t now) noexcept;

    const BreakerOptions options_;
    mutable detail::SpinLock lock_;
    BreakerState state_ = BreakerState::Closed; // guarded by lock_, as is all below
    std::uint64_t era_ = 0; // changes with state_: how a call ends matters only in the era it began in
    std::int64_t opened_ = 0;
    bool probing_ = false; // the one call of HalfOpen is under way
    std::uint64_t running_ = 0;
    std::uint64_t refused_ = 0;
    Window window_;
};

} // namespace weir
