#include "synctest_fixture.h"

#include <atomic>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include <weir/chan.h>
#include <weir/cond.h>
#include <weir/mutex.h>
#include <weir/rwmutex.h>
#include <weir/waitgroup.h>

static_assert(!std::is_copy_constructible_v<weir::Cond> && !std::is_move_constructible_v<weir::Cond>); // [b81]
static_assert(!std::is_constructible_v<weir::Cond, weir::Cond&>);

TEST_SUITE_BEGIN("cond");

TEST_CASE("signal wakes exactly one [b78]") {
    each_workers([] {
        weir::Mutex mu;
        weir::Cond cond(mu);
        constexpr int kWaiters = 10;
        weir::chan<bool> running(kWaiters), awake(kWaiters);
        weir::WaitGroup wg;
        for (int i = 0; i < kWaiters; ++i) {
            wg.go([&] {
                mu.lock();
                running.send(true);
                cond.wait();
                awake.send(true);
                mu.unlock();
            });
        }
        for (int i = 0; i < kWaiters; ++i) running.recv();
        for (int woken = 0; woken < kWaiters; ++woken) {
            CHECK_FALSE(awake.try_recv().has_value());
            mu.lock();
            cond.signal();
            mu.unlock();
            awake.recv();
            weir::yield();
            CHECK_FALSE(awake.try_recv().has_value());
        }
        wg.wait();
        cond.signal();
    });
}

TEST_CASE("each signal wakes one, and all others are still asleep when everybody has come to rest [b78]") {
    bubble([] {
        weir::Mutex mu;
        weir::Cond cond(mu);
        int awake = 0; // guarded by mu
        for (int i = 0; i < 10; ++i) {
            weir::go([&] {
                const std::lock_guard lock(mu);
                cond.wait();
                ++awake;
            });
        }
        for (int woken = 0; woken <= 10; ++woken) {
            wait();
            CHECK(awake == woken);
            cond.signal(); // the last one finds nobody
        }
        weir::go([&] {
            const std::lock_guard lock(mu);
            cond.wait();
            ++awake;
        });
        wait();
        CHECK(awake == 10); // and is not remembered
        cond.broadcast();
    });
}

TEST_CASE("a signal that finds nobody waiting is not remembered [b78]") {
    each_workers([] {
        weir::Mutex mu;
        weir::Cond cond(mu);
        cond.signal();
        cond.broadcast();
        bool signalled = false; // guarded by mu
        std::atomic<bool> awake{false};
        weir::WaitGroup wg;
        mu.lock();
        wg.go([&] {
            mu.lock();
            signalled = true;
            cond.signal(); // for the main fiber, which waits by then
            cond.wait();
            awake = true;
            mu.unlock();
        });
        cond.wait();
        CHECK(signalled); // it was this signal, not one from before
        CHECK_FALSE(awake);
        cond.signal();
        mu.unlock();
        wg.wait();
        CHECK(awake);
    });
}

TEST_CASE("waiters are woken first come, first served") {
    each_workers([] {
        weir::Mutex mu;
        weir::Cond cond(mu);
        std::vector<int> order;
        weir::chan<void> awake;
        weir::WaitGroup wg;
        for (int i = 0; i < 20; ++i) {
            wg.go([&, i] {
                mu.lock();
                cond.wait();
                order.push_back(i);
                mu.unlock();
                awake.send();
            });
            CHECK(come_to_wait(static_cast<std::size_t>(i) + 1, "sync.Cond.Wait"));
        }
        for (int i = 0; i < 20; ++i) {
            cond.signal();
            awake.recv();
        }
        wg.wait();
        for (int i = 0; i < 20; ++i) CHECK(order[static_cast<std::size_t>(i)] == i);
    });
}

TEST_CASE("wait(pred) comes back only when it holds, with the mutex") {
    each_workers([] {
        weir::Mutex mu;
        weir::Cond cond(mu);
        int stage = 0;
        weir::WaitGroup wg;
        wg.go([&] {
            for (int i = 0; i < 5; ++i) {
                mu.lock();
                ++stage;
                mu.unlock();
                cond.broadcast();
                weir::yield();
            }
        });
        mu.lock();
        cond.wait([&] { return stage == 5; });
        CHECK(stage == 5);
        CHECK_FALSE(mu.try_lock());
        mu.unlock();
        wg.wait();
    });
}

TEST_CASE("Cond works with any lockable") {
    each_workers([] {
        auto ping = [](auto& lockable) {
            weir::Cond cond(lockable);
            bool ready = false;
            weir::WaitGroup wg;
            wg.go([&] {
                lockable.lock();
                ready = true;
                cond.signal();
                lockable.unlock();
            });
            lockable.lock();
            cond.wait([&] { return ready; });
            lockable.unlock();
            wg.wait();
        };
        weir::RWMutex rw;
        ping(rw);
        weir::Mutex mu;
        std::unique_lock<weir::Mutex> lock(mu, std::defer_lock);
        weir::Cond cond(lock); // the guard itself is a lockable
        lock.lock();
        weir::WaitGroup wg;
        wg.go([&] {
            const std::lock_guard guard(mu);
            cond.signal();
        });
        cond.wait();
        CHECK(lock.owns_lock());
        lock.unlock();
        wg.wait();
    });
}

TEST_CASE("Cond waits on the read side of an RWMutex: many readers wait together") {
    each_workers([] {
        weir::RWMutex mu;
        auto reading = mu.rlocker();
        weir::Cond cond(reading);
        bool ready = false;
        std::atomic<int> through{0};
        weir::WaitGroup wg;
        for (int i = 0; i < 5; ++i) {
            wg.go([&] {
                const std::lock_guard lock(reading);
                cond.wait([&] { return ready; });
                ++through;
            });
        }
        CHECK(come_to_wait(5, "sync.Cond.Wait"));
        mu.lock();
        CHECK(through == 0);
        ready = true;
        mu.unlock();
        cond.broadcast();
        wg.wait();
        CHECK(through == 5);
    });
}

// Go's BenchmarkCond with checks: every broadcast lets all pass exactly one generation.
TEST_CASE("200 fibers pass 200 broadcasts together [stress]") {
    each_workers([] {
        const int fibers = 200;
        const int rounds = static_cast<int>(stress(200));
        weir::Mutex mu;
        weir::Cond all_here(mu);
        int arrived = 0, generation = 0;
        std::atomic<int> passed{0};
        weir::WaitGroup wg;
        for (int i = 0; i < fibers; ++i) {
            wg.go([&] {
                for (int round = 0; round < rounds; ++round) {
                    const std::lock_guard lock(mu);
                    CHECK(generation == round);
                    if (++arrived == fibers) {
                        arrived = 0;
                        ++generation;
                        all_here.broadcast();
                    } else {
                        while (generation == round) all_here.wait();
                    }
                    ++passed;
                }
            });
        }
        wg.wait();
        CHECK(passed == fibers * rounds);
    });
}

TEST_CASE("plain threads and fibers share a Cond") {
    each_workers([] {
        weir::Mutex mu;
        weir::Cond cond(mu);
        int turn = 0;
        auto play = [&](int me) {
            for (int i = 0; i < 100; ++i) {
                mu.lock();
                cond.wait([&] { return turn % 2 == me; });
                ++turn;
                mu.unlock();
                cond.broadcast();
            }
        };
        std::thread plain(play, 0);
        play(1);
        weir::blocking([&] { plain.join(); });
        CHECK(turn == 200);
    });
}

TEST_SUITE_END();
