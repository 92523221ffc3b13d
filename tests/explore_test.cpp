// explore and seeded runs: what they find, how they say it, that they repeat; and every primitive of weir's under 10,000 seeds.
#include "fixture.h"

#include <cstdint>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <weir/chan.h>
#include <weir/defer.h>
#include <weir/explore.h>
#include <weir/mutex.h>
#include <weir/select.h>
#include <weir/ticker.h>
#include <weir/waitgroup.h>

#include "explore_programs.h"

TEST_SUITE_BEGIN("explore");

namespace {

/// lost_update reads, lets others run, and writes: wrong under most schedules.
void lost_update() {
    int balance = 0;
    weir::WaitGroup wg;
    for (int i = 0; i < 2; ++i) {
        wg.go([&] {
            const int seen = balance;
            weir::explore_point();
            balance = seen + 1;
        });
    }
    wg.wait();
    if (balance != 2) weir::panic("an update is lost");
}

using Trace = std::vector<int>;

/// trace notes in what order the fibers of a program with channels, select, locks and timers come by.
Trace trace(std::uint64_t seed) {
    Trace events;
    const int status = weir::run(weir::Options{.seed = seed}, [&] {
        weir::chan<int> a, b(1);
        weir::Mutex mu;
        weir::WaitGroup wg;
        for (int i = 0; i < 4; ++i) {
            wg.go([&, i] {
                for (int round = 0; round < 3; ++round) {
                    std::lock_guard lock(mu);
                    events.push_back(i);
                }
                events.push_back(
                    10 + static_cast<int>(weir::select(weir::send(a, i), weir::send(b, i), weir::recv(a), weir::recv(b))));
                weir::sleep(1ms);
                events.push_back(20 + i);
            });
        }
        wg.wait();
    });
    CHECK(status == 0);
    return events;
}

/// message is what explore says when fn fails under some seed.
std::string message(const std::function<void()>& fn) {
    const LeaksAllowed abandoned;
    const auto failure = weir::find_failure(1000, fn);
    REQUIRE(failure);
    return failure->what();
}

} // namespace

