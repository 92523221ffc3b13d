#include "fixture.h"

#include <atomic>
#include <memory>
#include <thread>

#include <weir/chan.h>
#include <weir/workerpool.h>

using weir::WorkerPool;

TEST_SUITE_BEGIN("workerpool");

TEST_CASE("tasks run, and close waits for all of them") {
    each_workers([] {
        std::atomic<int> ran{0};
        WorkerPool pool({.workers = 4, .queue = 16});
        for (int i = 0; i < 100; ++i) CHECK_FALSE(pool.submit(weir::background(), [&] { ++ran; }));
        pool.close();
        CHECK(ran == 100);
        const auto stats = pool.stats();
        CHECK(stats.submitted == 100);
        CHECK(stats.completed == 100);
        CHECK(stats.workers == 0);
        CHECK(stats.started <= 100);
    });
}

TEST_CASE("no more than the workers run, no more than the queue wait") {
    each_workers([] {
        weir::chan<void> finish;
        WorkerPool pool({.workers = 2, .queue = 3});
        for (int i = 0; i < 5; ++i) CHECK(pool.try_submit([&] { finish.recv(); }));
        CHECK_FALSE(pool.try_submit([] {}));
        const auto stats = pool.stats();
        CHECK(stats.workers == 2);
        CHECK(stats.queued == 3);
        CHECK(stats.rejected == 1);
        auto [ctx, cancel] = weir::with_timeout(weir::background(), 1ms);
        CHECK(pool.submit(ctx, [] {}) == weir::kDeadlineExceeded);
        finish.close();
        pool.close();
        CHECK(pool.stats().completed == 5);
    });
}

TEST_CASE("an idle worker is used again, and ends when it is bored") {
    each_workers([] {
        weir::chan<void> done;
        WorkerPool pool({.workers = 4, .idle = 1ms});
        for (int i = 0; i < 10; ++i) {
            CHECK_FALSE(pool.submit(weir::background(), [&] { done.send(); }));
            done.recv();
        }
        CHECK(eventually([&] { return pool.stats().workers == 0; }));
        CHECK(pool.stats().completed == 10);
        CHECK(all_gone()); // it is not counted any more a moment before its fiber ends
        CHECK(pool.try_submit([&] { done.send(); })); // a new one
        done.recv();
    });
}

TEST_CASE("one worker does for tasks that come one by one") {
    each_workers([] {
        WorkerPool pool({.workers = 4, .idle = 1h});
        for (int i = 0; i < 10; ++i) {
            CHECK_FALSE(pool.submit(weir::background(), [] {}));
            CHECK(eventually([&] { return pool.stats().idle == 1; }));
        }
        CHECK(pool.stats().started == 1);
    });
}

TEST_CASE("a task that panics or goexits ends its worker, not the pool, and what is queued runs") {
    each_workers([] {
        std::atomic<int> ran{0};
        weir::chan<void> begin;
        WorkerPool pool({.workers = 1, .queue = 8});
        CHECK(pool.try_submit([&] {
            begin.recv();
            weir::goexit();
        }));
        CHECK(pool.try_submit([] { weir::goexit(); }));
        for (int i = 0; i < 3; ++i) CHECK(pool.try_submit([&] { ++ran; }));
        begin.send();
        pool.close();
        CHECK(ran == 3);
        CHECK(pool.stats().panicked == 2);
        CHECK(pool.stats().completed == 3);
    });
}

TEST_CASE("after close tasks are refused") {
    each_workers([] {
        WorkerPool pool;
        pool.close();
        CHECK(pool.submit(weir::background(), [] {}) == weir::kPoolClosed);
        CHECK_FALSE(pool.try_submit([] {}));
        CHECK(pool.stats().rejected == 2);
        pool.close();
    });
}

TEST_CASE("what a task holds is gone when close returns") {
    each_workers([] {
        auto kept = std::make_shared<int>(1);
        WorkerPool pool({.workers = 2, .queue = 10});
        for (int i = 0; i < 10; ++i) CHECK(pool.try_submit([kept] {}));
        pool.close();
        CHECK(kept.use_count() == 1);
    });
}

TEST_CASE("a pool without workers is refused") {
    each_workers([] { CHECK(panic_text([] { WorkerPool pool({.workers = 0}); }) == "worker pool: needs at least one worker and a queue of 0 or more"); });
}

TEST_CASE("fibers, plain threads and tasks submit while workers come and go [stress]") {
    each_workers([] {
        std::atomic<int> ran{0};
        std::atomic<int> active{0};
        WorkerPool pool({.workers = 3, .queue = 4, .idle = 1us});
        const int rounds = static_cast<int>(stress(2000));
        auto submit = [&] {
            for (int i = 0; i < rounds; ++i) {
                CHECK_FALSE(pool.submit(weir::background(), [&, i] {
                    CHECK(++active <= 3);
                    if (i % 4 == 0) weir::yield();
                    --active;
                    ++ran;
                    if (i % 8 == 0) pool.try_submit([&] { ++ran; });
                }));
            }
        };
        weir::WaitGroup wg;
        for (int i = 0; i < 3; ++i) wg.go(submit);
        std::thread plain(submit);
        wg.wait();
        weir::blocking([&] { plain.join(); });
        pool.close();
        const auto stats = pool.stats();
        CHECK(static_cast<std::uint64_t>(ran) == stats.completed);
        CHECK(stats.submitted == stats.completed);
        CHECK(ran >= 4 * rounds);
    });
}

TEST_SUITE_END();
