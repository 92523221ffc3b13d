#include "fixture.h"

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <weir/chan.h>
#include <weir/pool.h>
#include <weir/waitgroup.h>

using weir::Pool;

static_assert(!std::is_copy_constructible_v<Pool<int>>);

namespace {

/// Tracked counts those alive, and who holds it.
struct Tracked {
    static inline std::atomic<int> live{0};
    Tracked() { ++live; }
    ~Tracked() { --live; }
    std::atomic<int> holders{0};
};

} // namespace

TEST_SUITE_BEGIN("pool");

TEST_CASE("an empty pool gives null, or what its factory makes [b82]") {
    each_workers([] {
        Pool<std::string> plain;
        CHECK(plain.get() == nullptr);
        plain.put(nullptr);
        CHECK(plain.get() == nullptr);
        int made = 0;
        Pool<int> counted([&] { return std::make_unique<int>(++made); });
        CHECK(*counted.get() == 1);
        CHECK(*counted.get() == 2);
        Pool<std::string> of_values([] { return std::string("fresh"); });
        CHECK(*of_values.get() == "fresh");
    });
}

TEST_CASE("what is put comes back, the last first, to whoever asks") {
    each_workers([] {
        Pool<int> pool;
        for (int i = 0; i < 200; ++i) pool.put(std::make_unique<int>(i));
        std::set<int> seen;
        std::thread other([&] { seen.insert(*pool.get()); });
        weir::blocking([&] { other.join(); });
        while (auto p = pool.get()) CHECK(seen.insert(*p).second);
        CHECK(seen.size() == 200);
    });
}

TEST_CASE("what is not wanted between two ageings is given back; what is, stays") {
    each_workers([] {
        Tracked::live = 0;
        Pool<Tracked> pool;
        // Fewer than 256, at which the pool would look whether it is time to age by itself.
        for (int i = 0; i < 240; ++i) pool.put(std::make_unique<Tracked>());
        weir::detail::age_pools();
        CHECK(Tracked::live == 240);
        for (int i = 0; i < 10; ++i) {
            auto kept = pool.get();
            REQUIRE(kept);
            pool.put(std::move(kept)); // the same one, again and again
        }
        weir::detail::age_pools();
        CHECK(Tracked::live == 1);
        weir::shrink_pools();
        CHECK(Tracked::live == 0);
        CHECK(pool.get() == nullptr);
    });
}

TEST_CASE("a pool destroys what is in it, victims too") {
    each_workers([] {
        Tracked::live = 0;
        {
            Pool<Tracked> pool;
            for (int i = 0; i < 100; ++i) pool.put(std::make_unique<Tracked>());
            weir::detail::age_pools();
            for (int i = 0; i < 100; ++i) pool.put(std::make_unique<Tracked>());
        }
        CHECK(Tracked::live == 0);
    });
}

TEST_CASE("a destructor and a factory may use the pool itself") {
    struct Chained {
        explicit Chained(Pool<Chained>* p) : pool(p) {}
        ~Chained() {
            if (pool != nullptr) pool->get();
        }
        Pool<Chained>* pool;
    };
    each_workers([] {
        Pool<Chained> pool;
        for (int i = 0; i < 10; ++i) pool.put(std::make_unique<Chained>(i % 2 == 0 ? &pool : nullptr));
        weir::shrink_pools();
        CHECK(pool.get() == nullptr);
    });
}

TEST_CASE("a pool that a run has left behind on a fiber's stack does no harm to the next") {
    each_workers(Workers{.parked = 8}, [] {
        weir::WaitGroup begun;
        begun.add(8);
        for (int i = 0; i < 8; ++i) {
            weir::go([&begun] {
                Pool<int> mine;
                mine.put(std::make_unique<int>(1));
                begun.done();
                weir::chan<void>(weir::nil).recv();
            });
        }
        begun.wait();
        Pool<int> other; // comes and goes beside those of this run and of those before
        other.put(std::make_unique<int>(2));
        weir::shrink_pools();
        CHECK(other.get() == nullptr);
    });
}

// Go's TestPoolStress, 10 x 1e6 at each number of workers.
TEST_CASE("never one object to two holders, while the pools age [b82][stress]") {
    each_workers([] {
        Tracked::live = 0;
        {
            Pool<Tracked> pool;
            std::atomic<bool> stop{false};
            std::atomic<int> doubled{0}; // not a CHECK each: millions take too long
            weir::WaitGroup wg, ageing;
            ageing.go([&] {
                while (!stop) {
                    weir::detail::age_pools();
                    for (int i = 0; i < 100; ++i) weir::yield();
                }
            });
            auto work = [&] {
                std::vector<std::unique_ptr<Tracked>> held;
                for (std::size_t j = 0; j < stress(1'000'000); ++j) {
                    auto p = pool.get();
                    if (!p) p = std::make_unique<Tracked>();
                    if (p->holders.fetch_add(1) != 0) ++doubled;
                    held.push_back(std::move(p));
                    if (held.size() < j % 8) continue;
                    for (auto& h : held) {
                        h->holders.fetch_sub(1);
                        pool.put(std::move(h));
                    }
                    held.clear();
                    // Not the thread: 15,000 times the CPU to whatever else a busy machine is at would take minutes.
                    if (j % 64 == 0 && weir::this_fiber::id() != 0) weir::yield();
                }
            };
            std::thread plain(work);
            for (int i = 0; i < 9; ++i) wg.go(work);
            wg.wait();
            weir::blocking([&] { plain.join(); });
            stop = true;
            ageing.wait();
            CHECK(doubled == 0);
        }
        CHECK(Tracked::live == 0);
    });
}

TEST_CASE("pools come and go while others age [stress]") {
    each_workers([] {
        weir::WaitGroup wg;
        for (int i = 0; i < 4; ++i) {
            wg.go([] {
                for (std::size_t j = 0; j < stress(500); ++j) {
                    Pool<std::string> pool;
                    pool.put(std::make_unique<std::string>("x"));
                    weir::detail::age_pools();
                    if (j % 8 == 0) weir::yield();
                    pool.put(pool.get());
                }
            });
        }
        wg.wait();
    });
}

TEST_SUITE_END();
