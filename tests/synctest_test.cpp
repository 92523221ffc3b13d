// synctest: bubbles, their clock, what blocks durably, how they end. The cases follow those of Go's internal/synctest.
#include "fixture.h"

#include <array>
#include <chrono>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include <weir/breaker.h>
#include <weir/debug.h>
#include <weir/limiter.h>
#include <weir/synctest.h>
#include <weir/weir.h>

using weir::synctest::wait;

TEST_SUITE_BEGIN("synctest");

namespace {

/// bubble runs fn in a bubble at 1, 2 and 4 workers.
template <class F>
void bubble(F fn) {
    each_workers([&] { weir::synctest::test(fn); });
}

/// Watch measures the bubble's time.
struct Watch {
    weir::time_point begun = weir::now();
    std::chrono::nanoseconds elapsed() const { return weir::now() - begun; }
};

/// TimeStandsStill checks that no time has passed when it goes, with a sleeper there that time would have woken.
struct TimeStandsStill {
    TimeStandsStill() {
        weir::go([] { weir::sleep(1s); });
    }
    ~TimeStandsStill() {
        CHECK(watch.elapsed() == 0s);
        weir::sleep(1s); // for the sleeper
    }
    Watch watch;
};

std::string bubble_panic(const std::function<void()>& fn) {
    return panic_text([&] { weir::synctest::test(fn); });
}

void not_to_throw(const std::runtime_error& error) noexcept { std::rethrow_exception(std::make_exception_ptr(error)); }

constexpr const char* kAllBlocked = "deadlock: all goroutines in bubble are blocked";
constexpr const char* kMainExited = "deadlock: main bubble goroutine has exited but blocked goroutines remain";

} // namespace

// ---- the clock ----

TEST_CASE("sleep advances the bubble's clock by exactly its time [b124]") {
    bubble([] {
        const Watch all;
        for (auto d : {std::chrono::nanoseconds(1), std::chrono::nanoseconds(1s), std::chrono::nanoseconds(1000h)}) {
            const Watch watch;
            weir::sleep(d);
            CHECK(watch.elapsed() == d);
        }
        CHECK(all.elapsed() == 1000h + 1s + 1ns);
        weir::sleep(0s);
        weir::sleep(-1h);
        weir::sleep_until(weir::now() + 3s);
        weir::sleep_until(weir::wall_now() + 4s);
        weir::sleep_until(all.begun);
        CHECK(all.elapsed() == 1000h + 8s + 1ns);
    });
}

TEST_CASE("a bubble's time begins at midnight UTC 2000-01-01 and is its fibers' alone [b124]") {
    const std::chrono::system_clock::time_point y2000{std::chrono::seconds(946'684'800)};
    each_workers([&] {
        const auto outside = weir::now();
        weir::synctest::test([&] {
            CHECK(weir::wall_now() == y2000);
            CHECK(weir::now().time_since_epoch() == y2000.time_since_epoch());
            weir::go([&] { CHECK(weir::wall_now() == y2000); });
            weir::sleep(1s);
            CHECK(weir::wall_now() == y2000 + 1s);
        });
        CHECK(weir::now() - outside < 1h);
        CHECK(weir::now() - Clock::now() < 1h);
        CHECK(weir::wall_now() - std::chrono::system_clock::now() < 1h);
    });
}

TEST_CASE("time stands still while a fiber of the bubble can run [b124]") {
    bubble([] {
        const Watch watch;
        bool woken = false;
        weir::go([&] {
            weir::sleep(1ns);
            woken = true;
        });
        for (int i = 0; i < 1000; ++i) weir::yield();
        CHECK(!woken);
        CHECK(watch.elapsed() == 0s);
        weir::sleep(1ns);
        wait();
        CHECK(woken);
    });
}

