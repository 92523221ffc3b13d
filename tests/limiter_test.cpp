#include "synctest_fixture.h"

#include <atomic>
#include <vector>

#include <weir/context.h>
#include <weir/limiter.h>
#include <weir/waitgroup.h>

using weir::Limiter;
using weir::Reservation;

namespace {

const auto t0 = Clock::now();
/// at is a time in units of 100 ms: at 10 events a second, one token each.
Clock::time_point at(double n) { return t0 + std::chrono::nanoseconds(static_cast<std::int64_t>(n * 1e8)); }

double tenths(std::chrono::nanoseconds d) { return static_cast<double>(d.count()) / 1e8; }

} // namespace

TEST_SUITE_BEGIN("limiter");

// The tables are those of Go's rate_test.go.
TEST_CASE("allow: a full bucket, then one token each 100 ms, never more than the burst") {
    Limiter one(10, 1);
    for (auto [t, n, ok] : {std::tuple{0, 1, true}, {0, 1, false}, {0, 1, false}, {1, 1, true}, {1, 1, false}, {1, 1, false}, {2, 2, false}, {2, 1, true}, {2, 1, false}})
        CHECK(one.allow_at(at(t), n) == ok);
    Limiter three(10, 3);
    for (auto [t, n, ok] : {std::tuple{0, 2, true}, {0, 2, false}, {0, 1, true}, {0, 1, false}, {1, 4, false}, {2, 1, true}, {3, 1, true}, {4, 1, true}, {4, 1, true}, {4, 1, false}, {4, 1, false}, {9, 3, true}, {9, 0, true}})
        CHECK(three.allow_at(at(t), n) == ok);
    Limiter back(10, 3); // time that goes back gives no tokens, and counts from there
    for (auto [t, n, ok] : {std::tuple{1, 1, true}, {0, 1, true}, {0, 1, true}, {0, 1, false}, {1, 1, true}, {1, 1, false}, {2, 1, true}, {2, 1, false}})
        CHECK(back.allow_at(at(t), n) == ok);
}

TEST_CASE("an infinite limit allows everything; a zero one its burst, once") {
    Limiter all(Limiter::kInf, 0);
    for (int i = 0; i < 100; ++i) CHECK(all.allow_at(at(0), 1000));
    CHECK(all.reserve_at(at(0), 5).delay_from(at(0)) == 0ns);
    Limiter once(0, 1);
    CHECK(once.allow());
    CHECK_FALSE(once.allow());
    CHECK_FALSE(once.reserve().ok());
    CHECK(Limiter::every(100ms) == doctest::Approx(10));
    CHECK(Limiter::every(0ms) == Limiter::kInf);
}

TEST_CASE("reservations queue up, each after the last") {
    Limiter limiter(10, 2);
    CHECK(limiter.reserve_at(at(0), 2).delay_from(at(0)) == 0ns);
    CHECK(tenths(limiter.reserve_at(at(0), 2).delay_from(at(0))) == doctest::Approx(2));
    CHECK(tenths(limiter.reserve_at(at(3), 2).delay_from(at(3))) == doctest::Approx(1));
    CHECK(limiter.tokens_at(at(3)) == doctest::Approx(-1));
    const Reservation never = limiter.reserve_at(at(3), 3);
    CHECK_FALSE(never.ok());
    CHECK(never.delay_from(at(3)) == std::chrono::nanoseconds::max());
}

TEST_CASE("cancel gives back what later reservations have not counted on") {
    auto delay_after = [](int cancelled) {
        Limiter limiter(10, 2);
        std::vector<Reservation> made;
        for (int i = 0; i < 3; ++i) made.push_back(limiter.reserve_at(at(0), 2)); // at 0, 2, 4
        made[static_cast<std::size_t>(cancelled)].cancel_at(at(1));
        return tenths(limiter.reserve_at(at(1), 2).delay_from(at(1)));
    };
    CHECK(delay_after(0) == doctest::Approx(5)); // has happened: nothing
    CHECK(delay_after(1) == doctest::Approx(5)); // the third counts on its two tokens
    CHECK(delay_after(2) == doctest::Approx(3)); // the last: all of it
}