TEST_CASE("every primitive holds under 10,000 seeds") {
    // TSan, to which each fiber is a thread to be made, takes milliseconds a run, and has nothing to see on one thread.
    const std::size_t seeds = WEIR_TSAN ? 50 : stress(10'000);
    for (const Program& program : explore_programs()) {
        const auto failure = weir::find_failure(seeds, program.run);
        CHECK_MESSAGE(!failure, program.name, ": ", failure ? std::string(failure->what()) : "");
    }
}

TEST_CASE("a failure throws, with the seed, what happened and where") {
    const LeaksAllowed abandoned;
    std::string what;
    try {
        weir::explore(1000, lost_update);
    } catch (const std::exception& e) {
        what = e.what();
    }
    CHECK_MESSAGE(starts_with(what, "explore: seed "), what);
    CHECK_MESSAGE(contains(what, " fails, run "), what);
    CHECK_MESSAGE(contains(what, ": panic: an update is lost\n\ngoroutine "), what);
    CHECK_MESSAGE(contains(what, "explore_test.cpp:"), what);
    CHECK_MESSAGE(contains(what, "\nWEIR_SEED="), what);
}

TEST_CASE("the seed of a failure fails again, and alone") {
    const LeaksAllowed abandoned;
    const auto failure = weir::find_failure(1000, lost_update);
    REQUIRE(failure);
    CHECK(failure->runs() == failure->seed()); // the first is 1
    for (int i = 0; i < 20; ++i) {
        const auto again = weir::find_failure({.seed = failure->seed()}, 1000, lost_update);
        REQUIRE(again);
        CHECK(again->seed() == failure->seed());
        CHECK(again->runs() == 1);
    }
    const auto next = weir::find_failure({.first_seed = failure->seed() + 1}, 1000, lost_update);
    REQUIRE(next);
    CHECK(next->seed() > failure->seed());
}

TEST_CASE("WEIR_SEED repeats one run" * doctest::skip()) {
    const LeaksAllowed abandoned;
    const std::uint64_t wanted = std::strtoull(std::getenv("WEIR_SEED"), nullptr, 10);
    int runs = 0;
    CHECK_FALSE(weir::find_failure(1000, [&] { ++runs; }));
    CHECK(runs == 1);
    const auto failure = weir::find_failure(1000, [] { return false; });
    REQUIRE(failure);
    CHECK(failure->seed() == wanted);
    weir::run([] { CHECK(weir::max_procs() == 1); });
    CHECK(live_threads() == 1);
}

TEST_CASE("WEIR_SEED") {
    const Death replay = run_alone("WEIR_SEED repeats one run", {"WEIR_SEED=4711"});
    CHECK_MESSAGE(replay.status == 0, replay.out);
    const Death bad = dies([] {
        ::setenv("WEIR_SEED", "first", 1);
        return contains(panic_text([] { weir::explore(1, [] {}); }), "WEIR_SEED=first: must be a whole number") ? 0 : 1;
    });
    CHECK(bad.status == 0);
}

TEST_CASE("each way to fail is named") {
    const LeaksAllowed abandoned;
    CHECK(contains(message([] { throw std::runtime_error("thrown"); }), ": panic: "));
    CHECK(contains(message([] { weir::go([] { throw std::runtime_error("thrown"); }), weir::yield(), weir::sleep(1s); }),
                   "thrown"));
    const std::string asleep = message([] { weir::chan<int>().recv(); });
    CHECK_MESSAGE(contains(asleep, "fails, run 1 of 1000: fatal error: all goroutines are asleep - deadlock!\n\ngoroutine "),
                  asleep);
    CHECK_MESSAGE(contains(asleep, " [chan receive]:\n"), asleep);
    CHECK_MESSAGE(contains(asleep, "explore_test.cpp:"), asleep);
    const auto no = weir::find_failure(5, [] { return false; });
    REQUIRE(no);
    CHECK(contains(no->what(), "explore: seed 1 fails, run 1 of 5: it returned false\n"));
    const auto endless = weir::find_failure({.max_points = 1000}, 5, [] {
        for (;;) weir::yield();
    });
    REQUIRE(endless);
    CHECK(contains(endless->what(), "it passed 1000 points"));
    CHECK_FALSE(weir::find_failure(5, [] { return true; }));
}

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__)
TEST_CASE("a crash fails its run alone") {
    const std::string null = message([] {
        volatile int* volatile nothing = nullptr;
        *nothing = 1;
    });
    CHECK_MESSAGE(contains(null, "invalid memory address or nil pointer dereference"), null);
}
#endif

TEST_CASE("what a failed run leaves behind does not reach the next") {
    const LeaksAllowed abandoned;
    weir::Mutex* held = nullptr; // abandoned locked
    int runs = 0;
    for (int i = 0; i < 50; ++i) {
        const auto failure = weir::find_failure(1, [&] {
            auto mu = std::make_unique<weir::Mutex>();
            held = mu.get();
            std::lock_guard lock(*mu);
            weir::go([&] { weir::chan<int>().recv(); });
            ++runs;
            weir::panic("over");
        });
        CHECK(failure);
    }
    CHECK(runs == 50);
    CHECK(held != nullptr);
    each_workers([] { CHECK(weir::num_fibers() == 1); });
}

TEST_CASE("explore inside a run is an error that says so") {
    each_workers([] {
        CHECK(panic_text([] { weir::explore(1, [] {}); }) ==
              "weir: explore called while a runtime is running: it makes runs of its own; call it outside weir::run");
    });
}

TEST_CASE("a seed gives the same run every time, another seed another one") {
    std::size_t different = 0;
    Trace before;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        const Trace events = trace(seed);
        CHECK(events == trace(seed));
        different += events != before;
        before = events;
    }
    CHECK(different >= 99);
}

