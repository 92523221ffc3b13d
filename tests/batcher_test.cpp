#include "fixture.h"

#include <atomic>
#include <vector>

#include <weir/batcher.h>
#include <weir/chan.h>

using weir::Batcher;

TEST_SUITE_BEGIN("batcher");

TEST_CASE("a full batch is flushed, in order") {
    each_workers([] {
        weir::chan<std::vector<int>> batches;
        Batcher<int> batcher({.size = 3, .interval = 1h}, [&](std::vector<int> items) { batches.send(items); });
        for (int i = 0; i < 6; ++i) CHECK(batcher.add(i));
        CHECK(batches.recv() == std::vector<int>{0, 1, 2});
        CHECK(batches.recv() == std::vector<int>{3, 4, 5});
        batcher.close();
        CHECK(batcher.stats().batches == 2);
    });
}

TEST_CASE("a batch that is not full is flushed after the interval") {
    each_workers([] {
        weir::chan<std::vector<int>> batches;
        Batcher<int> batcher({.size = 100, .interval = 5ms}, [&](std::vector<int> items) { batches.send(items); });
        for (int round = 0; round < 2; ++round) {
            const auto begun = Clock::now();
            CHECK(batcher.add(round));
            CHECK(batches.recv() == std::vector<int>{round});
            CHECK(Clock::now() - begun >= 5ms);
        }
    });
}

TEST_CASE("close flushes the rest at once, and takes no more") {
    each_workers([] {
        std::vector<int> got;
        Batcher<int> batcher({.size = 4, .interval = 1h}, [&](std::vector<int> items) { got.insert(got.end(), items.begin(), items.end()); });
        for (int i = 0; i < 6; ++i) CHECK(batcher.add(i));
        batcher.close();
        CHECK(got == std::vector<int>{0, 1, 2, 3, 4, 5});
        CHECK_FALSE(batcher.add(7));
        CHECK_FALSE(batcher.try_add(7));
        CHECK(batcher.stats().flushed == 6);
        batcher.close();
    });
}

TEST_CASE("add waits while flushing cannot keep up, try_add does not") {
    each_workers([] {
        weir::chan<void> begun, go_on;
        Batcher<int> batcher({.size = 1, .interval = 1h, .most_pending = 2}, [&](std::vector<int>) {
            begun.send();
            go_on.recv();
        });
        CHECK(batcher.add(0));
        begun.recv(); // 0 is being flushed
        CHECK(batcher.add(1));
        CHECK(batcher.add(2));
        CHECK_FALSE(batcher.try_add(3));
        weir::WaitGroup wg;
        wg.go([&] { CHECK(batcher.add(3)); });
        for (int i = 0; i < 3; ++i) {
            go_on.send();
            begun.recv();
        }
        wg.wait();
        go_on.send();
    });
}

TEST_CASE("a flush that ends early loses its own batch alone") {
    each_workers([] {
        std::vector<int> got;
        Batcher<int> batcher({.size = 1, .interval = 1h}, [&](std::vector<int> items) {
            if (items[0] == 1) weir::goexit();
            got.push_back(items[0]);
        });
        for (int i = 0; i < 3; ++i) CHECK(batcher.add(i));
        batcher.close();
        CHECK(got == std::vector<int>{0, 2});
        CHECK(batcher.stats().lost == 1);
        CHECK(batcher.stats().flushed == 2);
    });
}

TEST_CASE("nothing is lost or doubled while many add and one closes [stress]") {
    each_workers([] {
        for (std::size_t round = 0; round < stress(20); ++round) {
            std::atomic<int> added{0};
            std::vector<int> got;
            Batcher<int> batcher({.size = 7, .interval = 10us, .most_pending = 10}, [&](std::vector<int> items) {
                CHECK(items.size() <= 7);
                got.insert(got.end(), items.begin(), items.end());
            });
            weir::WaitGroup wg;
            for (int i = 0; i < 4; ++i) {
                wg.go([&, i] {
                    for (int j = 0; j < 500 && batcher.add(i); ++j) {
                        ++added;
                        if (j % 50 == 0) weir::yield();
                    }
                });
            }
            wg.go([&] {
                while (added < 1000) weir::yield();
                batcher.close();
            });
            wg.wait();
            CHECK(static_cast<int>(got.size()) == added);
            CHECK(batcher.stats().added == got.size());
        }
    });
}

TEST_SUITE_END();
