// Time: sleep, after, tick, Timer, Ticker, after_func.
#include "fixture.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <weir/chan.h>
#include <weir/defer.h>
#include <weir/select.h>
#include <weir/ticker.h>

TEST_SUITE_BEGIN("timer");

namespace {

/// on_time tells whether fn() takes less than `limit` and what the machine may add to a timer before we call it late, in some try.
template <typename Fn>
bool on_time(std::chrono::nanoseconds limit, Fn fn) {
    return in_some_try([&] {
        const auto begun = Clock::now();
        fn();
        return Clock::now() - begun < limit + patience(300ms);
    });
}

} // namespace

TEST_CASE("sleep lasts at least its time, and not much longer [b108]") {
    each_workers([] {
        for (auto d : {1ms, 5ms, 20ms}) {
            CHECK(on_time(d, [d] {
                const auto begun = Clock::now();
                weir::sleep(d);
                CHECK(Clock::now() - begun >= d);
            }));
        }
        const auto begun = Clock::now();
        weir::sleep_until(begun + 10ms);
        CHECK(Clock::now() - begun >= 10ms);
        weir::sleep_until(std::chrono::system_clock::now() + 5ms);
        weir::sleep_until(begun); // in the past
    });
}

TEST_CASE("sleep of zero or less returns at once [b108]") {
    each_workers([] {
        CHECK(on_time(0s, [] {
            for (int i = 0; i < 100; ++i) {
                weir::sleep(0s);
                weir::sleep(-1h);
                weir::sleep(std::chrono::nanoseconds::min());
            }
        }));
    });
}

TEST_CASE("the longest duration never fires [b108]") {
    static std::atomic<int> entered, woken;
    woken = 0;
    each_workers(Workers{.parked = 3}, [] {
        entered = 0;
        weir::go([] {
            ++entered;
            weir::sleep(std::chrono::nanoseconds::max());
            ++woken;
        });
        weir::go([] {
            ++entered;
            weir::sleep(std::chrono::hours::max());
            ++woken;
        });
        static weir::recv_chan<weir::time_point> timer; // not in the fiber, whose stack is abandoned with all it holds
        timer = weir::after(std::chrono::nanoseconds::max());
        weir::go([] {
            ++entered;
            timer.recv();
            ++woken;
        });
        CHECK(eventually([] { return entered == 3; }));
        weir::sleep(20ms);
        CHECK(woken == 0);
    });
}

TEST_CASE("after in slots of 20 ms arrives in order [b109]") {
    each_workers([] {
        const std::vector<int> slots{5, 3, 6, 6, 6, 1, 1, 2, 7, 9, 4, 8, 0};
        CHECK(in_some_try([&] {
            weir::chan<int> arrived(slots.size());
            const auto begun = Clock::now();
            for (int slot : slots) {
                weir::go([=, timer = weir::after(slot * patience(20ms))] {
                    CHECK(timer.recv() - begun >= slot * patience(20ms));
                    arrived.send(slot);
                });
            }
            std::vector<int> order;
            for (std::size_t i = 0; i < slots.size(); ++i) order.push_back(arrived.recv());
            return std::is_sorted(order.begin(), order.end()); // a fiber woken first may be held up by the machine before it sends
        }));
    });
}

TEST_CASE("stop tells whether it was in time; reset whether the timer was active [b110]") {
    each_workers([] {
        weir::Timer t(1h);
        CHECK(t.stop());
        CHECK_FALSE(t.stop());
        CHECK_FALSE(t.reset(1h));
        CHECK(t.reset(1ms));
        t.c().recv();
        CHECK_FALSE(t.stop());
        CHECK_FALSE(t.reset(1ms));
        t.c().recv();
        CHECK_FALSE(t.reset(1h));
        CHECK(t.stop());
    });
}

TEST_CASE("after stop or reset no stale time is received [b110]") {
    each_workers([] {
        for (int i = 0; i < 20; ++i) {
            weir::Timer t(1ms);
            weir::sleep(2ms); // has fired, nobody has received
            t.stop();
            CHECK(weir::select(weir::recv(t.c()), weir::otherwise([] {})) == 1);
            t.reset(1ms);
            weir::sleep(2ms);
            const auto reset_at = Clock::now();
            t.reset(3ms);
            t.c().recv();
            CHECK(Clock::now() - reset_at >= 3ms);
        }
    });
}

TEST_CASE("after_func runs in a fiber of its own and has no channel to wait on [b112]") {
    each_workers([] {
        weir::chan<std::uint64_t> ran;
        auto t = weir::after_func(1ms, [ran] { ran.send(weir::this_fiber::id()); });
        CHECK(t.c() == weir::nil);
        const auto id = ran.recv();
        CHECK(id != 0);
        CHECK(id != weir::this_fiber::id());
        CHECK_FALSE(t.stop());
        CHECK_FALSE(t.reset(1ms));
        CHECK(ran.recv() != 0);
        std::atomic<bool> wrongly{false};
        auto stopped = weir::after_func(1h, [&] { wrongly = true; });
        CHECK(stopped.stop());
        CHECK_FALSE(stopped.stop());
        weir::sleep(2ms);
        CHECK_FALSE(wrongly);
    });
}

TEST_CASE("stop of an after_func that has started is false [b112]") {
    each_workers([] {
        weir::chan<void> started, leave;
        auto t = weir::after_func(0ns, [=] {
            started.send();
            leave.recv();
        });
        started.recv();
        CHECK_FALSE(t.stop());
        leave.close();
    });
}

