#include "fixture.h"

#include <atomic>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <weir/chan.h>
#include <weir/rwmutex.h>
#include <weir/waitgroup.h>

static_assert(!std::is_copy_constructible_v<weir::RWMutex> && !std::is_move_constructible_v<weir::RWMutex>); // [b81]

namespace {

/// hammer is Go's HammerRWMutex: readers and two writers, each `rounds` times.
void hammer(int readers, int rounds) {
    weir::RWMutex mu;
    std::atomic<int> activity{0}; // readers count 1, a writer 10000
    weir::WaitGroup wg;
    auto reader = [&] {
        for (int i = 0; i < rounds; ++i) {
            mu.lock_shared();
            const int n = ++activity;
            CHECK((n >= 1 && n < 10000));
            if (i % 16 == 0) weir::yield();
            --activity;
            mu.unlock_shared();
        }
    };
    auto writer = [&] {
        for (int i = 0; i < rounds; ++i) {
            mu.lock();
            CHECK((activity += 10000) == 10000);
            if (i % 16 == 0) weir::yield();
            activity -= 10000;
            mu.unlock();
        }
    };
    wg.go(writer);
    for (int i = 0; i < readers / 2; ++i) wg.go(reader);
    wg.go(writer);
    for (int i = readers / 2; i < readers; ++i) wg.go(reader);
    wg.wait();
}

} // namespace

TEST_SUITE_BEGIN("rwmutex");

TEST_CASE("readers hold it together [b67]") {
    each_workers([] {
        for (int n : {1, 3, 4}) {
            weir::RWMutex mu;
            weir::chan<void> locked, leave;
            weir::WaitGroup wg;
            for (int i = 0; i < n; ++i) {
                wg.go([&] {
                    mu.lock_shared();
                    locked.send();
                    leave.recv();
                    mu.unlock_shared();
                });
            }
            for (int i = 0; i < n; ++i) locked.recv(); // all are inside at once
            CHECK_FALSE(mu.try_lock());
            for (int i = 0; i < n; ++i) leave.send();
            wg.wait();
            CHECK(mu.try_lock());
            mu.unlock();
        }
    });
}

TEST_CASE("try_lock_shared is true under readers, try_lock false; under a writer both are false [b67]") {
    each_workers([] {
        weir::RWMutex mu;
        mu.lock_shared();
        CHECK(mu.try_lock_shared());
        CHECK_FALSE(mu.try_lock());
        mu.unlock_shared();
        mu.unlock_shared();
        mu.lock();
        CHECK_FALSE(mu.try_lock_shared());
        CHECK_FALSE(mu.try_lock());
        mu.unlock();
        CHECK(mu.try_lock());
        mu.unlock();
    });
}

TEST_CASE("a waiting writer goes before readers that come later") {
    each_workers([] {
        weir::RWMutex mu;
        std::atomic<bool> written{false};
        weir::WaitGroup wg;
        mu.lock_shared();
        wg.go([&] {
            mu.lock();
            written = true;
            mu.unlock();
        });
        // Once the writer waits, no reader gets in.
        CHECK(eventually([&] {
            if (!mu.try_lock_shared()) return true;
            mu.unlock_shared();
            return false;
        }));
        wg.go([&] {
            mu.lock_shared();
            CHECK(written);
            mu.unlock_shared();
        });
        weir::sleep(2ms);
        CHECK_FALSE(written);
        mu.unlock_shared();
        wg.wait();
    });
}

