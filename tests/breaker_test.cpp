#include "fixture.h"

#include <atomic>
#include <memory>

#include <weir/breaker.h>
#include <weir/chan.h>
#include <weir/waitgroup.h>

using weir::Breaker;
using weir::BreakerState;
using weir::Context;
using weir::Error;

namespace {

const Error kBad("bad");
Error succeed(const Context&) { return {}; }
Error fail(const Context&) { return kBad; }

/// ManualClock is moved by the test.
struct ManualClock {
    std::shared_ptr<std::atomic<std::int64_t>> ms = std::make_shared<std::atomic<std::int64_t>>(1'000'000);
    Clock::time_point operator()() const { return Clock::time_point(std::chrono::milliseconds(ms->load())); }
    void advance(std::chrono::milliseconds d) { *ms += d.count(); }
};

weir::BreakerOptions small(const ManualClock& clock) {
    return {.volume = 4, .failure_ratio = 0.5, .window = 10s, .open_for = 5s, .now = clock};
}

void trip(Breaker& breaker) {
    for (int i = 0; i < 4; ++i) CHECK(breaker.run(weir::background(), fail) == kBad);
    CHECK(breaker.state() == BreakerState::Open);
}

} // namespace

TEST_SUITE_BEGIN("breaker");

TEST_CASE("it opens at the ratio, but not below the volume, and then calls nobody") {
    each_workers([] {
        ManualClock clock;
        Breaker breaker(small(clock));
        for (int i = 0; i < 3; ++i) CHECK(breaker.run(weir::background(), fail) == kBad);
        CHECK(breaker.state() == BreakerState::Closed);
        CHECK(breaker.run(weir::background(), fail) == kBad);
        CHECK(breaker.state() == BreakerState::Open);
        bool called = false;
        CHECK(breaker.run(weir::background(), [&](const Context&) { return called = true, Error(); }) == weir::kCircuitOpen);
        CHECK_FALSE(called);
        CHECK(breaker.stats().refused == 1);
    });
}

TEST_CASE("a minority of failures does not open it") {
    each_workers([] {
        ManualClock clock;
        Breaker breaker(small(clock));
        for (int i = 0; i < 100; ++i) breaker.run(weir::background(), i % 3 == 2 ? fail : succeed);
        CHECK(breaker.state() == BreakerState::Closed);
        CHECK(breaker.stats().calls == 100);
        CHECK(breaker.stats().failures == 33);
    });
}

TEST_CASE("failures outside the window are forgotten") {
    each_workers([] {
        ManualClock clock;
        Breaker breaker(small(clock));
        for (int i = 0; i < 20; ++i) {
            CHECK(breaker.run(weir::background(), fail) == kBad);
            clock.advance(5s); // at most two or three in any window
        }
        CHECK(breaker.state() == BreakerState::Closed);
    });
}

TEST_CASE("after open_for one call is let through: its success closes, its failure opens again") {
    each_workers([] {
        ManualClock clock;
        Breaker breaker(small(clock));
        trip(breaker);
        clock.advance(4999ms);
        CHECK(breaker.run(weir::background(), succeed) == weir::kCircuitOpen);
        clock.advance(1ms);
        CHECK(breaker.run(weir::background(), fail) == kBad);
        CHECK(breaker.state() == BreakerState::Open);
        clock.advance(5s);
        CHECK_FALSE(breaker.run(weir::background(), [&](const Context&) {
            CHECK(breaker.state() == BreakerState::HalfOpen);
            CHECK(breaker.run(weir::background(), succeed) == weir::kCircuitOpen); // only one at a time
            return Error();
        }));
        CHECK(breaker.state() == BreakerState::Closed);
        CHECK(breaker.run(weir::background(), fail) == kBad); // counting begins anew
        CHECK(breaker.state() == BreakerState::Closed);
    });
}

