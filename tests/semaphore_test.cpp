#include "synctest_fixture.h"

#include <atomic>
#include <optional>
#include <random>
#include <thread>
#include <type_traits>
#include <vector>

#include <weir/chan.h>
#include <weir/context.h>
#include <weir/semaphore.h>
#include <weir/waitgroup.h>

using weir::Error;
using weir::Semaphore;

static_assert(!std::is_copy_constructible_v<Semaphore> && !std::is_move_constructible_v<Semaphore>);

TEST_SUITE_BEGIN("semaphore");

TEST_CASE("try_acquire takes what is free and no more [b99]") {
    each_workers([] {
        Semaphore s(2);
        std::vector<bool> tries;
        CHECK_FALSE(s.acquire(weir::background(), 1));
        tries.push_back(s.try_acquire(1));
        tries.push_back(s.try_acquire(1));
        s.release(2);
        tries.push_back(s.try_acquire(1));
        CHECK_FALSE(s.acquire(weir::background(), 1));
        tries.push_back(s.try_acquire(1));
        CHECK(tries == std::vector<bool>{true, false, true, false});
    });
}

TEST_CASE("releasing more than is held panics, and takes nothing [b99]") {
    each_workers([] {
        Semaphore s(1);
        CHECK(panic_text([&] { s.release(1); }) == "semaphore: released more than held");
        CHECK(s.try_acquire(1));
        CHECK(panic_text([&] { s.release(2); }) == "semaphore: released more than held");
        CHECK_FALSE(s.try_acquire(1));
        s.release();
        CHECK(s.try_acquire());
    });
}

TEST_CASE("more than there are waits for the context alone, and holds up nobody [b102]") {
    bubble([] {
        Semaphore s(2);
        auto [ctx, cancel] = weir::with_cancel(weir::background());
        bool ended = false;
        weir::go([&, ctx = ctx] {
            CHECK(s.acquire(ctx, 3) == weir::kCanceled);
            ended = true;
        });
        wait(); // it waits now
        for (int i = 0; i < 100; ++i) {
            CHECK_FALSE(s.acquire(ctx, 2));
            s.release(2);
        }
        CHECK(s.try_acquire(2));
        s.release(2);
        wait();
        CHECK_FALSE(ended); // nor does what is released make it go on
        cancel();
        wait();
        CHECK(ended);
        CHECK(s.try_acquire(2)); // and it holds nothing
    });
}

TEST_CASE("a context that has ended already always fails") {
    each_workers([] {
        Semaphore s(1);
        auto [ctx, cancel] = weir::with_cancel(weir::background());
        cancel();
        CHECK(s.acquire(ctx, 1) == weir::kCanceled);
        CHECK(s.acquire(ctx, 0) == weir::kCanceled);
        CHECK(s.try_acquire(1));
    });
}

TEST_CASE("who waits under a context leaves when it ends, and what it held up goes on") {
    each_workers([] {
        Semaphore s(2);
        REQUIRE(s.try_acquire(1));
        auto [ctx, cancel] = weir::with_cancel(weir::background());
        weir::WaitGroup large, small;
        large.go([&, ctx = ctx] { CHECK(s.acquire(ctx, 2) == weir::kCanceled); });
        REQUIRE(eventually([&] { // the large request is in line: it now holds up everyone
            if (!s.try_acquire(1)) return true;
            s.release(1);
            return false;
        }));
        small.go([&] { CHECK_FALSE(s.acquire(weir::background(), 1)); });
        cancel();
        large.wait();
        small.wait();
        s.release(2);
    });
}

TEST_CASE("a large request is not starved by small ones") {
    each_workers([] {
        Semaphore s(4);
        std::atomic<bool> stop{false};
        weir::WaitGroup wg;
        for (int i = 0; i < 8; ++i) {
            wg.go([&] {
                while (!stop) {
                    CHECK_FALSE(s.acquire(weir::background(), 1));
                    weir::yield();
                    s.release(1);
                }
            });
        }
        for (int i = 0; i < 10; ++i) {
            CHECK_FALSE(s.acquire(weir::background(), 4));
            s.release(4);
        }
        stop = true;
        wg.wait();
    });
}

