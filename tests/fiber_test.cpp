// Fibers: run, go and its options, yield, goexit, ids, labels, misuse.
#include "fixture.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include <weir/defer.h>

TEST_SUITE_BEGIN("fiber");

namespace {

int eleven() { return 11; }

} // namespace

TEST_CASE("run returns the main fiber's int, and 0 for a void one [b1]") {
    CHECK(weir::run([] { return 7; }) == 7);
    CHECK(weir::run([] {}) == 0);
    CHECK(weir::run(weir::Options{.max_procs = 2}, [] { return 3; }) == 3);
    CHECK(weir::run(eleven) == 11);
}

TEST_CASE("main returning abandons the other fibers: their defers do not run [b1]") {
    static std::atomic<int> begun, deferred;
    deferred = 0;
    each_workers(Workers{.parked = 3}, [] {
        begun = 0;
        for (int i = 0; i < 3; ++i) {
            weir::go([] {
                weir::defer d{[] { ++deferred; }};
                ++begun;
                weir::sleep(1h);
            });
        }
        CHECK(eventually([] { return begun == 3; }));
    });
    CHECK(deferred == 0);
}

TEST_CASE("main returning ends run although fibers compute or read for ever [b1]") {
    if (WEIR_TSAN) return; // TSan holds signals back from code that makes no calls
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    static std::atomic<int> begun, deferred;
    begun = deferred = 0;
    for (int n : {1, 2, 4}) {
        begun = 0;
        const std::size_t threads = live_threads();
        const auto t0 = Clock::now();
        CHECK(weir::run(weir::Options{.max_procs = n}, [&] {
                  weir::go([] {
                      weir::defer d{[] { ++deferred; }};
                      ++begun;
                      for (;;) asm volatile("");
                  });
                  weir::go([&] {
                      weir::defer d{[] { ++deferred; }};
                      ++begun;
                      char c;
                      (void)!::read(ends[0], &c, 1);
                  });
                  weir::go([] {
                      ++begun;
                      for (;;) weir::yield();
                  });
                  CHECK(eventually([] { return begun == 3; }));
                  return 6;
              }) == 6);
        CHECK(Clock::now() - t0 < patience(30s));
        CHECK(at_most_threads(threads));
    }
    CHECK(deferred == 0);
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_CASE("with the drain option run waits for the other fibers") {
    for (int n : {1, 2, 4}) {
        std::atomic<int> ended{0};
        const int status = weir::run(weir::Options{.max_procs = n, .drain = true}, [&] {
            for (int i = 0; i < 10; ++i) {
                weir::go([&] {
                    weir::sleep(20ms);
                    ++ended;
                });
            }
            return 5;
        });
        CHECK(status == 5);
        CHECK(ended == 10);
    }
}

TEST_CASE("draining never ends early and never hangs, however the last fibers end") {
    for (int n : {1, 2, 4}) {
        for (int round = 0; round < static_cast<int>(stress(300)); ++round) {
            std::atomic<int> leaves{0};
            struct Tree {
                static void grow(std::atomic<int>& leaves, int depth) {
                    if (depth == 0) {
                        ++leaves;
                        return;
                    }
                    for (int i = 0; i < 2; ++i) weir::go([&leaves, depth] { grow(leaves, depth - 1); });
                    if (depth % 2 == 0) weir::yield();
                }
            };
            weir::run(weir::Options{.max_procs = n, .drain = true}, [&] { weir::go([&] { Tree::grow(leaves, 4); }); });
            REQUIRE(leaves == 16);
        }
    }
}

TEST_CASE("run can be called again and again, and leaves no thread and no file descriptor") {
    const std::size_t threads = live_threads(), fds = open_fds();
    for (int i = 0; i < 50; ++i) {
        std::atomic<int> ran{0};
        const int n = 1 + i % 4;
        CHECK(weir::run(weir::Options{.max_procs = n}, [&] {
                  for (int j = 0; j < 20; ++j) weir::go([&] { ++ran; });
                  weir::sleep(1us);
                  return eventually([&] { return ran == 20; }) ? 0 : 1;
              }) == 0);
    }
    CHECK(at_most_threads(threads));
    CHECK(open_fds() == fds);
}

TEST_CASE("go runs each fiber exactly once") {
    each_workers([] {
        const std::size_t n = stress(20000);
        std::vector<std::atomic<int>> ran(n);
        for (std::size_t i = 0; i < n; ++i) weir::go([&ran, i] { ran[i].fetch_add(1, std::memory_order_relaxed); });
        CHECK(all_gone());
        CHECK(std::all_of(ran.begin(), ran.end(), [](const auto& r) { return r == 1; }));
    });
}

TEST_CASE("fibers that start fibers: a tree of depth 12 has all its leaves") {
    each_workers([] {
        static std::atomic<int> leaves;
        leaves = 0;
        struct Tree {
            static void grow(int depth) {
                if (depth == 0) {
                    ++leaves;
                    return;
                }
                weir::go(grow, depth - 1);
                weir::go(grow, depth - 1);
            }
        };
        const int depth = slow_build() ? 8 : 12;
        Tree::grow(depth);
        CHECK(all_gone());
        CHECK(leaves == 1 << depth);
    });
}

TEST_CASE("go copies or moves its function and arguments, as std::thread does") {
    each_workers([] {
        std::atomic<int> sum{0};
        int by_value = 1;
        weir::go([&sum](int n) { sum += n; }, by_value);
        by_value = 1000;

        auto moved = std::make_unique<int>(20);
        weir::go([&sum](std::unique_ptr<int> p) { sum += *p; }, std::move(moved));
        CHECK(moved == nullptr);

        std::atomic<int> target{0};
        weir::go([](std::atomic<int>& t) { t = 300; }, std::ref(target));

        struct Adder {
            std::atomic<int>* sum;
            void add(int n) const { *sum += n; }
        };
        weir::go(&Adder::add, Adder{&sum}, 4000);

        std::function<void()> held = [&sum] { sum += 50000; };
        weir::go(held);
        CHECK(held != nullptr);

        std::array<char, 2000> large{};
        large[1999] = 7;
        weir::go([&sum, large] { sum += large[1999] * 100000; });

        struct alignas(64) Aligned {
            int value = 8;
        };
        weir::go(
            [&sum](const Aligned& a) {
                CHECK(reinterpret_cast<std::uintptr_t>(&a) % 64 == 0);
                sum += a.value * 1000000;
            },
            Aligned{});

        CHECK(all_gone());
        CHECK(sum == 8754021);
        CHECK(target == 300);
    });
}

TEST_CASE("what a fiber's closure owns is destroyed when the fiber ends") {
    each_workers([] {
        auto owned = std::make_shared<int>(1);
        for (int i = 0; i < 100; ++i) weir::go([owned] { weir::yield(); });
        CHECK(all_gone());
        CHECK(eventually([&] { return owned.use_count() == 1; }));
    });
}

TEST_CASE("a copy that throws leaves go without a fiber") {
    struct Throws {
        Throws() = default;
        Throws(const Throws&) { throw std::runtime_error("no copy"); }
        void operator()() const {}
    };
    each_workers([] {
        const Throws fn;
        bool caught = false;
        try {
            weir::go(fn);
        } catch (const std::runtime_error& e) {
            caught = std::string(e.what()) == "no copy";
        }
        CHECK(caught);
        CHECK(weir::num_fibers() == 1);
    });
}

TEST_CASE("fibers that hold each other's turn all progress [b3]") {
    // Four fibers, four workers, each spinning until its turn comes round; spawned from main, and each by the one before it.
    struct Ring {
        std::atomic<int> turn{0};
        void spin(int me) {
            for (int round = 0; round < 3; ++round) {
                while (turn != me) weir::yield();
                turn = (me + 1) % 4;
            }
        }
        void nested(int me) {
            if (me < 3) weir::go([this, me] { nested(me + 1); });
            spin(me);
        }
    };
    each_workers([] {
        for (int attempt = 0; attempt < 10; ++attempt) {
            Ring serial;
            for (int me = 0; me < 4; ++me) weir::go([&, me] { serial.spin(me); });
            CHECK(all_gone());
            Ring nested;
            weir::go([&] { nested.nested(0); });
            CHECK(all_gone());
        }
    });
    // Without any yield: the four workers must really run at the same time.
    with_workers(4, [] {
        for (int attempt = 0; attempt < 10; ++attempt) {
            std::atomic<int> turn{0};
            for (int me = 0; me < 4; ++me) {
                weir::go([&turn, me] {
                    for (int round = 0; round < 3; ++round) {
                        while (turn != me) {
                        }
                        turn = (me + 1) % 4;
                    }
                });
            }
            CHECK(all_gone());
        }
    });
}

TEST_CASE("ten parked fibers make num_fibers eleven, and one after they have ended [b7]") {
    each_workers([] {
        std::atomic<bool> go_on{false};
        for (int i = 0; i < 10; ++i) {
            weir::go([&] {
                while (!go_on) weir::sleep(1ms);
            });
        }
        CHECK(weir::num_fibers() == 11);
        weir::sleep(5ms);
        CHECK(weir::num_fibers() == 11);
        go_on = true;
        CHECK(all_gone());
    });
}

TEST_CASE("go of a null function is fatal [b8]") {
    const auto pointer = dies([] {
        return weir::run([] {
            void (*fn)() = nullptr;
            weir::go(fn);
        });
    });
    CHECK(pointer.status == 2);
    CHECK(contains(pointer.err, "fatal error: go of nil func value"));
    const auto function = dies([] {
        return weir::run([] {
            weir::defer never{[] { std::fputs("deferred\n", stderr); }};
            weir::go(std::function<void()>{});
        });
    });
    CHECK(function.status == 2);
    CHECK(contains(function.err, "fatal error: go of nil func value"));
    CHECK_FALSE(contains(function.err, "deferred"));
}

TEST_CASE("yield lets the others run") {
    each_workers([] {
        std::atomic<int> done{0};
        for (int i = 0; i < 10; ++i) {
            weir::go([&] {
                for (int j = 0; j < 100; ++j) weir::yield();
                ++done;
            });
        }
        CHECK(eventually([&] { return done == 10; }));
    });
}

TEST_CASE("ids are unique and never 0 on a fiber; a name is what go was given") {
    each_workers([] {
        std::mutex guard;
        std::set<std::uint64_t> ids{weir::this_fiber::id()};
        CHECK(*ids.begin() != 0);
        CHECK(weir::this_fiber::name().empty());
        for (int i = 0; i < 100; ++i) {
            weir::go({.name = "worker-" + std::to_string(i)}, [&, i] {
                const auto id = weir::this_fiber::id();
                weir::yield();
                CHECK(weir::this_fiber::id() == id);
                CHECK(weir::this_fiber::name() == "worker-" + std::to_string(i));
                const std::lock_guard lock(guard);
                ids.insert(id);
            });
        }
        CHECK(all_gone());
        CHECK(ids.size() == 101);
    });
    CHECK(weir::this_fiber::id() == 0);
}

TEST_CASE("ids do not come back in the next run") {
    std::uint64_t first = 0, second = 0;
    weir::run([&] { first = weir::this_fiber::id(); });
    weir::run([&] { second = weir::this_fiber::id(); });
    CHECK(second > first);
}

TEST_CASE("labels are what go was given, and are a copy") {
    each_workers([] {
        weir::Labels labels{{"task", "sync_user"}, {"shard", "7"}};
        weir::go({.labels = labels}, [labels] { CHECK(weir::this_fiber::labels() == labels); });
        labels[0].second = "changed";
        CHECK(weir::this_fiber::labels().empty());
        CHECK(all_gone());
    });
}

TEST_CASE("stack() is a trace that names the caller") {
    each_workers([] {
        const std::string trace = weir::this_fiber::stack();
        CHECK(starts_with(trace, "goroutine " + std::to_string(weir::this_fiber::id()) + " [running]:"));
        CHECK(contains(trace, "fiber_test.cpp:"));
    });
}

TEST_CASE("goexit ends its fiber after its defers, and no other") {
    each_workers([] {
        static std::atomic<int> deferred, after;
        deferred = after = 0;
        for (int i = 0; i < 10; ++i) {
            weir::go([] {
                weir::defer d{[] { ++deferred; }};
                [] {
                    weir::defer inner{[] { ++deferred; }};
                    weir::goexit();
                }();
                ++after;
            });
        }
        CHECK(all_gone());
        CHECK(deferred == 20);
        CHECK(after == 0);
    });
}

TEST_CASE("goexit on a plain thread is fatal") {
    const auto child = dies([] { weir::goexit(); });
    CHECK(child.status == 2);
    CHECK(contains(child.err, "fatal error: "));
}

TEST_CASE("bad options are clear errors, and nothing has been started") {
    const std::size_t threads = live_threads();
    const auto none = panic_text([] { weir::run(weir::Options{.max_procs = 0}, [] {}); });
    CHECK(contains(none, "max_procs"));
    const auto small = panic_text([] { weir::run(weir::Options{.stack_max = 4096}, [] {}); });
    CHECK(contains(small, "stack_max"));
    const auto large = panic_text([] { weir::run(weir::Options{.stack_max = std::size_t{1} << 40}, [] {}); });
    CHECK(contains(large, "stack_max"));
    CHECK(live_threads() == threads);
    CHECK(weir::run([] {}) == 0);
}

TEST_CASE("a bad stack_max of go is a clear error and starts nothing") {
    each_workers([] {
        CHECK(contains(panic_text([] { weir::go({.stack_max = 1}, [] {}); }), "stack_max"));
        CHECK(weir::num_fibers() == 1);
    });
}

TEST_CASE("run inside run is an error; the outer one goes on") {
    each_workers([] {
        CHECK(panic_text([] { weir::run([] {}); }) != "(no panic)");
        std::atomic<bool> ran{false};
        weir::go([&] { ran = true; });
        CHECK(eventually([&] { return ran.load(); }));
    });
}

TEST_CASE("go without a runtime is an error") {
    CHECK(panic_text([] { weir::go([] {}); }) != "(no panic)");
    CHECK(weir::run([] {}) == 0);
    CHECK(panic_text([] { weir::go([] {}); }) != "(no panic)");
}

TEST_SUITE_END();
