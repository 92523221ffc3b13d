#include "fixture.h"

#include <any>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <weir/value.h>
#include <weir/waitgroup.h>

using weir::Value;

static_assert(!std::is_copy_constructible_v<Value<int>>);

TEST_SUITE_BEGIN("value");

TEST_CASE("a value is empty before the first store, then what was stored last") {
    each_workers([] {
        Value<std::string> v;
        CHECK_FALSE(v.load());
        v.store("42");
        CHECK(v.load() == "42");
        v.store("84");
        CHECK(*v.load() == "84");
    });
}

TEST_CASE("swap returns what was there") {
    each_workers([] {
        Value<int> v;
        CHECK_FALSE(v.swap(1));
        CHECK(v.swap(2) == 1);
        CHECK(v.load() == 2);
    });
}

TEST_CASE("compare_and_swap stores only over an equal value") {
    each_workers([] {
        Value<int> v;
        CHECK_FALSE(v.compare_and_swap(0, 1));
        CHECK_FALSE(v.load());
        v.store(0);
        CHECK_FALSE(v.compare_and_swap(1, 2));
        CHECK(v.compare_and_swap(0, 1));
        CHECK(v.load() == 1);
        Value<std::shared_ptr<int>> pointer;
        const auto one = std::make_shared<int>(1);
        CHECK(pointer.compare_and_swap(nullptr, one)); // Go: nil stands for nothing stored yet
        CHECK_FALSE(pointer.compare_and_swap(nullptr, one));
        CHECK(pointer.load() == one);
    });
}

TEST_CASE("null values panic with Go's words") {
    each_workers([] {
        int x = 0;
        Value<int*> pointer;
        Value<std::function<void()>> function;
        CHECK(panic_text([&] { pointer.store(nullptr); }) == "sync/atomic: store of nil value into Value");
        CHECK(panic_text([&] { pointer.swap(nullptr); }) == "sync/atomic: swap of nil value into Value");
        CHECK(panic_text([&] { pointer.compare_and_swap(&x, nullptr); }) == "sync/atomic: compare and swap of nil value into Value");
        CHECK(panic_text([&] { function.store(nullptr); }) == "sync/atomic: store of nil value into Value");
        CHECK_FALSE(pointer.load());
    });
}

TEST_CASE("a std::any keeps its first type") {
    each_workers([] {
        Value<std::any> v;
        CHECK(panic_text([&] { v.store({}); }) == "sync/atomic: store of nil value into Value");
        v.store(42);
        CHECK(panic_text([&] { v.store(std::string("x")); }) == "sync/atomic: store of inconsistently typed value into Value");
        CHECK(panic_text([&] { v.swap(1.5); }) == "sync/atomic: swap of inconsistently typed value into Value");
        CHECK(std::any_cast<int>(*v.load()) == 42);
    });
}

TEST_CASE("a replaced value is destroyed when nobody reads, at once; the last one with the Value") {
    each_workers([] {
        const auto first = std::make_shared<int>(1), second = std::make_shared<int>(2);
        {
            Value<std::shared_ptr<int>> v;
            for (int i = 0; i < 1000; ++i) v.load(); // destroys what other tests have left
            v.store(first);
            CHECK(first.use_count() == 2);
            v.store(second);
            CHECK(first.use_count() == 1);
            CHECK(v.compare_and_swap(second, first));
            CHECK(second.use_count() == 1);
        }
        CHECK(first.use_count() == 1);
    });
}

TEST_CASE("a copy constructor that parks delays the end of what it copies, and nothing else") {
    struct Slow {
        Slow() = default;
        Slow(const Slow& other) : id(other.id) {
            if (id == 1) weir::yield();
        }
        int id = 0;
    };
    each_workers([] {
        Value<Slow> v;
        weir::WaitGroup wg;
        for (int i = 0; i < 4; ++i) {
            wg.go([&, i] {
                for (std::size_t j = 0; j < stress(200); ++j) {
                    Slow fresh;
                    fresh.id = static_cast<int>(j) % 2;
                    if (i == 0) v.store(fresh);
                    if (auto got = v.load()) CHECK((got->id == 0 || got->id == 1));
                }
            });
        }
        wg.wait();
    });
}

// Go's TestValueConcurrent: a reader never sees half a value.
TEST_CASE("readers see whole values while writers store, swap and compare [stress]") {
    each_workers([] {
        using Pair = std::pair<std::string, std::string>;
        auto make = [](std::size_t i) { return Pair(std::string(i % 40, 'x'), std::string(i % 40, 'x')); };
        Value<Pair> v;
        v.store(make(0));
        std::atomic<bool> stop{false};
        weir::WaitGroup readers, writers;
        auto read = [&] {
            while (!stop) {
                auto got = v.load();
                CHECK(got->first == got->second);
                weir::yield();
            }
        };
        for (int i = 0; i < 4; ++i) readers.go(read);
        std::thread plain(read);
        for (std::size_t w = 0; w < 3; ++w) {
            writers.go([&, w] {
                for (std::size_t i = 0; i < stress(10'000); ++i) {
                    if (w == 0) v.store(make(i));
                    if (w == 1) CHECK(v.swap(make(i))->first.size() < 40);
                    if (w == 2) v.compare_and_swap(*v.load(), make(i));
                    if (i % 16 == 0) weir::yield();
                }
            });
        }
        writers.wait();
        stop = true;
        readers.wait();
        weir::blocking([&] { plain.join(); });
    });
}

TEST_CASE("compare_and_swap counts right from many fibers [stress]") {
    each_workers([] {
        Value<int> v;
        v.store(0);
        weir::WaitGroup wg;
        const int rounds = static_cast<int>(stress(2000));
        for (int i = 0; i < 4; ++i) {
            wg.go([&] {
                for (int j = 0; j < rounds;) {
                    const int seen = *v.load();
                    if (v.compare_and_swap(seen, seen + 1)) ++j;
                    if (j % 32 == 0) weir::yield();
                }
            });
        }
        wg.wait();
        CHECK(v.load() == 4 * rounds);
    });
}

TEST_CASE("values do not pile up while readers never pause [stress]") {
    each_workers([] {
        static std::atomic<int> live{0};
        struct Counted {
            Counted() { ++live; }
            Counted(const Counted&) { ++live; }
            ~Counted() { --live; }
        };
        live = 0;
        {
            Value<Counted> v;
            v.store({});
            std::atomic<bool> stop{false};
            weir::WaitGroup wg;
            for (int i = 0; i < 4; ++i) {
                wg.go([&] {
                    while (!stop) {
                        for (int j = 0; j < 100; ++j) v.load();
                        weir::yield();
                    }
                });
            }
            for (std::size_t i = 0; i < stress(50'000); ++i) {
                v.store({});
                if (i % 64 == 0) weir::yield();
            }
            // While the kernel holds a reader up in a load, nothing is destroyed; then everything is, though others read.
            CHECK(eventually([&] {
                v.store({});
                return live < 100;
            }));
            stop = true;
            wg.wait();
        }
        Value<int> later; // a use of any Value destroys what the last stores could not
        CHECK(eventually([&] {
            later.load();
            return live == 0;
        }));
    });
}

TEST_SUITE_END();