TEST_CASE("all orders of three fibers come up") {
    std::vector<Trace> seen;
    CHECK_FALSE(weir::find_failure(200, [&] {
        Trace order;
        weir::WaitGroup wg;
        for (int i = 0; i < 3; ++i) wg.go([&, i] { order.push_back(i); });
        wg.wait();
        if (std::find(seen.begin(), seen.end(), order) == seen.end()) seen.push_back(order);
    }));
    CHECK(seen.size() == 6);
}

TEST_CASE("a seeded run uses the calling thread alone and leaves it as it was") {
    const std::size_t threads = live_threads();
    const auto self = std::this_thread::get_id();
    errno = 77;
    try {
        throw 1;
    } catch (int) { // the caller's exceptions are its own
        const int status = weir::run(weir::Options{.max_procs = 4, .seed = 1}, [&] {
            CHECK(live_threads() <= threads);
            CHECK(weir::max_procs() == 1);
            weir::WaitGroup wg;
            for (int i = 0; i < 8; ++i) {
                wg.go([&] {
                    CHECK(std::this_thread::get_id() == self);
                    errno = 0;
                    (void)weir::catch_panic([] { weir::panic("caught"); });
                    weir::blocking([] {});
                    weir::lock_os_thread();
                    weir::yield();
                    weir::unlock_os_thread();
                });
            }
            wg.wait();
            return 3;
        });
        CHECK(status == 3);
        CHECK(errno == 77);
        CHECK(std::uncaught_exceptions() == 0);
        CHECK_THROWS_AS(throw, int);
    }
}

TEST_CASE("time stands still while anything runs, and then goes to the next timer") {
    const auto begun = Clock::now();
    weir::run(weir::Options{.seed = 1}, [] {
        weir::Timer timer(1h);
        weir::sleep(30min);
        CHECK_FALSE(timer.c().try_recv());
        weir::sleep(31min);
        CHECK(timer.c().try_recv());
        weir::Ticker ticker(24h);
        const auto first = ticker.c().recv();
        CHECK(ticker.c().recv() - first == 24h);
        CHECK(weir::select(weir::timeout(1h)) == 0);
    });
    CHECK(Clock::now() - begun < patience(30s));
}

TEST_CASE("other threads take part, though they cannot be repeated") {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        weir::run(weir::Options{.drain = true, .seed = seed}, [] {
            weir::chan<int> c;
            std::thread other([c] {
                for (int i = 0; i < 10; ++i) c.send(i);
                weir::go([c] { c.send(10); });
            });
            int sum = 0;
            for (int i = 0; i <= 10; ++i) sum += c.recv();
            CHECK(sum == 55);
            weir::blocking([&] { other.join(); });
        });
    }
}

TEST_CASE("a panic that ends a fiber of a seeded run is reported as ever") {
    const Death death = dies([] {
        return weir::run(weir::Options{.seed = 5}, [] {
            weir::WaitGroup wg;
            wg.go([] { weir::panic("lost"); });
            wg.wait();
        });
    });
    CHECK(death.status == 0);
    CHECK_MESSAGE(contains(death.err, "panic: lost\n"), death.err);
}

TEST_CASE("what ends the process says the seed") {
    const Death asleep = dies([] { return weir::run(weir::Options{.seed = 42}, [] { weir::chan<int>().recv(); }); });
    CHECK(asleep.status == 2);
    CHECK_MESSAGE(contains(asleep.err, "all goroutines are asleep - deadlock!"), asleep.err);
    CHECK_MESSAGE(contains(asleep.err, "WEIR_SEED=42"), asleep.err);
    const Death fatal = dies([] { weir::explore(1, [] { weir::Mutex().unlock(); }); });
    CHECK(fatal.status == 2);
    CHECK_MESSAGE(contains(fatal.err, "WEIR_SEED=1 "), fatal.err);
}

TEST_SUITE_END();
