// Fibers and OS threads: blocking calls, locked threads, the number of workers, plain threads beside a runtime.
#include "fixture.h"

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <weir/waitgroup.h>

TEST_SUITE_BEGIN("fiber");

namespace {

long thread_id() { return ::syscall(SYS_gettid); }

} // namespace

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
