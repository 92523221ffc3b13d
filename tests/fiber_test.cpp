// Fibers: run, go and its options, yield, sleep, goexit, ids, fiber_local, blocking, locked threads, misuse.
#include "fixture.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <weir/defer.h>
#include <weir/fiber_local.h>
#include <weir/waitgroup.h>

TEST_SUITE_BEGIN("fiber");

namespace {

long thread_id() { return ::syscall(SYS_gettid); }

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

TEST_CASE("fiber_local: each fiber has its own value, kept across parks") {
    static weir::fiber_local<int> number;
    static weir::fiber_local<std::string> text;
    each_workers([] {
        *number = -1;
        for (int i = 0; i < 100; ++i) {
            weir::go([i] {
                CHECK(*number == 0);
                CHECK(text->empty());
                *number = i;
                *text = "fiber " + std::to_string(i);
                for (int j = 0; j < 10; ++j) weir::yield();
                weir::sleep(1ms);
                CHECK(*number == i);
                CHECK(*text == "fiber " + std::to_string(i));
            });
        }
        CHECK(all_gone());
        CHECK(*number == -1);
    });
}

TEST_CASE("fiber_local values are destroyed with their fiber") {
    static std::atomic<int> alive;
    struct Counted {
        Counted() { ++alive; }
        Counted(const Counted&) { ++alive; }
        ~Counted() { --alive; }
    };
    static weir::fiber_local<Counted> value;
    alive = 0;
    each_workers([] {
        for (int i = 0; i < 50; ++i) {
            weir::go([] {
                (void)*value;
                CHECK(alive > 0);
            });
        }
        CHECK(all_gone());
        CHECK(eventually([] { return alive == 0; }));
    });
}

TEST_CASE("a fiber_local's destructor may use another fiber_local") {
    static weir::fiber_local<std::string> trace{std::string("none")};
    static std::atomic<int> right;
    struct Last {
        bool live = false;
        ~Last() {
            if (!live) return;
            right += *trace == "4bf92f" || *trace == "none"; // still there, or made anew
            *trace += "!";
        }
    };
    static weir::fiber_local<Last> last;
    right = 0;
    each_workers([] {
        for (int i = 0; i < 20; ++i) {
            weir::go([] {
                *trace = "4bf92f";
                last->live = true;
            });
        }
        CHECK(all_gone());
    });
    CHECK(right == 60);
}

TEST_CASE("fiber_local values are inherited where go asks for it") {
    static weir::fiber_local<std::string> request;
    each_workers([] {
        *request = "r-17";
        weir::go([] { CHECK(request->empty()); });
        weir::go({.inherit_locals = true}, [] {
            CHECK(*request == "r-17");
            *request = "child";
        });
        CHECK(all_gone());
        CHECK(*request == "r-17");
    });
}

TEST_CASE("blocking returns the call's result and lets the others run meanwhile") {
    each_workers([] {
        int ends[2];
        REQUIRE(::pipe(ends) == 0);
        // The writer is a fiber, so that at one worker the read below can only end if blocking() gives the worker away.
        weir::go([&] {
            weir::sleep(1ms);
            CHECK(::write(ends[1], "x", 1) == 1);
        });
        char c = 0;
        const ssize_t n = weir::blocking([&] { return ::read(ends[0], &c, 1); });
        CHECK(n == 1);
        CHECK(c == 'x');
        ::close(ends[0]);
        ::close(ends[1]);
        weir::blocking([] {}); // void
        CHECK(all_gone());
    });
}

TEST_CASE("many blocking calls at once all end") {
    each_workers([] {
        std::atomic<int> done{0};
        for (int i = 0; i < 50; ++i) {
            weir::go([&] {
                weir::blocking([] { ::usleep(2000); });
                ++done;
            });
        }
        CHECK(all_gone());
        CHECK(done == 50);
    });
}

TEST_CASE("an exception or a panic passes through blocking") {
    each_workers([] {
        CHECK(panic_text([] { weir::blocking([] { throw std::runtime_error("from the library"); }); }) == "from the library");
        CHECK(panic_text([] { weir::blocking([] { weir::panic("inside"); }); }) == "inside");
    });
}

TEST_CASE("blocking works on a plain thread") {
    with_workers(1, [] {
        std::atomic<int> got{0};
        std::thread plain([&] { got = weir::blocking([] { return 9; }); });
        weir::blocking([&] { plain.join(); });
        CHECK(got == 9);
    });
    CHECK(weir::blocking([] { return 4; }) == 4);
}

TEST_CASE("a fiber with lock_os_thread stays on its thread until it unlocks as often") {
    each_workers([] {
        StopFlag stop;
        for (int i = 0; i < 8; ++i) {
            weir::go([&] {
                while (!stop) weir::yield();
            });
        }
        for (int i = 0; i < 4; ++i) {
            weir::go([] {
                weir::lock_os_thread();
                const long tid = thread_id();
                weir::lock_os_thread();
                for (int j = 0; j < 50; ++j) {
                    weir::yield();
                    CHECK(thread_id() == tid);
                }
                weir::unlock_os_thread();
                weir::sleep(2ms);
                CHECK(thread_id() == tid);
                weir::unlock_os_thread();
                weir::yield();
            });
        }
        CHECK(eventually([] { return weir::num_fibers() == 9; }));
        stop = true;
    });
}

TEST_CASE("no other fiber runs on a locked thread") {
    each_workers([] {
        std::atomic<long> locked{0};
        std::atomic<int> intruders{0};
        StopFlag stop;
        weir::go([&] {
            weir::lock_os_thread();
            locked = thread_id();
            weir::sleep(10ms);
            locked = 0;
            weir::unlock_os_thread();
            stop = true;
        });
        for (int i = 0; i < 8; ++i) {
            weir::go([&] {
                while (!stop) {
                    const long owner = locked;
                    if (owner != 0 && owner == thread_id() && owner == locked) ++intruders;
                    weir::yield();
                }
            });
        }
        CHECK(all_gone());
        CHECK(intruders == 0);
    });
}

TEST_CASE("a fiber locked to its thread sleeps, yields and is woken, alone or among others") {
    each_workers([] {
        weir::lock_os_thread();
        for (int i = 0; i < 20; ++i) {
            weir::yield();
            weir::sleep(100us);
        }
        StopFlag stop;
        for (int i = 0; i < 4; ++i) {
            weir::go([&] {
                while (!stop) weir::sleep(50us);
            });
        }
        for (int i = 0; i < 20; ++i) {
            weir::yield();
            weir::sleep(100us);
        }
        weir::unlock_os_thread();
    });
}

TEST_CASE("no more fibers run at once after a thread was unlocked than before") {
    with_workers(1, [] {
        for (int i = 0; i < 3; ++i) {
            weir::WaitGroup wg;
            wg.go([] {
                weir::lock_os_thread();
                weir::sleep(5ms);
                weir::unlock_os_thread();
                weir::yield();
            });
            wg.go([] {
                for (int j = 0; j < 200; ++j) weir::yield(); // on another worker, meanwhile
            });
            wg.wait();
        }
        std::atomic<int> steps{0}, together{0};
        weir::WaitGroup wg;
        for (int i = 0; i < 4; ++i) {
            wg.go([&] {
                for (int j = 0; j < 20000; ++j) {
                    const int before = steps;
                    for (int k = 0; k < 100; ++k) asm volatile("");
                    together += steps != before; // another fiber has ended a step during this one
                    ++steps;
                    weir::yield();
                }
            });
        }
        wg.wait();
        // A worker that the system holds up for long is stood in for, and comes back: that is one step, however many the others do meanwhile.
        CHECK(together < 200);
    });
}

TEST_CASE("lowering max_procs while workers idle loses no wake-up") {
    with_workers(4, [] {
        for (int i = 0; i < 20; ++i) {
            weir::max_procs(4);
            weir::WaitGroup wg;
            for (int j = 0; j < 8; ++j) {
                wg.go([] {
                    for (int k = 0; k < 100; ++k) weir::yield();
                });
            }
            wg.wait();
            weir::sleep(1ms); // the others fall asleep
            weir::max_procs(1);
            for (int j = 0; j < 10; ++j) wg.go([] { weir::yield(); });
            wg.wait();
        }
    });
}

TEST_CASE("max_procs(n) changes the number of workers and returns the one before") {
    each_workers([] {
        const int before = weir::max_procs();
        CHECK(weir::max_procs(3) == before);
        CHECK(weir::max_procs() == 3);
        std::atomic<int> done{0};
        for (int i = 0; i < 100; ++i) {
            weir::go([&] {
                weir::yield();
                ++done;
            });
        }
        CHECK(weir::max_procs(1) == 3);
        CHECK(eventually([&] { return done == 100; }));
        CHECK(weir::max_procs(4) == 1);
        CHECK(panic_text([] { weir::max_procs(0); }) != "(no panic)");
        CHECK(weir::max_procs() == 4);
    });
}

TEST_CASE("the number of workers follows the affinity mask, and WEIR_MAXPROCS goes before that") {
    const auto by_default = dies([] {
        ::unsetenv("WEIR_MAXPROCS");
        cpu_set_t one;
        CPU_ZERO(&one);
        cpu_set_t all;
        ::sched_getaffinity(0, sizeof all, &all);
        for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
            if (CPU_ISSET(cpu, &all)) {
                CPU_SET(cpu, &one);
                break;
            }
        }
        ::sched_setaffinity(0, sizeof one, &one);
        return weir::run([] { return weir::max_procs(); });
    });
    CHECK(by_default.status == 1);
    const auto by_variable = dies([] {
        ::setenv("WEIR_MAXPROCS", "5", 1);
        return weir::run([] { return weir::max_procs(); });
    });
    CHECK(by_variable.status == 5);
    const auto by_option = dies([] {
        ::setenv("WEIR_MAXPROCS", "5", 1);
        return weir::run(weir::Options{.max_procs = 3}, [] { return weir::max_procs(); });
    });
    CHECK(by_option.status == 3);
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

TEST_CASE("go, yield and sleep work from plain threads while a runtime runs") {
    each_workers([] {
        std::atomic<int> ran{0};
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([&] {
                CHECK(weir::this_fiber::id() == 0);
                for (int j = 0; j < 100; ++j) weir::go([&] { ++ran; });
                weir::yield();
                const auto begun = Clock::now();
                weir::sleep(5ms);
                CHECK(Clock::now() - begun >= 5ms);
            });
        }
        weir::blocking([&] {
            for (auto& thread : threads) thread.join();
        });
        CHECK(eventually([&] { return ran == 400; }));
    });
}

TEST_CASE("a fiber started by a plain thread wakes an idle runtime") {
    each_workers([] {
        std::atomic<int> ran{0};
        std::thread plain([&] {
            for (int i = 0; i < 20; ++i) {
                ::usleep(2000); // long enough that the workers have gone to sleep
                weir::go([&] { ++ran; });
            }
        });
        while (ran < 20) weir::sleep(1ms);
        weir::blocking([&] { plain.join(); });
        CHECK(ran == 20);
    });
}

TEST_SUITE_END();