TEST_CASE("readers that came while a writer held it go before the writer that waits") {
    each_workers([] {
        for (const bool first_queued : {false, true}) { // the holder took it free, or had to wait itself
            weir::RWMutex mu;
            std::atomic<int> readers{0};
            std::atomic<bool> held{false}, leave{false};
            weir::WaitGroup wg;
            if (first_queued) mu.lock_shared();
            wg.go([&] {
                const std::lock_guard lock(mu);
                held = true;
                while (!leave) weir::sleep(100us);
            });
            if (first_queued) {
                CHECK(come_to_wait(1, "sync.RWMutex.Lock"));
                mu.unlock_shared();
            }
            CHECK(eventually([&] { return held.load(); }));
            for (int i = 0; i < 3; ++i) {
                wg.go([&] {
                    const std::shared_lock lock(mu);
                    ++readers;
                    weir::sleep(1ms);
                });
            }
            CHECK(come_to_wait(3, "sync.RWMutex.RLock"));
            wg.go([&] {
                const std::lock_guard lock(mu);
                CHECK(readers == 3);
            });
            CHECK(eventually([&] { return waiting("sync.RWMutex.Lock") + waiting("sync.Mutex.Lock") == 1; }));
            leave = true;
            wg.wait();
        }
    });
}

TEST_CASE("readers and writers on fibers never meet [b67][stress]") {
    // Sizes are behaviours.md's: workers {1, 4, 10} x readers {1, 3, 10}, two writers, 1000 rounds.
    for (int workers : {1, 4, 10}) {
        with_workers(workers, [] {
            for (int readers : {1, 3, 10}) hammer(readers, static_cast<int>(stress(1000)));
        });
    }
}

TEST_CASE("fibers and plain threads share an RWMutex") {
    each_workers([] {
        weir::RWMutex mu;
        int count = 0;
        auto work = [&] {
            for (int i = 0; i < 300; ++i) {
                {
                    const std::lock_guard lock(mu);
                    ++count;
                }
                const std::shared_lock lock(mu);
                CHECK(count > 0);
            }
        };
        std::vector<std::thread> threads;
        for (int i = 0; i < 2; ++i) threads.emplace_back(work);
        weir::WaitGroup wg;
        for (int i = 0; i < 2; ++i) wg.go(work);
        wg.wait();
        weir::blocking([&] {
            for (auto& thread : threads) thread.join();
        });
        CHECK(count == 1200);
    });
}

TEST_CASE("the read side is a lock of its own [b70]") {
    each_workers([] {
        weir::RWMutex mu;
        {
            const std::shared_lock one(mu);
            const std::shared_lock two(mu, std::try_to_lock);
            CHECK(two.owns_lock());
        }
        auto reading = mu.rlocker();
        {
            const std::lock_guard one(reading);
            CHECK(reading.try_lock());
            CHECK_FALSE(mu.try_lock());
            reading.unlock();
        }
        CHECK(mu.try_lock());
        CHECK_FALSE(reading.try_lock());
        mu.unlock();
    });
}

TEST_CASE("unlocking what is not locked so is fatal [b65]") {
    auto text_of = [](void (*misuse)(weir::RWMutex&)) {
        const auto child = dies([misuse] {
            weir::run([misuse] {
                weir::RWMutex mu;
                weir::catch_panic([&] { misuse(mu); });
            });
        });
        CHECK(child.status == 2);
        return child.err;
    };
    const std::string unlock = "fatal error: sync: Unlock of unlocked RWMutex";
    const std::string runlock = "fatal error: sync: RUnlock of unlocked RWMutex";
    CHECK(contains(text_of([](weir::RWMutex& mu) { mu.unlock(); }), unlock));
    CHECK(contains(text_of([](weir::RWMutex& mu) { mu.unlock_shared(); }), runlock));
    CHECK(contains(text_of([](weir::RWMutex& mu) { mu.lock_shared(), mu.unlock(); }), unlock));
    CHECK(contains(text_of([](weir::RWMutex& mu) { mu.lock(), mu.unlock_shared(); }), runlock));
    CHECK(contains(text_of([](weir::RWMutex& mu) { mu.lock(), mu.unlock(), mu.unlock(); }), unlock));
    CHECK(contains(text_of([](weir::RWMutex& mu) { mu.lock_shared(), mu.unlock_shared(), mu.unlock_shared(); }), runlock));
}

TEST_SUITE_END();