TEST_CASE("a panic in an after_func ends only its own fiber") {
    const auto child = dies([] {
        return weir::run(weir::Options{.max_procs = 2}, [] {
            weir::chan<void> ran;
            weir::after_func(1ms, [ran] {
                weir::defer tell{[&] { ran.close(); }};
                weir::panic("late");
            });
            ran.recv();
            return all_gone() ? 7 : 1;
        });
    });
    CHECK(child.status == 7);
    CHECK(contains(child.err, "panic: late"));
}

TEST_CASE("sleep_until a time long past, of any clock, returns at once") {
    each_workers([] {
        weir::sleep_until(std::chrono::steady_clock::time_point::min());
        weir::sleep_until(std::chrono::system_clock::time_point::min());
        weir::sleep_until(std::chrono::system_clock::now() - 1h);
    });
}

TEST_CASE("an after that is read late gives the time it fired [b113]") {
    each_workers([] {
        CHECK(in_some_try([] {
            const auto begun = Clock::now();
            const auto timer = weir::after(10ms);
            weir::sleep(500ms);
            const auto fired = timer.recv();
            CHECK(fired - begun >= 10ms);
            return fired - begun < 450ms;
        }));
    });
}

TEST_CASE("a slow reader of a Ticker finds one tick; stop neither closes nor ticks again [b114]") {
    each_workers([] {
        weir::Ticker t(5ms);
        weir::sleep(50ms);
        CHECK(t.c().cap() <= 1);
        auto begun = Clock::now();
        t.c().recv();
        // At most the next tick may have come meanwhile, if nothing held us up: never the ten that were missed.
        int stale = 0;
        while (t.c().try_recv()) ++stale;
        CHECK(stale <= 1 + (Clock::now() - begun) / 5ms);
        begun = Clock::now();
        for (int i = 0; i < 10; ++i) t.c().recv();
        CHECK(Clock::now() - begun >= 25ms); // the first may have been there, and some late: those come in a row
        t.stop();
        while (t.c().try_recv()) {
        }
        CHECK(weir::select(weir::recv(t.c()), weir::timeout(20ms, [] {})) == 1);
        t.reset(1ms);
        t.c().recv();
        t.stop();
    });
}

TEST_CASE("a Ticker keeps its rate") {
    each_workers([] {
        CHECK(on_time(100ms, [] {
            const auto begun = Clock::now();
            weir::Ticker t(2ms);
            for (int i = 0; i < 50; ++i) t.c().recv();
            CHECK(Clock::now() - begun >= 100ms);
            t.stop();
        }));
    });
}

TEST_CASE("non-positive intervals panic with Go's words; tick of them is nil [b115]") {
    each_workers([] {
        CHECK(panic_text([] { weir::Ticker t(0s); }) == "non-positive interval for NewTicker");
        CHECK(panic_text([] { weir::Ticker t(-1s); }) == "non-positive interval for NewTicker");
        CHECK(panic_text([] {
                  weir::Ticker t(1h);
                  t.reset(0s);
              }) == "non-positive interval for Ticker.Reset");
        CHECK(panic_text([] {
                  weir::Ticker t(1h);
                  t.reset(-1ns);
              }) == "non-positive interval for Ticker.Reset");
        CHECK(weir::tick(0s) == weir::nil);
        CHECK(weir::tick(-5s) == weir::nil);
    });
}

TEST_CASE("tick ticks") {
    each_workers([] {
        const auto begun = Clock::now();
        const auto ticks = weir::tick(1ms);
        for (int i = 0; i < 10; ++i) ticks.recv();
        CHECK(Clock::now() - begun >= 10ms);
    });
}

TEST_CASE("timers that are dropped, fired or not, leave nothing behind") {
    each_workers([] {
        std::atomic<int> ran{0};
        for (int i = 0; i < 1000; ++i) {
            weir::after(1h);
            weir::Timer t(1h);
            weir::Timer fired(0s);
            weir::Ticker ticker(1ms);
            weir::after_func(0s, [&] { ++ran; });
        }
        CHECK(eventually([&] { return ran == 1000; }));
    });
}

TEST_CASE("sleep, after and Timer work on plain threads") {
    each_workers([] {
        std::thread plain([] {
            const auto begun = Clock::now();
            weir::sleep(5ms);
            weir::after(5ms).recv();
            weir::Timer t(5ms);
            t.c().recv();
            CHECK(Clock::now() - begun >= 15ms);
        });
        weir::blocking([&] { plain.join(); });
    });
}

TEST_CASE("a plain thread's timers fire while every worker is busy with fibers that hand over to each other") {
    each_workers([] {
        StopFlag stop;
        for (int i = 0; i < 8; ++i) {
            weir::go([&] {
                while (!stop) weir::yield();
            });
        }
        std::thread plain([] {
            CHECK(on_time(20ms, [] {
                for (int i = 0; i < 5; ++i) {
                    weir::after(2ms).recv();
                    weir::sleep(2ms);
                }
            }));
        });
        weir::blocking([&] { plain.join(); });
    });
}

TEST_CASE("a fiber asleep is woken on time while every worker idles, and while every worker is busy") {
    each_workers([] {
        weir::sleep(100ms); // all idle
        const auto sleep = [] { weir::sleep(10ms); };
        CHECK(on_time(10ms, sleep));
        StopFlag stop;
        for (int i = 0; i < 4; ++i) {
            weir::go([&] {
                while (!stop.load(std::memory_order_relaxed)) {
                }
            });
        }
        CHECK(on_time(10ms, sleep));
    });
}

TEST_SUITE_END();
