#include "synctest_fixture.h"

#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>

#include <weir/chan.h>
#include <weir/errgroup.h>

using weir::Context;
using weir::ErrGroup;
using weir::Error;

TEST_SUITE_BEGIN("errgroup");

TEST_CASE("a group without tasks ends without an error") {
    each_workers([] {
        ErrGroup g;
        CHECK_FALSE(g.wait());
        CHECK_FALSE(g.wait());
    });
}

TEST_CASE("wait returns the first error, and still does when the group is used again [b95]") {
    each_workers([] {
        const Error first("first"), second("second");
        ErrGroup g;
        for (const Error& outcome : {first, Error(), second}) {
            g.go([outcome] { return outcome; });
            CHECK(g.wait() == first);
        }
    });
}

TEST_CASE("a nil first task does not hide a later error [b95]") {
    each_workers([] {
        const Error bad("bad");
        ErrGroup g;
        g.go([] { return Error(); });
        CHECK_FALSE(g.wait());
        g.go([&] { return bad; });
        CHECK(g.wait() == bad);
    });
}

TEST_CASE("the context ends at the first error, whose cause is that error [b96]") {
    each_workers([] {
        const Error bad("bad");
        auto [g, ctx] = weir::with_errgroup(weir::background());
        g.go([&, ctx = ctx] {
            ctx.done().recv();
            return ctx.err();
        });
        g.go([&] { return bad; });
        CHECK(g.wait() == bad);
        CHECK(ctx.err() == weir::kCanceled);
        CHECK(weir::cause(ctx) == bad);
    });
}

TEST_CASE("the context ends when wait returns, whose cause is then the cancellation [b96]") {
    each_workers([] {
        auto [g, ctx] = weir::with_errgroup(weir::background());
        g.go([] { return Error(); });
        CHECK_FALSE(ctx.err());
        CHECK_FALSE(g.wait());
        CHECK(ctx.err() == weir::kCanceled);
        CHECK(weir::cause(ctx) == weir::kCanceled);
    });
}

TEST_CASE("a limit of 42 lets 42 tasks start, and no more [b97]") {
    each_workers([] {
        ErrGroup g;
        g.set_limit(42);
        weir::chan<void> finish;
        auto wait = [&] { return finish.recv(), Error(); };
        for (int i = 0; i < 42; ++i) CHECK(g.try_go(wait));
        CHECK_FALSE(g.try_go(wait));
        finish.close();
        CHECK_FALSE(g.wait());
        CHECK(g.try_go([] { return Error(); }));
        CHECK_FALSE(g.wait());
    });
}

TEST_CASE("a limit of 0 lets nothing start; a negative one is none [b97]") {
    each_workers([] {
        ErrGroup g;
        g.set_limit(0);
        CHECK_FALSE(g.try_go([] { return Error(); }));
        g.set_limit(-1);
        weir::chan<void> finish;
        for (int i = 0; i < 100; ++i) CHECK(g.try_go([&] { return finish.recv(), Error(); })); // all at a time
        finish.close();
        CHECK_FALSE(g.wait());
    });
}

TEST_CASE("under a limit of 0 go blocks for ever [b97]") {
    each_workers(Workers{.parked = 2}, [] {
        static bool went_on;
        static ErrGroup g; // not on a stack that is left behind
        went_on = false;
        CHECK(bubble_panic([] {
                  g = ErrGroup();
                  g.set_limit(0);
                  weir::go([] {
                      g.go([] { return went_on = true, Error(); });
                      went_on = true;
                  });
                  weir::chan<void>(weir::nil).recv();
              }) == "deadlock: all goroutines in bubble are blocked");
        CHECK_FALSE(went_on);
    });
}

TEST_CASE("changing the limit under running tasks panics with Go's words [b97]") {
    each_workers([] {
        ErrGroup g;
        g.set_limit(3);
        weir::chan<void> finish;
        for (int i = 0; i < 2; ++i) g.go([&] { return finish.recv(), Error(); });
        CHECK(panic_text([&] { g.set_limit(5); }) == "errgroup: modify limit while 2 goroutines in the group are still active");
        finish.close();
        CHECK_FALSE(g.wait());
        g.set_limit(5);
    });
}

