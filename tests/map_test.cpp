#include "fixture.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include <weir/map.h>
#include <weir/mutex.h>
#include <weir/waitgroup.h>

using weir::Map;

static_assert(!std::is_copy_constructible_v<Map<int, int>>);

namespace {

/// Hashes that are as bad as can be: all alike, two kinds, only in the top bits.
struct Constant {
    std::size_t operator()(int) const { return 42; }
};
struct TwoKinds {
    std::size_t operator()(int key) const { return static_cast<std::size_t>(key & 1); }
};
struct TopBits {
    std::size_t operator()(int key) const { return static_cast<std::size_t>(key) << 52; }
};

template <class M>
std::size_t count(const M& map) {
    std::size_t n = 0;
    map.range([&](const auto&, const auto&) { ++n; });
    return n;
}

/// LockedMap does what Map does, plainly.
struct LockedMap {
    std::optional<int> load(int key) const {
        auto found = all.find(key);
        return found == all.end() ? std::nullopt : std::optional(found->second);
    }
    std::optional<int> swap(int key, int value) {
        auto previous = load(key);
        all[key] = value;
        return previous;
    }
    std::pair<int, bool> load_or_store(int key, int value) {
        if (auto found = load(key)) return {*found, true};
        all[key] = value;
        return {value, false};
    }
    std::optional<int> load_and_delete(int key) {
        auto found = load(key);
        all.erase(key);
        return found;
    }
    bool compare_and_swap(int key, int old, int value) {
        if (load(key) != old) return false;
        all[key] = value;
        return true;
    }
    bool compare_and_delete(int key, int old) { return load(key) == old && all.erase(key) == 1; }
    std::unordered_map<int, int> all;
};

/// random_step does one random operation on both and compares.
template <class M>
void random_step(std::mt19937& random, M& map, LockedMap& model) {
    const int key = static_cast<int>(random() % 64);
    const int value = static_cast<int>(random() % 4);
    const int old = static_cast<int>(random() % 4);
    switch (random() % 100) {
    case 0:
        map.clear();
        model.all.clear();
        return;
    default: break;
    }
    switch (random() % 8) {
    case 0: CHECK(map.load(key) == model.load(key)); break;
    case 1:
        map.store(key, value);
        model.swap(key, value);
        break;
    case 2: CHECK(map.swap(key, value) == model.swap(key, value)); break;
    case 3: CHECK(map.load_or_store(key, value) == model.load_or_store(key, value)); break;
    case 4: CHECK(map.load_and_delete(key) == model.load_and_delete(key)); break;
    case 5: CHECK(map.erase(key) == model.load_and_delete(key).has_value()); break;
    case 6: CHECK(map.compare_and_swap(key, old, value) == model.compare_and_swap(key, old, value)); break;
    case 7: CHECK(map.compare_and_delete(key, old) == model.compare_and_delete(key, old)); break;
    default: break;
    }
}

template <class M>
void equals_model(unsigned seed) {
    std::mt19937 random(seed);
    M map;
    LockedMap model;
    for (std::size_t i = 0; i < stress(10'000); ++i) {
        random_step(random, map, model);
        if (i % 100 != 0) continue;
        std::unordered_map<int, int> seen;
        map.range([&](int key, int value) { CHECK(seen.emplace(key, value).second); });
        CHECK(seen == model.all);
    }
}

} // namespace

TEST_SUITE_BEGIN("map");

TEST_CASE("what is stored is there until it is erased") {
    each_workers([] {
        Map<std::string, std::string> map;
        CHECK_FALSE(map.load("a"));
        map.store("a", "1");
        CHECK(map.load("a") == "1");
        map.store("a", "2");
        CHECK(map.load("a") == "2");
        CHECK(map.swap("b", "3") == std::nullopt);
        CHECK(map.swap("b", "4") == "3");
        CHECK(map.load_or_store("b", "5") == std::pair<std::string, bool>("4", true));
        CHECK(map.load_or_store("c", "6") == std::pair<std::string, bool>("6", false));
        CHECK(map.load_and_delete("c") == "6");
        CHECK_FALSE(map.load_and_delete("c"));
        CHECK(map.erase("a"));
        CHECK_FALSE(map.erase("a"));
        CHECK(count(map) == 1);
        map.clear();
        CHECK(count(map) == 0);
        CHECK_FALSE(map.load("b"));
    });
}

TEST_CASE("compare_and_swap and compare_and_delete want the key there, with an equal value [b83]") {
    each_workers([] {
        Map<int, std::string> map;
        CHECK_FALSE(map.compare_and_swap(1, "", "x"));
        CHECK_FALSE(map.load(1));
        CHECK_FALSE(map.compare_and_delete(1, ""));
        map.store(1, "a");
        CHECK_FALSE(map.compare_and_swap(1, "b", "c"));
        CHECK(map.compare_and_swap(1, "a", "b"));
        CHECK_FALSE(map.compare_and_delete(1, "a"));
        CHECK(map.compare_and_delete(1, "b"));
        CHECK_FALSE(map.load(1));
    });
}

TEST_CASE("random operations give what a plain map gives, with good hashes and bad [b83]") {
    each_workers([] {
        for (unsigned seed = 1; seed <= 3; ++seed) {
            equals_model<Map<int, int>>(seed);
            equals_model<Map<int, int, Constant>>(seed);
            equals_model<Map<int, int, TwoKinds>>(seed);
            equals_model<Map<int, int, TopBits>>(seed);
        }
    });
}

TEST_CASE("a map grows, shrinks and is used again") {
    each_workers([] {
        Map<std::size_t, std::size_t> map;
        const std::size_t n = stress(20'000);
        for (int round = 0; round < 2; ++round) {
            for (std::size_t i = 0; i < n; ++i) map.store(i, i);
            CHECK(count(map) == n);
            for (std::size_t i = 0; i < n; ++i) CHECK(map.load(i) == i);
            for (std::size_t i = 0; i < n; ++i) CHECK(map.erase(i));
            CHECK(count(map) == 0);
        }
    });
}

TEST_CASE("erased and replaced values are destroyed at once when nobody reads") {
    each_workers([] {
        const auto value = std::make_shared<int>(1);
        Map<int, std::shared_ptr<int>> map;
        for (int i = 0; i < 1000; ++i) map.load(i); // destroys what other tests have left
        for (int i = 0; i < 100; ++i) map.store(i, value);
        CHECK(value.use_count() == 101);
        map.erase(0);
        map.store(1, nullptr);
        map.load_and_delete(2);
        CHECK(map.compare_and_swap(3, value, nullptr));
        CHECK(value.use_count() == 97);
        map.clear();
        CHECK(value.use_count() == 1);
    });
}

TEST_CASE("range may be nested, stopped, and change the map it walks [b84]") {
    each_workers([] {
        Map<int, int> map;
        for (int i = 0; i < 100; ++i) map.store(i, i);
        int calls = 0;
        map.range([&](int, int) { return ++calls < 10; });
        CHECK(calls == 10);
        std::set<int> seen;
        map.range([&](int key, int value) {
            CHECK(key % 1000 == value);
            CHECK(seen.insert(key).second);
            int inner = 0;
            map.range([&](int, int) { return ++inner < 3; });
            if (key >= 1000) return;
            CHECK(map.erase(key));
            map.store(key + 1000, key); // may be seen or not
        });
        for (int key = 0; key < 100; ++key) CHECK(seen.count(key) == 1); // nobody was passed over
        map.range([&](int key, int) {
            map.erase(key);
            map.clear();
        });
        CHECK(count(map) == 0);
    });
}

TEST_CASE("a callback that parks holds nobody up") {
    each_workers([] {
        Map<int, int> map;
        for (int i = 0; i < 10; ++i) map.store(i, i);
        weir::WaitGroup wg;
        for (int i = 0; i < 4; ++i) {
            wg.go([&, i] {
                map.range([&](int key, int) {
                    weir::yield();
                    map.store(key, i);
                });
            });
        }
        wg.wait();
        CHECK(count(map) == 10);
    });
}

TEST_CASE("an operator== that panics leaves the map as it was, and usable") {
    struct Touchy {
        bool operator==(const Touchy& other) const {
            if (id != other.id) weir::panic("no comparison");
            return true;
        }
        int id = 0;
    };
    each_workers([] {
        Map<int, Touchy> map;
        map.store(1, {1});
        CHECK(panic_text([&] { map.compare_and_swap(1, {2}, {3}); }) == "no comparison");
        CHECK(panic_text([&] { map.compare_and_delete(1, {2}); }) == "no comparison");
        CHECK(map.load(1)->id == 1);
        CHECK(map.erase(1));
    });
}

// Go's TestConcurrentRange, with 1024 keys and 1024 ranges.
TEST_CASE("under stores each of 1024 stable keys is visited exactly once [b84][stress]") {
    each_workers([] {
        constexpr std::int64_t kKeys = 1024;
        Map<std::int64_t, std::int64_t> map;
        for (std::int64_t n = 1; n <= kKeys; ++n) map.store(n, n);
        std::atomic<bool> stop{false};
        weir::WaitGroup wg;
        for (std::int64_t g = 0; g < 4; ++g) {
            wg.go([&, g] {
                for (std::int64_t i = 0; !stop; ++i) {
                    for (std::int64_t n = 1; n < kKeys && !stop; ++n) {
                        if (n % 4 == g) map.store(n, n * i * g + n); // a multiple of n
                        if (n % 64 == 0) weir::yield();
                        if (n % 4 == g) map.store(-n, 0), map.erase(-n); // comes and goes
                    }
                }
            });
        }
        for (std::size_t round = stress(1024); round > 0; --round) {
            std::vector<bool> seen(kKeys + 1);
            std::int64_t stable = 0;
            map.range([&](std::int64_t key, std::int64_t value) {
                if (key < 0) return true;
                CHECK(value % key == 0);
                CHECK_FALSE(seen[static_cast<std::size_t>(key)]);
                seen[static_cast<std::size_t>(key)] = true;
                if (++stable % 256 == 0) weir::yield(); // so that one worker stores in the middle of a range, too
                return true;
            });
            CHECK(stable == kKeys);
        }
        stop = true;
        wg.wait();
    });
}

TEST_CASE("increments by compare_and_swap are all there, on colliding keys too [stress]") {
    auto body = [](auto& map) {
        constexpr int kKeys = 4;
        for (int key = 0; key < kKeys; ++key) map.store(key, 0);
        const int rounds = static_cast<int>(stress(2000));
        auto work = [&map, rounds] {
            for (int i = 0; i < rounds;) {
                const int key = i % kKeys;
                const int seen = *map.load(key);
                if (map.compare_and_swap(key, seen, seen + 1)) ++i;
                if (i % 16 == 0) weir::yield();
            }
        };
        weir::WaitGroup wg;
        for (int i = 0; i < 4; ++i) wg.go(work);
        std::thread plain(work);
        wg.wait();
        weir::blocking([&] { plain.join(); });
        int sum = 0;
        map.range([&](int, int value) { sum += value; });
        CHECK(sum == 5 * rounds);
    };
    each_workers([&] {
        Map<int, int> good;
        body(good);
        Map<int, int, Constant> bad;
        body(bad);
    });
}

TEST_CASE("of those who load_or_store or load_and_delete a key at once, one wins [stress]") {
    each_workers([] {
        for (std::size_t round = 0; round < stress(500); ++round) {
            Map<int, int> map;
            std::atomic<int> stored{0}, deleted{0};
            weir::WaitGroup wg;
            for (int i = 0; i < 6; ++i) {
                wg.go([&, i] {
                    for (int key = 0; key < 8; ++key) stored += !map.load_or_store(key, i).second;
                });
            }
            wg.wait();
            CHECK(stored == 8);
            for (int i = 0; i < 6; ++i) {
                wg.go([&] {
                    for (int key = 0; key < 8; ++key) deleted += map.load_and_delete(key).has_value();
                });
            }
            wg.wait();
            CHECK(deleted == 8);
            CHECK(count(map) == 0);
        }
    });
}

// Nodes come and go all the time here: two keys whose hashes part far down, over and over.
TEST_CASE("stores and erases race with the removal of emptied nodes [stress]") {
    struct Close {
        // The inverse of HashTrie::spread's factor: the spread hash is the key itself, so that small keys part at the bottom only.
        std::size_t operator()(std::uint64_t key) const { return key * 0xf1de83e19937733d; }
    };
    static_assert(0x9e3779b97f4a7c15u * 0xf1de83e19937733du == 1);
    each_workers([] {
        Map<std::uint64_t, int, Close> map;
        std::atomic<int> balance[4] = {};
        weir::WaitGroup wg;
        for (unsigned i = 0; i < 6; ++i) {
            wg.go([&, i] {
                std::mt19937 random(i);
                for (std::size_t j = 0; j < stress(10'000); ++j) {
                    const std::uint64_t key = random() % 4;
                    if (random() % 2 == 0) {
                        balance[key] += !map.load_or_store(key, 1).second;
                    } else {
                        balance[key] -= map.erase(key);
                    }
                    if (j % 32 == 0) weir::yield();
                }
            });
        }
        wg.wait();
        for (std::uint64_t key = 0; key < 4; ++key) CHECK(balance[key] == (map.load(key) ? 1 : 0));
    });
}

TEST_CASE("clear races with everything: what came before is gone, what comes after stays [stress]") {
    each_workers([] {
        Map<int, std::string> map;
        std::atomic<bool> stop{false};
        weir::WaitGroup wg;
        for (int i = 0; i < 4; ++i) {
            wg.go([&, i] {
                for (int j = 0; !stop; ++j) {
                    map.store(i * 16 + j % 16, std::string(30, 'x'));
                    map.erase(j % 64);
                    if (auto v = map.load(j % 64)) CHECK(v->size() == 30);
                    if (j % 16 == 0) weir::yield();
                }
            });
        }
        for (std::size_t round = 0; round < stress(2000); ++round) {
            map.clear();
            map.store(1000, "here");
            CHECK(map.load(1000) == "here");
            if (round % 4 == 0) weir::yield();
        }
        stop = true;
        wg.wait();
        map.clear();
        CHECK(count(map) == 0);
    });
}

TEST_SUITE_END();
