#include "fixture.h"

#include <atomic>
#include <memory>
#include <thread>
#include <type_traits>

#include <weir/chan.h>
#include <weir/defer.h>
#include <weir/waitgroup.h>

static_assert(!std::is_copy_constructible_v<weir::WaitGroup> && !std::is_move_constructible_v<weir::WaitGroup>); // [b81]

TEST_SUITE_BEGIN("waitgroup");

TEST_CASE("sixteen fibers, two groups, eight reuses: none passes before the last done, all after [b71]") {
    each_workers([] {
        constexpr int kFibers = 16;
        weir::WaitGroup first, second;
        for (int round = 0; round < 8; ++round) {
            std::atomic<int> passed{0};
            weir::chan<bool> exited(kFibers);
            first.add(kFibers);
            second.add(kFibers);
            for (int i = 0; i < kFibers; ++i) {
                weir::go([&, exited] {
                    first.done();
                    second.wait();
                    ++passed;
                    exited.send(true);
                });
            }
            first.wait();
            for (int i = 0; i < kFibers; ++i) {
                weir::yield(); // who was let go early gets there
                CHECK(passed == 0);
                CHECK_FALSE(exited.try_recv().has_value());
                second.done();
            }
            for (int i = 0; i < kFibers; ++i) exited.recv();
            CHECK(passed == kFibers);
        }
    });
}

TEST_CASE("a negative counter panics, recoverably [b72]") {
    each_workers([] {
        const std::string text = "sync: negative WaitGroup counter";
        CHECK(panic_text([] {
                  weir::WaitGroup wg;
                  wg.done();
              }) == text);
        CHECK(panic_text([] {
                  weir::WaitGroup wg;
                  wg.add(1);
                  wg.done();
                  wg.add(-3);
              }) == text);
        bool recovered = false;
        weir::frame([&] {
            weir::defer d{[&] { recovered = weir::recover().has_value(); }};
            weir::WaitGroup wg;
            wg.done();
        });
        CHECK(recovered);
    });
}

TEST_CASE("wait at zero returns [b72]") {
    each_workers([] {
        weir::WaitGroup wg;
        wg.wait();
        wg.add(2);
        wg.add(-2);
        wg.wait();
    });
}

TEST_CASE("what was done before done is seen after wait, by every waiter") {
    each_workers([] {
        for (std::size_t round = 0; round < stress(200); ++round) {
            weir::WaitGroup tasks, waiters;
            int plain[4] = {}; // plain on purpose: the group orders it
            for (int& value : plain) tasks.go([&] { value = 1; });
            for (int i = 0; i < 4; ++i) {
                waiters.go([&] {
                    tasks.wait();
                    CHECK(plain[0] + plain[1] + plain[2] + plain[3] == 4);
                });
            }
            waiters.wait();
        }
    });
}

// Go's TestWaitGroupRace: the waiter must not pass before the last done; many times, since the window is small.
TEST_CASE("a thousand groups, no early wake [stress]") {
    each_workers([] {
        for (int i = 0; i < 1000; ++i) {
            weir::WaitGroup wg; // destroyed at once when wait returns, while the last done may still be returning
            std::atomic<int> n{0};
            wg.add(1);
            weir::go([&] {
                ++n;
                wg.done();
            });
            wg.add(1);
            weir::go([&] {
                ++n;
                wg.done();
            });
            wg.wait();
            CHECK(n == 2);
        }
    });
}

TEST_CASE("go counts its function, which may take arguments and may panic or goexit") {
    each_workers([] {
        weir::WaitGroup wg;
        std::atomic<int> sum{0};
        wg.go([&](int a, std::unique_ptr<int> b) { sum += a + *b; }, 2, std::make_unique<int>(3));
        wg.go([&] {
            ++sum;
            weir::goexit();
        });
        wg.wait();
        CHECK(sum == 6);
        wg.go([] { weir::panic("waitgroup_test: this report belongs to the test"); });
        wg.wait();
    });
}

TEST_CASE("go of a null function is fatal and counts nothing [b8]") {
    const auto child = dies([] {
        weir::run([] {
            weir::WaitGroup wg;
            void (*fn)() = nullptr;
            wg.go(fn);
        });
    });
    CHECK(child.status == 2);
    CHECK(contains(child.err, "fatal error: go of nil func value"));
}

TEST_CASE("a round begun while waiters of the last are not yet released is found out") {
    // A waiter that has been counted but whose release is still under way cannot be made on purpose from outside, so many tries:
    // each either goes well or panics with Go's text. What must never happen is a lost or an early wake-up.
    each_workers([] {
        for (std::size_t i = 0; i < stress(300); ++i) {
            weir::WaitGroup wg, all;
            wg.add(1);
            all.go([&] { wg.wait(); });
            weir::yield();
            all.go([&] { wg.done(); });
            const std::string text = panic_text([&] { wg.add(1); });
            CHECK((text == "(no panic)" || text == "sync: WaitGroup misuse: Add called concurrently with Wait"));
            wg.done();
            all.wait();
        }
    });
}

TEST_CASE("plain threads wait and are waited for") {
    each_workers([] {
        weir::WaitGroup wg, started;
        std::atomic<int> n{0};
        wg.add(2);
        started.add(1);
        std::thread worker([&] {
            started.wait();
            ++n;
            wg.done();
        });
        weir::go([&] {
            started.wait();
            ++n;
            wg.done();
        });
        std::thread waiter([&] {
            wg.wait();
            CHECK(n == 2);
        });
        started.done();
        wg.wait();
        CHECK(n == 2);
        weir::blocking([&] {
            worker.join();
            waiter.join();
        });
    });
}

TEST_SUITE_END();