TEST_CASE("set_limit and set_burst hold from then on") {
    Limiter limiter(10, 2);
    CHECK(limiter.allow_at(at(0), 2));
    limiter.set_limit_at(at(0), 5);
    CHECK(limiter.limit() == 5);
    CHECK(tenths(limiter.reserve_at(at(0), 2).delay_from(at(0))) == doctest::Approx(4));
    limiter.set_burst_at(at(10), 4);
    CHECK(limiter.burst() == 4);
    CHECK(limiter.allow_at(at(14), 4));
    CHECK_FALSE(limiter.allow_at(at(14), 1));
}

TEST_CASE("wait fails at once when it cannot succeed, with Go's words [b125]") {
    each_workers([] {
        Limiter limiter(10, 3);
        CHECK(limiter.wait(weir::background(), 4).message() == "rate: Wait(n=4) exceeds limiter's burst 3");
        auto [ctx, cancel] = weir::with_cancel(weir::background());
        cancel();
        CHECK(limiter.wait(ctx) == weir::kCanceled);
        Limiter slow(0.001, 3);
        CHECK_FALSE(slow.wait(weir::background(), 3)); // the burst
        auto [soon, cancel_soon] = weir::with_timeout(weir::background(), 1min);
        CHECK(slow.wait(soon, 3).message() == "rate: Wait(n=3) would exceed context deadline");
        cancel_soon();
        CHECK(slow.wait(soon, 3) == weir::kCanceled);
    });
}

TEST_CASE("at 10 a second and a burst of 3, more than 3 never; 3 as soon as they are there, or never within the deadline [b125]") {
    bubble([] {
        Limiter limiter(10, 3);
        const std::string too_many = "rate: Wait(n=4) exceeds limiter's burst 3";
        for (const auto idle : {0h, 1h}) { // however long it has been left alone
            weir::sleep(idle);
            CHECK_FALSE(limiter.allow(4));
            CHECK_FALSE(limiter.reserve(4).ok());
            CHECK(limiter.wait(weir::background(), 4).message() == too_many);
        }
        CHECK(limiter.allow(3)); // none of that has taken a token
        auto [early, cancel_early] = weir::with_timeout(weir::background(), 300ms - 1us);
        const Watch watch;
        CHECK(limiter.wait(early, 3).message() == "rate: Wait(n=3) would exceed context deadline");
        CHECK(watch.elapsed() == 0s); // it failed at once
        auto [late, cancel_late] = weir::with_timeout(weir::background(), 300ms + 1us);
        CHECK_FALSE(limiter.wait(late, 3));
        CHECK(watch.elapsed() >= 300ms - 1us);
        CHECK(watch.elapsed() <= 300ms + 1us);
        cancel_early(), cancel_late();
    });
}

TEST_CASE("wait waits for its tokens, and gives them back when its context ends") {
    each_workers([] {
        Limiter limiter(1000, 1);
        const auto begun = Clock::now();
        for (int i = 0; i < 6; ++i) CHECK_FALSE(limiter.wait(weir::background()));
        CHECK(Clock::now() - begun >= 5ms);
        Limiter slow(0.001, 1);
        CHECK(slow.allow());
        auto [ctx, cancel] = weir::with_cancel(weir::background());
        weir::WaitGroup wg;
        wg.go([&, ctx = ctx] { CHECK(slow.wait(ctx) == weir::kCanceled); });
        CHECK(eventually([&] { return slow.tokens() < -0.5; }));
        cancel();
        wg.wait();
        CHECK(slow.tokens() > -0.5);
    });
}

TEST_CASE("many fibers never get more than the rate allows [stress]") {
    each_workers([] {
        Limiter limiter(Limiter::every(10us), 10);
        std::atomic<int> allowed{0};
        const auto begun = Clock::now();
        weir::WaitGroup wg;
        for (int i = 0; i < 8; ++i) {
            wg.go([&] {
                for (std::size_t j = 0; j < stress(5000); ++j) {
                    allowed += limiter.allow();
                    if (j % 64 == 0) weir::yield();
                }
            });
        }
        wg.wait();
        CHECK(allowed <= 10 + (Clock::now() - begun) / 10us + 1);
    });
}

TEST_SUITE_END();