TEST_CASE("go waits until a task ends when the limit is reached") {
    each_workers([] {
        ErrGroup g;
        g.set_limit(1);
        weir::chan<void> finish;
        g.go([&] { return finish.recv(), Error(); });
        std::atomic<bool> started{false};
        weir::go([finish] { finish.send(); });
        g.go([&] { return started = true, Error(); });
        CHECK_FALSE(g.wait());
        CHECK(started);
    });
}

TEST_CASE("a task's panic becomes the group's error and ends the context") {
    each_workers([] {
        auto [g, ctx] = weir::with_errgroup(weir::background());
        g.go([ctx = ctx] { return ctx.done().recv(), Error(); });
        g.go([]() -> Error { weir::panic("boom"); });
        const Error err = g.wait();
        CHECK(err.message() == "recovered from errgroup.Group: boom");
        const auto* panicked = err.as<weir::PanicError>();
        REQUIRE(panicked != nullptr);
        CHECK(panicked->panic.value<std::string>() == "boom");
        CHECK(panicked->panic.stack() != "");
        CHECK(weir::cause(ctx) == err);
        CHECK(ctx.err() == weir::kCanceled);
    });
}

TEST_CASE("what a task threw is found in the group's error") {
    each_workers([] {
        ErrGroup thrown, wrapped;
        thrown.go([]() -> Error { throw std::out_of_range("far out"); });
        CHECK(thrown.wait().as<std::out_of_range>() != nullptr);
        const Error bad("bad");
        wrapped.go([&]() -> Error { weir::panic(bad); });
        CHECK(wrapped.wait().is(bad));
    });
}

TEST_CASE("a task that calls goexit succeeds, and is counted off") {
    each_workers([] {
        ErrGroup g;
        g.set_limit(1);
        g.go([]() -> Error { weir::goexit(); });
        g.go([] { return Error(); });
        CHECK_FALSE(g.wait());
    });
}

TEST_CASE("when wait returns, the tasks' functions are destroyed") {
    each_workers([] {
        for (std::size_t i = 0; i < stress(200); ++i) {
            auto kept = std::make_shared<int>(1);
            ErrGroup g;
            for (int task = 0; task < 4; ++task) g.go([kept] { return *kept == 1 ? Error() : Error("?"); });
            CHECK_FALSE(g.wait());
            CHECK(kept.use_count() == 1);
        }
    });
}

TEST_CASE("a null function is refused before it counts") {
    const auto death = dies([] {
        weir::run([] {
            ErrGroup g;
            g.go(std::function<Error()>());
        });
    });
    CHECK(death.status == 2);
    CHECK(contains(death.err, "go of nil func value"));
}

TEST_CASE("plain threads use a group") {
    each_workers([] {
        ErrGroup g;
        const Error bad("bad");
        std::thread plain([&] {
            g.go([&] { return bad; });
            CHECK(g.wait() == bad);
        });
        weir::blocking([&] { plain.join(); });
    });
}

TEST_CASE("under a limit of 10, of 1025 tasks at most 10 run at a time [stress]") {
    each_workers([] {
        ErrGroup g;
        g.set_limit(10);
        std::atomic<int> active{0}, ran{0};
        for (int i = 0; i <= 1 << 10; ++i) {
            g.go([&] {
                CHECK(++active <= 10);
                weir::yield();
                --active;
                ++ran;
                return Error();
            });
        }
        CHECK_FALSE(g.wait());
        CHECK(ran == 1025);
    });
}

TEST_CASE("many tasks fail at once: one error wins, for wait and for the cause [stress]") {
    each_workers([] {
        for (std::size_t round = 0; round < stress(200); ++round) {
            auto [g, ctx] = weir::with_errgroup(weir::background());
            for (int i = 0; i < 8; ++i) g.go([i] { return Error(std::to_string(i)); });
            const Error err = g.wait();
            CHECK(err);
            CHECK(weir::cause(ctx) == err);
        }
    });
}

TEST_SUITE_END();
