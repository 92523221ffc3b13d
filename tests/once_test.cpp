#include "fixture.h"

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>

#include <weir/defer.h>
#include <weir/once.h>
#include <weir/waitgroup.h>

static_assert(!std::is_copy_constructible_v<weir::Once> && !std::is_move_constructible_v<weir::Once>); // [b81]

TEST_SUITE_BEGIN("once");

TEST_CASE("concurrent calls run the function once, and latecomers wait until it has ended [b75]") {
    each_workers([] {
        weir::Once once;
        int value = 0; // plain on purpose: call() orders it
        int runs = 0;
        weir::WaitGroup wg;
        for (int i = 0; i < 10; ++i) {
            wg.go([&] {
                once.call([&] {
                    ++runs;
                    weir::sleep(2ms);
                    value = 7;
                });
                CHECK(value == 7);
            });
        }
        wg.wait();
        CHECK(runs == 1);
        once.call([&] { ++runs; });
        CHECK(runs == 1);
    });
}

TEST_CASE("a call that panics counts as done, and lets the waiting ones go [b75]") {
    each_workers([] {
        weir::Once once;
        std::atomic<int> passed{0};
        weir::WaitGroup wg, inside;
        inside.add(1);
        wg.go([&] {
            CHECK(panic_text([&] {
                      once.call([&] {
                          inside.done();
                          weir::sleep(1ms);
                          weir::panic("failed");
                      });
                  }) == "failed");
        });
        inside.wait();
        for (int i = 0; i < 3; ++i) {
            wg.go([&] {
                once.call([] { FAIL_CHECK("ran twice"); });
                ++passed;
            });
        }
        wg.wait();
        CHECK(passed == 3);
    });
}

TEST_CASE("a call that goexits counts as done [b75]") {
    each_workers([] {
        weir::Once once;
        weir::WaitGroup wg;
        wg.go([&] { once.call([] { weir::goexit(); }); });
        wg.wait();
        once.call([] { FAIL_CHECK("ran twice"); });
    });
}

TEST_CASE("plain threads and fibers share a Once") {
    each_workers([] {
        weir::Once once;
        std::atomic<int> runs{0};
        auto call = [&] {
            once.call([&] {
                weir::sleep(1ms);
                ++runs;
            });
            CHECK(runs == 1);
        };
        std::thread plain(call);
        weir::WaitGroup wg;
        for (int i = 0; i < 4; ++i) wg.go(call);
        call();
        wg.wait();
        weir::blocking([&] { plain.join(); });
    });
}

TEST_CASE("once_func calls once; its copies share that [b77]") {
    each_workers([] {
        std::atomic<int> runs{0};
        auto f = weir::once_func([&] { ++runs; });
        auto g = f;
        CHECK(runs == 0);
        weir::WaitGroup wg;
        for (int i = 0; i < 10; ++i) wg.go(i % 2 == 0 ? f : g);
        wg.wait();
        CHECK(runs == 1);
    });
}

TEST_CASE("once_value calls once and keeps the value [b77]") {
    each_workers([] {
        int runs = 0;
        auto value = weir::once_value([&] {
            ++runs;
            return std::string("loaded");
        });
        CHECK(value() == "loaded");
        CHECK(&value() == &value());
        CHECK(runs == 1);
        auto only_moved = weir::once_value([] { return std::make_unique<int>(5); });
        CHECK(*only_moved() == 5);
        int target = 0;
        auto reference = weir::once_value([&]() -> int& { return target; });
        CHECK(&reference() == &target);
    });
}

TEST_CASE("of many who ask a once_value at once, all get the value of the one call [b77]") {
    each_workers([] {
        std::atomic<int> runs{0};
        auto value = weir::once_value([&] {
            weir::sleep(1ms); // the others come meanwhile
            return std::string("call ") + std::to_string(++runs);
        });
        weir::WaitGroup wg;
        for (int i = 0; i < 10; ++i) wg.go([&, mine = value]() mutable { CHECK(mine() == "call 1"); });
        wg.wait();
        CHECK(runs == 1);
    });
}

TEST_CASE("once_values keeps several results [b77]") {
    each_workers([] {
        int runs = 0;
        auto load = weir::once_values([&] { return std::pair(++runs, std::string("loaded")); });
        for (int i = 0; i < 2; ++i) {
            const auto& [run, text] = load();
            CHECK(run == 1);
            CHECK(text == "loaded");
        }
    });
}

TEST_CASE("a panic repeats with the same value at each call [b77]") {
    each_workers([] {
        int runs = 0, value_runs = 0;
        auto f = weir::once_func([&] {
            ++runs;
            weir::panic(std::string("x"));
        });
        auto v = weir::once_value([&]() -> int {
            ++value_runs;
            throw std::out_of_range("far out");
        });
        for (int i = 0; i < 3; ++i) {
            auto p = weir::catch_panic([&] { f(); });
            REQUIRE(p);
            CHECK(p->value<std::string>() == "x");
            CHECK(p->message() == "x");
            auto q = weir::catch_panic([&] { v(); });
            REQUIRE(q);
            CHECK(q->message() == "far out");
            CHECK_THROWS_AS(std::rethrow_exception(q->exception()), std::out_of_range);
        }
        CHECK(runs == 1);
        CHECK(value_runs == 1);
        // recover() in a defer sees it too, at the second call as at the first.
        std::string seen;
        weir::frame([&] {
            weir::defer d{[&] {
                if (auto p = weir::recover()) seen = p->message();
            }};
            f();
        });
        CHECK(seen == "x");
    });
}

TEST_CASE("captures are released after the first call, panic or not [b77]") {
    each_workers([] {
        auto kept = std::make_shared<int>(1);
        auto f = weir::once_func([kept] {});
        auto v = weir::once_value([kept] { return *kept; });
        auto bad = weir::once_func([kept] { weir::panic("bad"); });
        CHECK(kept.use_count() == 4);
        f();
        v();
        CHECK(panic_text(bad) == "bad");
        CHECK(kept.use_count() == 1);
        CHECK(v() == 1);
    });
}

TEST_SUITE_END();
