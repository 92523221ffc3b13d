// synctest: panics, deadlocks, the closed world, and many bubbles. The cases follow those of Go's internal/synctest.
#include "synctest_fixture.h"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>

#include <unistd.h>

#include <weir/weir.h>

TEST_SUITE_BEGIN("synctest");

namespace {

void not_to_throw(const std::runtime_error& error) noexcept { std::rethrow_exception(std::make_exception_ptr(error)); }

constexpr const char* kAllBlocked = "deadlock: all goroutines in bubble are blocked";
constexpr const char* kMainExited = "deadlock: main bubble goroutine has exited but blocked goroutines remain";

} // namespace

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
        CHECK(contains(panic->stack(), "synctest_end_test.cpp"));
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
            CHECK(contains(text, "synctest_end_test.cpp"));
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
             mu.lock();
             wake << [] {
                 mu.lock(); // it is free once the bubble's fiber waits
                 cond.signal();
             };
             cond.wait();
         }},
        {"Context", "fatal error: close of synctest channel from outside bubble",
         [](auto wake) {
             auto [ctx, cancel] = weir::with_cancel(weir::background());
             ctx.done();
             wake << [cancel = cancel] { cancel(); };
             weir::blocking([] { ::sleep(50); });
         }},
        {"signal", "fatal error: send on synctest channel from outside bubble",
         [](auto) {
             weir::chan<int> c(1);
             weir::signal_notify(c, SIGUSR1);
             ::raise(SIGUSR1);
             weir::blocking([] { ::sleep(50); });
         }},
    };
    for (const Case& c : cases) {
        CAPTURE(c.what);
        const Death child = dies([&] {
            return weir::run([&] {
                weir::chan<std::function<void()>> wake;
                weir::go([wake] { wake.recv()(); });
                weir::synctest::test([&] {
                    weir::go([] { weir::blocking([] { ::sleep(50); }); }); // so that it is no deadlock
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
    weir::run([] {}); // closes the files that looking for the panics' stacks has opened
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
        for (int i = 0, n = static_cast<int>(stress(100)); i < n; ++i) {
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
