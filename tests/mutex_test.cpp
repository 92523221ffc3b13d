#include "fixture.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include <weir/mutex.h>
#include <weir/waitgroup.h>

static_assert(!std::is_copy_constructible_v<weir::Mutex> && !std::is_copy_assignable_v<weir::Mutex>); // [b81]
static_assert(!std::is_move_constructible_v<weir::Mutex>);

TEST_SUITE_BEGIN("mutex");

TEST_CASE("a mutex excludes; a std::lock_guard fits it") {
    each_workers([] {
        weir::Mutex mu;
        int count = 0; // plain on purpose: the mutex guards it
        weir::WaitGroup wg;
        for (int i = 0; i < 10; ++i) {
            wg.go([&] {
                for (int j = 0; j < 100; ++j) {
                    const std::lock_guard lock(mu);
                    const int seen = count;
                    if (j % 10 == 0) weir::yield();
                    count = seen + 1;
                }
            });
        }
        wg.wait();
        CHECK(count == 1000);
    });
}

TEST_CASE("try_lock is false when held, and true again after unlock [b64]") {
    each_workers([] {
        weir::Mutex mu;
        CHECK(mu.try_lock());
        CHECK_FALSE(mu.try_lock());
        weir::WaitGroup other;
        other.go([&] { CHECK_FALSE(mu.try_lock()); });
        other.wait();
        mu.unlock();
        CHECK(mu.try_lock());
        mu.unlock();
        const std::unique_lock lock(mu, std::try_to_lock);
        CHECK(lock.owns_lock());
    });
}

TEST_CASE("another fiber may unlock [b64]") {
    each_workers([] {
        weir::Mutex mu;
        mu.lock();
        weir::go([&] { mu.unlock(); });
        mu.lock();
        mu.unlock();
    });
}

TEST_CASE("unlock of an unlocked mutex is fatal [b65]") {
    const auto fresh = dies([] {
        weir::run([] {
            weir::defer never{[] { std::fputs("deferred\n", stderr); }};
            weir::Mutex mu;
            weir::catch_panic([&] { mu.unlock(); });
        });
    });
    CHECK(fresh.status == 2);
    CHECK(contains(fresh.err, "fatal error: sync: unlock of unlocked mutex"));
    CHECK_FALSE(contains(fresh.err, "deferred"));
    const auto used = dies([] {
        weir::run([] {
            weir::Mutex mu;
            mu.lock();
            mu.unlock();
            mu.unlock();
        });
    });
    CHECK(used.status == 2);
    CHECK(contains(used.err, "fatal error: sync: unlock of unlocked mutex"));
}

TEST_CASE("ten fibers lock a thousand times each, every third by try_lock [stress]") {
    each_workers([] {
        weir::Mutex mu;
        std::atomic<int> inside{0};
        weir::WaitGroup wg;
        for (int i = 0; i < 10; ++i) {
            wg.go([&] {
                for (int j = 0; j < 1000; ++j) {
                    if (j % 3 == 0) {
                        if (!mu.try_lock()) continue;
                    } else {
                        mu.lock();
                    }
                    CHECK(++inside == 1);
                    if (j % 7 == 0) weir::yield();
                    --inside;
                    mu.unlock();
                }
            });
        }
        wg.wait();
    });
}

TEST_CASE("fibers and plain threads share a mutex") {
    each_workers([] {
        weir::Mutex mu;
        int count = 0;
        auto work = [&] {
            for (int j = 0; j < 500; ++j) {
                mu.lock();
                ++count;
                mu.unlock();
            }
        };
        std::vector<std::thread> threads;
        for (int i = 0; i < 3; ++i) threads.emplace_back(work);
        weir::WaitGroup wg;
        for (int i = 0; i < 3; ++i) wg.go(work);
        wg.wait();
        weir::blocking([&] {
            for (auto& thread : threads) thread.join();
        });
        CHECK(count == 3000);
    });
}

TEST_CASE("waiters get a held mutex first come, first served") {
    each_workers([] {
        weir::Mutex mu;
        std::vector<int> order;
        weir::WaitGroup wg;
        mu.lock();
        for (int i = 0; i < 8; ++i) {
            wg.go([&, i] {
                mu.lock();
                order.push_back(i);
                weir::sleep(2ms); // over the starvation threshold, so that the next one is handed the mutex
                mu.unlock();
            });
            CHECK(come_to_wait(static_cast<std::size_t>(i) + 1, "sync.Mutex.Lock"));
        }
        mu.unlock();
        wg.wait();
        CHECK(order == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7});
    });
}