TEST_CASE("first come, first served") {
    each_workers([] {
        constexpr int kFibers = 8;
        Semaphore s(kFibers);
        REQUIRE(s.try_acquire(kFibers));
        std::vector<int> order;
        weir::WaitGroup wg;
        for (int i = 0; i < kFibers; ++i) {
            wg.go([&, i] {
                CHECK_FALSE(s.acquire(weir::background(), kFibers)); // all of them: one at a time
                order.push_back(i);
                s.release(kFibers);
            });
            CHECK(come_to_wait(static_cast<std::size_t>(i) + 1, "semacquire"));
        }
        s.release(kFibers);
        wg.wait();
        CHECK(order == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7});
    });
}

TEST_CASE("plain threads and fibers share a semaphore") {
    each_workers([] {
        Semaphore s(3);
        std::atomic<int> inside{0};
        auto work = [&] {
            for (int i = 0; i < 200; ++i) {
                const int n = i % 3 + 1;
                CHECK_FALSE(s.acquire(weir::background(), n));
                CHECK((inside += n) <= 3);
                inside -= n;
                s.release(n);
            }
        };
        std::vector<std::thread> threads;
        for (int i = 0; i < 2; ++i) threads.emplace_back(work);
        weir::WaitGroup wg;
        for (int i = 0; i < 3; ++i) wg.go(work);
        wg.wait();
        weir::blocking([&] {
            for (auto& thread : threads) thread.join();
        });
    });
}

// Go's TestWeighted, with ten thousand loops.
TEST_CASE("never more than the size is held [stress]") {
    each_workers([] {
        constexpr int kSize = 8;
        Semaphore s(kSize);
        std::atomic<int> held{0};
        weir::WaitGroup wg;
        for (int i = 0; i < 16; ++i) {
            wg.go([&, i] {
                std::mt19937 random(static_cast<unsigned>(i));
                for (std::size_t j = 0; j < stress(10'000); ++j) {
                    const int n = static_cast<int>(random() % kSize) + 1;
                    CHECK_FALSE(s.acquire(weir::background(), n));
                    CHECK((held += n) <= kSize);
                    if (j % 16 == 0) weir::yield();
                    held -= n;
                    s.release(n);
                }
            });
        }
        wg.wait();
        CHECK(s.try_acquire(kSize));
    });
}

TEST_CASE("acquire, release and the end of contexts race: no unit is lost or made [stress]") {
    each_workers([] {
        constexpr int kSize = 4;
        Semaphore s(kSize);
        std::atomic<int> held{0};
        weir::WaitGroup wg;
        for (int i = 0; i < 8; ++i) {
            wg.go([&, i] {
                std::mt19937 random(static_cast<unsigned>(i));
                for (std::size_t j = 0; j < stress(1000); ++j) {
                    auto [ctx, cancel] = weir::with_cancel(weir::background());
                    weir::WaitGroup canceller;
                    canceller.go([cancel = cancel, late = random() % 4] {
                        for (unsigned k = 0; k < late; ++k) weir::yield();
                        cancel();
                    });
                    const int n = static_cast<int>(random() % kSize) + 1;
                    const Error err = s.acquire(ctx, n);
                    if (err) {
                        CHECK(err == weir::kCanceled);
                    } else {
                        CHECK((held += n) <= kSize);
                        weir::yield();
                        held -= n;
                        s.release(n);
                    }
                    canceller.wait();
                }
            });
        }
        wg.wait();
        CHECK(s.try_acquire(kSize));
    });
}

TEST_CASE("whoever was let in may destroy the semaphore") {
    each_workers([] {
        for (std::size_t i = 0; i < stress(1000); ++i) {
            auto s = std::make_unique<std::optional<Semaphore>>(std::in_place, 1);
            REQUIRE((*s)->try_acquire());
            weir::WaitGroup released;
            released.go([&] { (*s)->release(); });
            CHECK_FALSE((*s)->acquire(weir::background()));
            s.reset();
            released.wait();
        }
    });
}

TEST_SUITE_END();