TEST_CASE("sleepers wake in the order of their times, each at its own [b109, b124]") {
    bubble([] {
        const Watch watch;
        std::vector<int> woken;
        weir::Mutex mu;
        weir::WaitGroup wg;
        for (int slot : {5, 3, 6, 10, 1, 2, 7, 9, 4, 8, 0}) {
            wg.go([&, slot] {
                weir::sleep(slot * 20ms);
                CHECK(watch.elapsed() == slot * 20ms);
                const std::lock_guard lock(mu);
                woken.push_back(slot);
            });
        }
        wg.wait();
        CHECK(woken == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
        CHECK(watch.elapsed() == 200ms);
    });
}

// ---- timers ----

TEST_CASE("a timer's channel gives the time at which it fired, read early or late [b113, b124]") {
    bubble([] {
        const Watch watch;
        weir::Timer early(5s);
        CHECK(early.c().recv() == watch.begun + 5s);
        CHECK(watch.elapsed() == 5s);
        weir::Timer late(1s);
        weir::sleep(2s);
        CHECK(late.c().try_recv() == watch.begun + 6s);
        CHECK(watch.elapsed() == 7s);
    });
}

TEST_CASE("a timer that is reset fires by the new time [b110, b124]") {
    bubble([] {
        const Watch watch;
        weir::Timer t(1s);
        CHECK(t.c().recv() == watch.begun + 1s);
        CHECK(!t.reset(2s));
        CHECK(t.c().recv() == watch.begun + 3s);
        t.reset(3s);
        weir::sleep(1s);
        CHECK(t.reset(3s));
        CHECK(t.c().recv() == watch.begun + 7s);
        CHECK(!t.stop());
    });
}

TEST_CASE("a timer of no time fires before the bubble blocks [b124]") {
    bubble([] {
        weir::Timer t(0s);
        CHECK(t.c().try_recv() == weir::now());
        std::atomic<bool> ran{false};
        weir::after_func(0s, [&] { ran = true; });
        while (!ran) weir::yield();

        auto [ctx, cancel] = weir::with_cancel(weir::background());
        weir::go([&, ctx = ctx] {
            while (weir::select(recv(ctx.done()), recv(t.c())) != 0) {}
        });
        wait();
        t.reset(0s);
        wait();
        cancel();
        wait();
    });
}

TEST_CASE("after_func's fiber, and those it starts, belong to the bubble [b112, b124]") {
    bubble([] {
        int steps = 0;
        weir::after_func(1s, [&] {
            ++steps;
            weir::go([&] {
                weir::sleep(1s);
                ++steps;
            });
        });
        weir::sleep(3s);
        wait();
        CHECK(steps == 2);
    });
}

TEST_CASE("a timer that is pending when the bubble ends never fires, and lets go of its function [b124]") {
    each_workers([] {
        bool ran = false;
        auto held = std::make_shared<int>(1);
        weir::synctest::test([&] {
            weir::after_func(1s, [&ran, held] { ran = true; });
            weir::after_func(2s, [&ran, held] { ran = true; });
            weir::Ticker t(1s);
            CHECK(held.use_count() == 3);
        });
        CHECK(!ran);
        CHECK(held.use_count() == 1);
    });
}

TEST_CASE("a ticker ticks on the dot, and a slow reader finds one tick [b114, b124]") {
    bubble([] {
        const Watch watch;
        weir::Ticker t(1s);
        for (int i = 1; i <= 5; ++i) CHECK(t.c().recv() == watch.begun + i * 1s);
        weir::sleep(10s + 500ms);
        CHECK(t.c().recv() == watch.begun + 6s);
        CHECK(t.c().recv() == watch.begun + 16s);
        t.reset(3s);
        CHECK(t.c().recv() == watch.begun + 19s);
        t.stop();
        weir::sleep(10s);
        CHECK(t.c().len() == 0);
    });
}

TEST_CASE("select's timeout comes on the dot, and a value before it [b124]") {
    bubble([] {
        const Watch watch;
        weir::chan<int> c;
        bool timed_out = false;
        weir::select(recv(c, [](int) {}), weir::timeout(90min, [&] { timed_out = true; }));
        CHECK(timed_out);
        CHECK(watch.elapsed() == 90min);
        weir::go([&] {
            weir::sleep(1s - 1ns);
            c << 7;
        });
        int got = 0;
        weir::select(recv(c, got), weir::timeout(1s));
        CHECK(got == 7);
        weir::select(weir::timeout(1ns));
        CHECK(watch.elapsed() == 90min + 1s);
        CHECK(weir::select(recv(c), recv(weir::after(1s)), recv(weir::after(2s))) == 1);
    });
}

// ---- contexts and what else goes by time ----

TEST_CASE("a context's deadline passes neither early nor late [b85, b124]") {
    bubble([] {
        const Watch watch;
        auto [ctx, cancel] = weir::with_timeout(weir::background(), 5s);
        weir::defer release{cancel};
        CHECK(ctx.deadline() == watch.begun + 5s);
        CHECK(contains(ctx.string(), "2000-01-01 00:00:05 +0000 UTC [5s]"));
        weir::sleep(5s - 1ns);
        wait();
        CHECK(!ctx.err());
        weir::sleep(1ns);
        wait();
        CHECK(ctx.err() == weir::kDeadlineExceeded);

        auto [past, cancel_past] = weir::with_deadline(weir::background(), weir::now());
        CHECK(past.err() == weir::kDeadlineExceeded);
        auto [by_wall, cancel_wall] = weir::with_deadline(weir::background(), weir::wall_now() + 2s);
        auto [child, cancel_child] = weir::with_timeout(by_wall, 1h);
        child.done().recv();
        CHECK(watch.elapsed() == 7s);
        cancel_past(), cancel_wall(), cancel_child();
    });
}

TEST_CASE("a function after a context runs once it has ended, and wait sees that [b87, b124]") {
    bubble([] {
        auto [ctx, cancel] = weir::with_cancel(weir::background());
        bool called = false;
        weir::after_func(ctx, [&] { called = true; });
        wait();
        CHECK(!called);
        cancel();
        wait();
        CHECK(called);
    });
}

TEST_CASE("test gives its function a context that ends with it [b124]") {
    each_workers([] {
        bool ended = false;
        weir::synctest::test([&](const weir::Context& ctx) {
            weir::go([&ended, ctx] {
                ctx.done().recv();
                ended = true;
            });
            weir::sleep(1s);
            CHECK(!ended);
        });
        CHECK(ended);
    });
}

TEST_CASE("a limiter and a breaker go by the bubble's clock [b125]") {
    bubble([] {
        const Watch watch;
        weir::Limiter limiter(10, 3);
        for (int i = 0; i < 13; ++i) CHECK(!limiter.wait(weir::background()));
        CHECK(watch.elapsed() == 1s);
        CHECK(!limiter.allow());
        weir::sleep(100ms);
        CHECK(limiter.allow());

        weir::Breaker breaker({.timeout = 1s, .volume = 1, .open_for = 1min});
        CHECK(breaker.run(weir::background(), [](const weir::Context&) { return weir::sleep(2s), weir::Error(); }) == weir::kBreakerTimeout);
        CHECK(breaker.state() == weir::BreakerState::Open);
        weir::sleep(1min);
        CHECK(!breaker.run(weir::background(), [](const weir::Context&) { return weir::Error(); }));
        CHECK(breaker.state() == weir::BreakerState::Closed);
    });
}

// ---- wait ----

TEST_CASE("wait returns when all other fibers are blocked or gone [b124]") {
    bubble([] {
        wait();
        weir::go([] {});
        wait();
        bool done = false;
        weir::chan<int> c;
        std::function<void()> link = [&] {
            const int left = c.recv();
            if (left == 0) {
                done = true;
                return;
            }
            weir::go(link);
            c << left - 1;
        };
        weir::go(link);
        c << 100;
        wait();
        CHECK(done);
        const Watch watch;
        weir::go([] { weir::sleep(1s); });
        wait();
        CHECK(watch.elapsed() == 0s); // it does not wait for sleepers
        weir::sleep(1s);
    });
}

TEST_CASE("what the others did is visible after wait and after test, without other synchronisation [b124]") {
    each_workers([] {
        std::array<int, 2> v{}; // plain: TSan looks
        weir::synctest::test([&] {
            for (int& x : v) weir::go([&x] { ++x; });
            wait();
            for (int& x : v) ++x;
            weir::chan<void> hold;
            for (int& x : v) {
                weir::go([&x, hold] {
                    ++x;
                    hold.recv();
                });
            }
            wait();
            for (int& x : v) ++x;
            hold.close();
            for (int& x : v) weir::after_func(0s, [&x] { ++x; });
            wait();
            for (int& x : v) ++x;
            for (int& x : v) weir::after_func(1s, [&x] { ++x; });
            weir::sleep(1s);
            wait();
        });
        weir::synctest::test([&] {
            for (int& x : v) weir::go([&x] { weir::go([&x] { ++x; }); });
        });
        for (int x : v) CHECK(x == 8);
    });
}

TEST_CASE("wait is a fiber's at a time, and a bubble's only [b124]") {
    each_workers([] {
        CHECK(panic_text([] { wait(); }) == "goroutine is not in a bubble");
        weir::synctest::test([] {
            std::atomic<int> refused{0};
            std::atomic<int> inside{0};
            weir::go([&] {
                while (inside < 3) weir::yield(); // keeps the others waiting
                while (refused < 2) weir::yield();
            });
            for (int i = 0; i < 3; ++i) {
                weir::go([&] {
                    ++inside;
                    refused += panic_text([] { wait(); }) == "wait already in progress";
                });
            }
            weir::sleep(1s);
            CHECK(refused == 2);
        });
    });
    CHECK(panic_text([] { wait(); }) == "goroutine is not in a bubble"); // on a plain thread
}

// ---- what blocks durably, and what does not ----

TEST_CASE("a channel from outside may end a wait from there: time stands still meanwhile [b124]") {
    each_workers([] {
        const auto inside = [](const char* what, weir::chan<int> c, const std::function<void()>& fn, const std::function<void()>& outside) {
            CAPTURE(what);
            weir::after_func(1ms, outside); // by the real clock
            weir::synctest::test([&] {
                const TimeStandsStill check;
                fn();
            });
            (void)c;
        };
        weir::chan<int> never;
        weir::chan<int> c;
        inside("receive a value", c, [&] { CHECK(c.recv() == 5); }, [&] { c << 5; });
        inside("send", c, [&] { c << 6; }, [&] { c.recv(); });
        inside("select outside only", c, [&] { weir::select(recv(c), recv(never)); }, [&] { c << 7; });
        inside("select mixed", c, [&] { weir::select(recv(c), recv(weir::chan<int>())); }, [&] { c << 8; });
        inside("select with a timeout", c, [&] { CHECK(weir::select(recv(c), weir::timeout(1h)) == 0); }, [&] { c << 9; });
        inside("receive from a closed one", c, [&] { c.recv(); }, [&] { c.close(); });
    });
}

TEST_CASE("a timer from outside goes by the real clock [b124]") {
    each_workers([] {
        weir::Timer t(5ms);
        const auto begun = Clock::now();
        weir::synctest::test([&] {
            const Watch watch;
            t.c().recv();
            CHECK(watch.elapsed() == 0s);
        });
        CHECK(Clock::now() - begun >= 5ms);
        CHECK(!t.stop());
    });
}

TEST_CASE("waiting for a mutex is not durable [b124]") {
    each_workers([] {
        weir::Mutex mu;
        mu.lock();
        weir::after_func(5ms, [&] { mu.unlock(); });
        weir::synctest::test([&] {
            const TimeStandsStill check;
            const std::lock_guard lock(mu);
        });
    });
}

TEST_CASE("a mutex held by a sleeper stops the bubble's time, and with it all [b61, b124]") {
    for (int n : {1, 2, 4}) {
        const Death child = dies([n] {
            return weir::run(weir::Options{.max_procs = n}, [] {
                weir::synctest::test([] {
                    weir::Mutex mu;
                    weir::go([&] {
                        const std::lock_guard lock(mu);
                        weir::sleep(1s);
                    });
                    wait();
                    mu.lock();
                });
            });
        });
        CHECK(child.status == 2);
        CHECK(starts_with(child.err, "fatal error: all goroutines are asleep - deadlock!\n"));
        CHECK(contains(child.err, "[sleep (durable), synctest bubble "));
        CHECK(contains(child.err, "[sync.Mutex.Lock, synctest bubble "));
        CHECK(contains(child.err, "[synctest.Run (durable), synctest bubble "));
    }
}

TEST_CASE("blocking calls and yields are not durable [b124]") {
    bubble([] {
        const TimeStandsStill check;
        weir::blocking([] { ::usleep(2000); });
        weir::lock_os_thread();
        for (int i = 0; i < 3; ++i) weir::yield();
        weir::unlock_os_thread();
    });
}

TEST_CASE("a fiber tied to its OS thread sleeps and waits by the bubble's clock [b124]") {
    bubble([] {
        weir::lock_os_thread();
        const auto thread = std::this_thread::get_id();
        const Watch watch;
        weir::chan<int> c;
        weir::go([&] {
            weir::lock_os_thread(); // and never unlocks
            weir::sleep(1s);
            c << 1;
        });
        CHECK(c.recv() == 1);
        weir::sleep(1s);
        wait();
        CHECK(watch.elapsed() == 2s);
        CHECK(std::this_thread::get_id() == thread);
        weir::unlock_os_thread();
    });
}

TEST_CASE("sockets are not durable, and their deadlines last as long on the real clock [b117, b124]") {
    bubble([] {
        const TimeStandsStill check;
        const auto begun = Clock::now();
        auto [ln, err] = weir::net::listen("tcp", "127.0.0.1:0");
        REQUIRE(!err);
        auto [client, dial_err] = weir::net::dial("tcp", ln.addr().string());
        REQUIRE(!dial_err);
        auto [server, accept_err] = ln.accept();
        REQUIRE(!accept_err);
        std::array<std::byte, 8> buf;
        server.set_read_deadline(weir::now() + 5ms);
        auto [n, read_err] = server.read(buf);
        CHECK(read_err.message().find("i/o timeout") != std::string::npos);
        CHECK(Clock::now() - begun >= 5ms);
        server.set_read_deadline(weir::now());
        CHECK(server.read(buf).second.timeout());
        server.set_read_deadline({});
        weir::go([&, client = client] { client.write(std::string("hello")); });
        CHECK(server.read(buf).first == 5);
        client.close(), server.close(), ln.close();
    });
}

TEST_CASE("waiting for a Cond is durable [b78, b124]") {
    bubble([] {
        weir::Mutex mu;
        weir::Cond cond(mu);
        const Watch watch;
        weir::go([&] {
            weir::sleep(1ms);
            mu.lock(), cond.signal(), mu.unlock();
            weir::sleep(1ms);
            mu.lock(), cond.broadcast(), mu.unlock();
        });
        mu.lock();
        cond.wait();
        CHECK(watch.elapsed() == 1ms);
        bool other = false;
        weir::go([&] {
            const std::lock_guard lock(mu);
            cond.wait();
            other = true;
        });
        cond.wait();
        mu.unlock();
        wait();
        CHECK(other);
        CHECK(watch.elapsed() == 2ms);
    });
}

TEST_CASE("waiting for a WaitGroup, ErrGroup, Semaphore or shared call is durable [b71, b124]") {
    bubble([] {
        const Watch watch;
        weir::WaitGroup wg;
        wg.add(1);
        weir::go([&] {
            weir::sleep(1s);
            wg.done();
        });
        wg.wait();
        CHECK(watch.elapsed() == 1s);
        for (int i = 0; i < 100; ++i) wg.go([] {});
        wg.wait();

        auto [group, ctx] = weir::with_errgroup(weir::background());
        group.set_limit(2);
        for (int i = 0; i < 4; ++i) group.go([] { return weir::sleep(1s), weir::Error(); });
        CHECK(!group.wait());
        CHECK(watch.elapsed() == 3s);

        weir::Semaphore sem(1);
        CHECK(sem.try_acquire());
        weir::go([&] {
            weir::sleep(1s);
            sem.release();
        });
        CHECK(!sem.acquire(weir::background()));
        CHECK(watch.elapsed() == 4s);
        auto [timed, cancel] = weir::with_timeout(weir::background(), 1s);
        CHECK(sem.acquire(timed) == weir::kDeadlineExceeded);
        CHECK(watch.elapsed() == 5s);
        cancel();

        weir::SingleFlight<int, int> flight;
        const auto slow = [] { return weir::sleep(1s), 42; };
        weir::go([&] { flight.run(1, slow); });
        CHECK(flight.run(1, slow).value == 42);
        CHECK(watch.elapsed() == 6s);
    });
}

TEST_CASE("a WaitGroup belongs to where its count was raised first, until it is back at zero [b71, b124]") {
    constexpr const char* kMixed = "sync: WaitGroup.Add called from inside and outside synctest bubble";
    each_workers([&] {
        weir::WaitGroup outside;
        outside.add(1);
        weir::after_func(2ms, [&] { outside.done(); });
        weir::synctest::test([&] {
            const TimeStandsStill check;
            CHECK(panic_text([&] { outside.add(1); }) == kMixed);
            outside.wait(); // not durable
        });
        weir::WaitGroup wg;
        for (int i = 0; i < 2; ++i) {
            weir::synctest::test([&] {
                wg.add(1);
                weir::go([&] { wg.wait(); });
                wait();
                wg.done();
            });
        }
        weir::synctest::test([&] { wg.add(1); });
        weir::synctest::test([&] { CHECK(panic_text([&] { wg.add(1); }) == "sync: WaitGroup.Add called from multiple synctest bubbles"); });
        wg.done();
        wg.add(1);
        wg.done();
        wg.wait();
    });
}

TEST_CASE("a context from outside is not the bubble's, whoever asks for its channel first [b124]") {
    each_workers([] {
        auto [outside, cancel] = weir::with_cancel(weir::background());
        weir::after_func(2ms, [cancel = cancel] { cancel(); });
        weir::synctest::test([&, outside = outside] {
            const TimeStandsStill check;
            outside.done().recv();
        });
        // What has ended with its bubble may be ended from outside.
        weir::CancelFunc late;
        weir::synctest::test([&] {
            auto [ctx, cancel_inside] = weir::with_timeout(weir::background(), 1h);
            ctx.done();
            late = cancel_inside;
        });
        late();
    });
}

// ---- panics ----

TEST_CASE("a panic of any fiber of the bubble is test's [b124]") {
    each_workers([] {
        CHECK(bubble_panic([] { weir::panic("in main"); }) == "in main");
        CHECK(bubble_panic([] { weir::go([] { weir::panic("in a child"); }); }) == "in a child");
        CHECK(bubble_panic([] { weir::after_func(1h, [] { weir::panic("in a timer"); }), weir::sleep(1h); }) == "in a timer");
        CHECK(bubble_panic([] { (void)weir::catch_panic([] { weir::panic("recovered"); }); }) == "(no panic)");
        auto panic = weir::catch_panic([] {
            weir::synctest::test([] { weir::go([] { weir::panic(42); }); });
        });
        REQUIRE(panic);
        CHECK(*panic->value<int>() == 42);
        CHECK(panic->kind() == weir::PanicKind::User);
        CHECK(contains(panic->stack(), "synctest_test.cpp"));
        CHECK(panic->fiber_id() != weir::this_fiber::id());
        CHECK_THROWS_AS(weir::synctest::test([] { throw std::out_of_range("foreign"); }), std::out_of_range);
    });
}

TEST_CASE("a panic ends time: who waits for the dead fiber is left behind [b124]") {
    each_workers(Workers{.parked = 3}, [] {
        static bool went_on;
        went_on = false;
        const auto before = weir::panics_total();
        CHECK(bubble_panic([] {
                  weir::go([] {
                      weir::sleep(1s);
                      weir::panic("dead");
                  });
                  weir::go([] {
                      for (;;) weir::sleep(1s);
                  });
                  weir::go([] {
                      weir::chan<int>().recv();
                      went_on = true;
                  });
                  weir::sleep(1s);
                  wait();
                  weir::sleep(1s);
                  went_on = true;
              }) == "dead");
        CHECK(!went_on);
        CHECK(weir::panics_total() == before); // it is the caller's now
    });
}

TEST_CASE("goexit on the bubble's main fiber is its end [b55, b124]") {
    each_workers([] {
        bool ended = false;
        weir::synctest::test([&] {
            weir::chan<void> c;
            weir::go([&, c] {
                c.recv();
                ended = true;
            });
            wait();
            weir::defer d{[&] { c.close(); }};
            weir::goexit();
        });
        CHECK(ended);
    });
}

TEST_CASE("a fiber that cannot be unwound is abandoned, and test panics [b124]") {
    const Death child = dies([] {
        return weir::run([] {
            const std::string text = bubble_panic([] {
                weir::go([] { not_to_throw(std::runtime_error("through noexcept")); });
                weir::sleep(1s);
            });
            std::printf("%s\n", text.c_str());
        });
    });
    CHECK(child.status == 0);
    CHECK(contains(child.out, "through noexcept"));
    CHECK(contains(child.err, "[fiber abandoned"));
}

// ---- deadlocks ----

TEST_CASE("all fibers blocked and no timer pending is a deadlock, with their stacks [b124]") {
    each_workers(Workers{.parked = 2}, [] {
        auto panic = weir::catch_panic([] {
            weir::synctest::test([] {
                weir::go([] { weir::chan<int>().send(1); });
                weir::select(std::span<weir::SelectCase>{});
            });
        });
        REQUIRE(panic);
        CHECK(panic->message() == kAllBlocked);
        for (const std::string& text : {panic->stack(), std::string(weir::PanicException(*panic).what())}) {
            CHECK(contains(text, "[select (no cases) (durable), synctest bubble "));
            CHECK(contains(text, "[chan send (durable), synctest bubble "));
            CHECK(contains(text, "synctest_test.cpp"));
            CHECK(count_of(text, "goroutine ") >= 2);
        }
    });
}

TEST_CASE("fibers that stay blocked when main has ended are a deadlock, timers or not [b124]") {
    each_workers(Workers{.parked = 5}, [] {
        static int ticks;
        ticks = 0;
        CHECK(bubble_panic([] { weir::go([] { weir::chan<int>().recv(); }); }) == kMainExited);
        CHECK(bubble_panic([] { weir::go([] { weir::sleep(std::chrono::nanoseconds::max()); }); }) == kMainExited);
        CHECK(bubble_panic([] {
                  weir::go([] {
                      for (auto& now : weir::tick(1s)) (void)now, ++ticks;
                  });
              }) == kMainExited);
        CHECK(bubble_panic([] { weir::go([] { weir::sleep(1s), ++ticks; }); }) == kMainExited);
        CHECK(bubble_panic([] { weir::sleep(std::chrono::nanoseconds::max()); }) == kAllBlocked);
        CHECK(ticks == 0);
    });
}

TEST_CASE("what a deadlocked bubble has left behind is never woken [b124]") {
    each_workers(Workers{.parked = 2}, [] {
        static bool went_on;
        went_on = false;
        weir::CancelFunc cancel_late;
        CHECK(bubble_panic([&] {
                  auto [ctx, cancel] = weir::with_cancel(weir::background());
                  cancel_late = cancel;
                  weir::go([ctx = ctx] {
                      ctx.done().recv();
                      went_on = true;
                  });
                  ctx.done().recv();
                  went_on = true;
              }) == kAllBlocked);
        cancel_late();
        for (int i = 0; i < 100; ++i) weir::yield();
        CHECK(!went_on);
    });
}

TEST_CASE("an uncaught deadlock is reported with the bubble's fibers [b124]") {
    const Death child = dies([] { return weir::run([] { weir::synctest::test([] { weir::chan<int>().recv(); }); }); });
    CHECK(child.status == 2);
    CHECK(starts_with(child.err, std::string("panic: ") + kAllBlocked));
    CHECK(contains(child.err, "[chan receive (durable), synctest bubble "));
}

// ---- the closed world ----

TEST_CASE("test inside test panics [b124]") {
    each_workers([] {
        weir::synctest::test([] {
            CHECK(bubble_panic([] {}) == "synctest.Run called from within a synctest bubble");
            weir::go([] { CHECK(bubble_panic([] {}) == "synctest.Run called from within a synctest bubble"); });
        });
    });
}

TEST_CASE("a bubble's channel panics outside it [b124]") {
    each_workers([] {
        weir::chan<int> c = weir::nil;
        weir::chan<int> full = weir::nil;
        weir::synctest::test([&] {
            c = weir::chan<int>();
            full = weir::chan<int>(1);
            full << 1;
        });
        const auto misuse = [&] {
            CHECK(panic_text([&] { c << 1; }) == "send on synctest channel from outside bubble");
            CHECK(panic_text([&] { c.try_send(1); }) == "send on synctest channel from outside bubble");
            CHECK(panic_text([&] { full.try_send(1); }) == "send on synctest channel from outside bubble");
            CHECK(panic_text([&] { c.recv(); }) == "receive on synctest channel from outside bubble");
            CHECK(panic_text([&] { full.try_recv(); }) == "receive on synctest channel from outside bubble");
            CHECK(panic_text([&] { c.close(); }) == "close of synctest channel from outside bubble");
            CHECK(panic_text([&] { weir::select(recv(c), recv(full)); }) == "select on synctest channel from outside bubble");
            CHECK(panic_text([&] { weir::select(send(full, 2), weir::otherwise([] {})); }) == "select on synctest channel from outside bubble");
            CHECK(full.len() == 1);
            CHECK(c.cap() == 0);
        };
        misuse();
        weir::synctest::test(misuse);
        std::thread(misuse).join();
    });
}

TEST_CASE("a bubble's timer panics outside it [b124]") {
    each_workers([] {
        std::unique_ptr<weir::Timer> timer, func;
        weir::synctest::test([&] {
            timer = std::make_unique<weir::Timer>(1s);
            func = std::make_unique<weir::Timer>(weir::after_func(1s, [] {}));
        });
        for (auto* t : {timer.get(), func.get()}) {
            CHECK(panic_text([&] { t->stop(); }) == "stop of synctest timer from outside bubble");
            CHECK(panic_text([&] { t->reset(1s); }) == "reset of synctest timer from outside bubble");
        }
        CHECK(panic_text([&] { timer->c().recv(); }) == "receive on synctest channel from outside bubble");
    });
}

TEST_CASE("channels from outside may be used inside, and carry values out [b124]") {
    each_workers([] {
        weir::chan<int> out;
        weir::chan<int> result(1);
        weir::go([&] { result << out.recv(); });
        weir::synctest::test([&] { out << 17; });
        CHECK(result.recv() == 17);
    });
}

TEST_CASE("waking a bubble's fiber from outside is fatal [b124]") {
    struct Case {
        const char* what;
        const char* text;
        std::function<void(weir::chan<std::function<void()>>)> body;
    };
    const Case cases[] = {
        {"Cond", "fatal error: semaphore wake of synctest goroutine from outside bubble",
         [](auto wake) {
             static weir::Mutex mu;
             static weir::Cond cond(mu);
             wake << [] { ::usleep(20'000), cond.signal(); };
             mu.lock();
             cond.wait();
         }},
        {"Context", "fatal error: close of synctest channel from outside bubble",
         [](auto wake) {
             auto [ctx, cancel] = weir::with_cancel(weir::background());
             ctx.done();
             wake << [cancel = cancel] { cancel(); };
             weir::blocking([] { ::usleep(1'000'000); });
         }},
    };
    for (const Case& c : cases) {
        CAPTURE(c.what);
        const Death child = dies([&] {
            return weir::run([&] {
                weir::chan<std::function<void()>> wake;
                weir::go([wake] { wake.recv()(); });
                weir::synctest::test([&] {
                    weir::go([] { weir::blocking([] { ::usleep(1'000'000); }); }); // so that it is no deadlock
                    c.body(wake);
                });
            });
        });
        CHECK(child.status == 2);
        CHECK(starts_with(child.err, c.text));
    }
}

// ---- where test may be called, and many of them ----

TEST_CASE("test on a plain OS thread, with a runtime and without [b124]") {
    weir::synctest::test([] {
        const Watch watch;
        weir::sleep(1h);
        CHECK(watch.elapsed() == 1h);
    });
    CHECK(panic_text([] { weir::synctest::test([] { weir::panic("alone"); }); }) == "alone");
    CHECK(panic_text([] { weir::synctest::test([] { weir::chan<int>().recv(); }); }) == kAllBlocked);
    each_workers([] {
        std::thread([] {
            const auto begun = Clock::now();
            weir::synctest::test([] { weir::sleep(1h); });
            CHECK(Clock::now() - begun < 10min);
            CHECK_THROWS_AS(weir::synctest::test([] { throw std::out_of_range("foreign"); }), std::out_of_range);
        }).join();
    });
}

TEST_CASE("a run may end while a bubble is busy [b1, b124]") {
    for (int i = 0; i < 10; ++i) {
        weir::chan<void> started;
        weir::run([&] {
            weir::go([&] {
                weir::synctest::test([&] {
                    static auto* kept = new weir::Timer(1h); // outlives its bubble and its run
                    (void)kept;
                    weir::go([] {
                        for (;;) weir::sleep(1s);
                    });
                    started.send();
                    for (;;) weir::sleep(1s);
                });
            });
            started.recv();
        });
    }
    weir::synctest::test([] { weir::sleep(1s); });
}

TEST_CASE("the dump names a fiber's bubble [b124]") {
    bubble([] {
        weir::chan<int> c;
        weir::go([&] { c.recv(); });
        wait();
        std::ostringstream out;
        weir::debug::dump_fibers(out);
        CHECK(contains(out.str(), "[running, synctest bubble "));
        CHECK(contains(out.str(), "[chan receive (durable), synctest bubble "));
        c << 1;
    });
}

TEST_CASE("several bubbles at once, each with its own time [b124]") {
    each_workers([] {
        weir::WaitGroup wg;
        for (int i = 0; i < 100; ++i) {
            wg.go([i] {
                weir::synctest::test([i] {
                    const Watch watch;
                    weir::chan<void> cancel;
                    weir::WaitGroup inner;
                    for (int j = 0; j < 20; ++j) {
                        inner.go([&, j] {
                            weir::sleep(j * 1s);
                            cancel.recv();
                        });
                    }
                    weir::sleep((20 + i) * 1s);
                    wait();
                    CHECK(watch.elapsed() == (20 + i) * 1s);
                    cancel.close();
                    inner.wait();
                });
            });
        }
        wg.wait();
    });
}

TEST_CASE("ten thousand bubbles in a row leave nothing behind [b124]") {
    each_workers([] {
        const std::size_t fibers = weir::num_fibers();
        const auto round = [](std::size_t bubbles) {
            for (std::size_t i = 0; i < bubbles; ++i) {
                weir::synctest::test([] {
                    weir::chan<int> c;
                    weir::go([&] {
                        weir::sleep(1s);
                        c << 1;
                    });
                    weir::after_func(1h, [] {});
                    auto [ctx, cancel] = weir::with_timeout(weir::background(), 1min);
                    CHECK(c.recv() == 1);
                    cancel();
                });
            }
        };
        round(stress(1'000));
        const std::size_t before = resident_bytes();
        round(stress(10'000));
        CHECK(weir::num_fibers() == fibers);
        CHECK(resident_bytes() < before + (slow_build() ? 64 << 20 : 4 << 20));
    });
}

TEST_CASE("a bubble with ten thousand sleepers and a hand-off between each pair [b124]") {
    each_workers([] {
        weir::synctest::test([] {
            const auto n = static_cast<int>(stress(10'000));
            const Watch watch;
            std::atomic<int> sum{0};
            for (int i = 0; i < n; ++i) {
                weir::go([&, i] {
                    weir::chan<int> c;
                    weir::go([=] { weir::sleep((n - i) * 1ms), c.send(1); });
                    weir::sleep(i % 7 * 1ms);
                    sum += c.recv();
                });
            }
            weir::sleep(n * 1ms);
            wait();
            CHECK(sum == n);
            CHECK(watch.elapsed() == n * 1ms);
        });
    });
}