// Go's TestMutexFairness: without starvation mode, the fiber that holds the mutex for nearly all of the time would keep it.
TEST_CASE("a fiber that holds the mutex nearly all the time does not starve another") {
    each_workers([] {
        weir::Mutex mu;
        std::atomic<bool> stop{false};
        weir::WaitGroup wg;
        wg.go([&] {
            while (!stop) {
                mu.lock();
                weir::sleep(100us);
                mu.unlock();
            }
        });
        const auto begun = Clock::now();
        for (int i = 0; i < 10; ++i) {
            weir::sleep(100us);
            mu.lock();
            mu.unlock();
        }
        CHECK(Clock::now() - begun < patience(30s));
        stop = true;
        wg.wait();
    });
}

TEST_CASE("no wake-up is lost in starvation mode") {
    each_workers([] {
        weir::Mutex mu;
        int count = 0;
        weir::WaitGroup wg;
        const int rounds = static_cast<int>(stress(200));
        for (int i = 0; i < 16; ++i) {
            wg.go([&, i] {
                for (int j = 0; j < rounds; ++j) {
                    mu.lock();
                    ++count;
                    if ((i + j) % 40 == 0) weir::sleep(1500us); // makes the others wait for longer than the threshold
                    mu.unlock();
                    if ((i + j) % 5 == 0) weir::yield();
                }
            });
        }
        wg.wait();
        CHECK(count == 16 * rounds);
        CHECK(mu.try_lock());
        mu.unlock();
    });
}

// The first contention of a mutex: from then on unlock() may no longer let go by a plain store.
TEST_CASE("no wake-up is lost where a mutex is waited for the first time [stress]") {
    struct Shared {
        weir::Mutex mu;
        int count = 0;
        std::atomic<int> users = 4;
    };
    each_workers([] {
        weir::WaitGroup wg;
        std::atomic<int> wrong{0};
        for (std::size_t i = 0; i < stress(20'000); ++i) {
            auto* shared = new Shared;
            auto use = [shared, &wrong, i] {
                for (std::size_t j = 0; j < 3; ++j) {
                    const std::lock_guard lock(shared->mu);
                    ++shared->count;
                    if ((i + j) % 4 == 0) weir::yield(); // so that the others wait
                }
                if (shared->users.fetch_sub(1) == 1) {
                    wrong += shared->count != 12;
                    delete shared; // others may come to this address while an unlock() is still returning
                }
            };
            for (int user = 0; user < 4; ++user) wg.go(use);
            if (i % 64 == 0) wg.wait();
        }
        wg.wait();
        CHECK(wrong == 0);
    });
}

TEST_CASE("fibers that a run leaves waiting for a mutex are forgotten with it") {
    static weir::Mutex mutexes[300]; // some share a list of those that wait
    for (int round = 0; round < 3; ++round) {
        each_workers(Workers{.parked = 20}, [] {
            for (auto& mu : mutexes) new (&mu) weir::Mutex;
            for (int i = 0; i < 20; ++i) {
                mutexes[i].lock();
                weir::go([i] { mutexes[i].lock(); });
            }
            CHECK(come_to_wait(20, "sync.Mutex.Lock"));
            int count = 0;
            weir::WaitGroup wg;
            for (std::size_t i = 20; i < 300; ++i) {
                for (int user = 0; user < 2; ++user) {
                    wg.go([&count, i] {
                        const std::lock_guard lock(mutexes[i]);
                        weir::yield();
                        if (i == 20) ++count;
                    });
                }
            }
            wg.wait();
            CHECK(count == 2);
        });
    }
}

// What glibc promises for pthread_mutex_t: unlock() does not touch the mutex once somebody else can have it.
TEST_CASE("the last user may destroy a mutex right after unlock") {
    struct Shared {
        weir::Mutex mu;
        int users = 2;
    };
    each_workers([] {
        weir::WaitGroup wg;
        for (std::size_t i = 0; i < stress(2000); ++i) {
            auto* shared = new Shared;
            for (int user = 0; user < 2; ++user) {
                wg.go([shared] {
                    shared->mu.lock();
                    const bool last = --shared->users == 0;
                    shared->mu.unlock();
                    if (last) delete shared;
                });
            }
        }
        wg.wait();
    });
}

TEST_SUITE_END();