TEST_CASE("a call that began before it opened does not settle the probe") {
    each_workers([] {
        ManualClock clock;
        Breaker breaker(small(clock));
        weir::chan<void> begun, finish;
        weir::WaitGroup wg;
        wg.go([&] {
            breaker.run(weir::background(), [&](const Context&) {
                begun.send();
                finish.recv();
                return Error();
            });
        });
        begun.recv();
        trip(breaker);
        clock.advance(5s);
        CHECK(breaker.run(weir::background(), [&](const Context&) {
            finish.send();
            wg.wait(); // the old call has succeeded
            CHECK(breaker.state() == BreakerState::HalfOpen);
            return kBad;
        }) == kBad);
        CHECK(breaker.state() == BreakerState::Open);
    });
}

TEST_CASE("no more than max_concurrent at a time") {
    each_workers([] {
        Breaker breaker({.max_concurrent = 2});
        weir::chan<void> begun, finish;
        weir::WaitGroup wg;
        for (int i = 0; i < 2; ++i) {
            wg.go([&] {
                CHECK_FALSE(breaker.run(weir::background(), [&](const Context&) {
                    begun.send();
                    finish.recv();
                    return Error();
                }));
            });
        }
        begun.recv();
        begun.recv();
        CHECK(breaker.stats().running == 2);
        CHECK(breaker.run(weir::background(), succeed) == weir::kMaxConcurrency);
        finish.close();
        wg.wait();
        CHECK_FALSE(breaker.run(weir::background(), succeed));
    });
}

TEST_CASE("a call that takes too long fails, sees its context end, and leaves nothing behind") {
    each_workers([] {
        Breaker breaker({.timeout = 5ms, .volume = 1});
        weir::chan<void> finish;
        CHECK(breaker.run(weir::background(), [finish](const Context& ctx) {
            ctx.done().recv();
            finish.recv(); // longer than anybody waits
            return Error();
        }) == weir::kBreakerTimeout);
        CHECK(breaker.state() == BreakerState::Open);
        CHECK(weir::num_fibers() == 2);
        finish.send();
        CHECK(all_gone());
    });
}

TEST_CASE("with a timeout, results and panics still come through") {
    each_workers([] {
        Breaker breaker({.timeout = 1h});
        CHECK_FALSE(breaker.run(weir::background(), succeed));
        CHECK(breaker.run(weir::background(), fail) == kBad);
        CHECK(panic_text([&] { breaker.run(weir::background(), [](const Context&) -> Error { weir::panic("boom"); }); }) == "boom");
        CHECK(breaker.stats().failures == 2);
        CHECK(breaker.stats().running == 0);
    });
}

TEST_CASE("a caller that gives up does not count against the callee") {
    each_workers([] {
        for (const auto timeout : {0ns, std::chrono::nanoseconds(1h)}) {
            Breaker breaker({.timeout = timeout, .volume = 1});
            auto [ctx, cancel] = weir::with_cancel(weir::background());
            weir::go([cancel = cancel] { cancel(); });
            CHECK(breaker.run(ctx, [](const Context& c) {
                c.done().recv();
                return c.err();
            }) == weir::kCanceled);
            CHECK(breaker.state() == BreakerState::Closed);
            CHECK(breaker.stats().calls == 0);
        }
        CHECK(all_gone());
    });
}

TEST_CASE("many callers, many failures: all calls are counted off [stress]") {
    each_workers([] {
        ManualClock clock;
        Breaker breaker(small(clock));
        weir::WaitGroup wg;
        for (int i = 0; i < 8; ++i) {
            wg.go([&, i] {
                for (std::size_t j = 0; j < stress(1000); ++j) {
                    breaker.run(weir::background(), [&](const Context&) {
                        weir::yield();
                        return (static_cast<std::size_t>(i) + j) % 3 == 0 ? kBad : Error();
                    });
                    if (j % 10 == 0) clock.advance(1s);
                }
            });
        }
        wg.wait();
        CHECK(breaker.stats().running == 0);
        clock.advance(5s);
        CHECK_FALSE(breaker.run(weir::background(), succeed));
    });
}

TEST_SUITE_END();
