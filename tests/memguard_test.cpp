#include "fixture.h"

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

#include <weir/chan.h>
#include <weir/memguard.h>
#include <weir/pool.h>

using weir::MemoryUse;

namespace {

/// FakeRoot is a directory with the kernel's files in it.
struct FakeRoot {
    FakeRoot() {
        char name[] = "/tmp/memguard_test.XXXXXX";
        path = ::mkdtemp(name);
    }
    ~FakeRoot() { std::filesystem::remove_all(path); }
    void write(const std::string& file, const std::string& text) const {
        std::filesystem::create_directories(std::filesystem::path(path + file).parent_path());
        std::ofstream(path + file) << text;
    }
    std::string path;
};

} // namespace

TEST_SUITE_BEGIN("memguard");

TEST_CASE("memory_use reads cgroup v2, the tightest group up to the root, without droppable cache") {
    FakeRoot root;
    root.write("/proc/self/cgroup", "0::/a/b\n");
    root.write("/sys/fs/cgroup/a/memory.max", "1000\n");
    root.write("/sys/fs/cgroup/a/memory.current", "900\n");
    root.write("/sys/fs/cgroup/a/memory.stat", "anon 600\ninactive_file 100\n");
    root.write("/sys/fs/cgroup/a/b/memory.max", "max\n");
    root.write("/sys/fs/cgroup/a/b/memory.current", "500\n");
    const MemoryUse use = weir::memory_use(root.path);
    CHECK(use.limit == 1000);
    CHECK(use.used == 800);
    CHECK(use.ratio() == doctest::Approx(0.8));
}

TEST_CASE("memory_use reads cgroup v1") {
    FakeRoot root;
    root.write("/proc/self/cgroup", "9:cpu,cpuacct:/x\n5:memory:/x\n0::/\n");
    root.write("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "4000\n");
    root.write("/sys/fs/cgroup/memory/x/memory.usage_in_bytes", "1000\n");
    root.write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    root.write("/sys/fs/cgroup/memory/memory.usage_in_bytes", "100000\n");
    CHECK(weir::memory_use(root.path).limit == 4000);
    CHECK(weir::memory_use(root.path).used == 1000);
}

TEST_CASE("without files there is no limit") {
    FakeRoot root;
    CHECK(weir::memory_use(root.path).limit == 0);
    CHECK(weir::memory_use(root.path).ratio() == 0);
    weir::memory_use(); // the real ones, whatever they are
}

TEST_CASE("the guard calls once when it gets high, once when that is over, and empties the pools") {
    each_workers([] {
        std::atomic<std::uint64_t> used{10};
        weir::chan<std::uint64_t> high, normal;
        weir::Pool<int> pool;
        pool.put(std::make_unique<int>(1));
        weir::MemoryGuard guard({.every = 100us, .read = [&] { return MemoryUse{used, 100}; }},
                                [&](const MemoryUse& use) { high.send(use.used); }, [&](const MemoryUse& use) { normal.send(use.used); });
        for (int round = 0; round < 2; ++round) {
            used = 90;
            CHECK(high.recv() == 90);
            CHECK(pool.get() == nullptr);
            used = 80; // between low and high: still high
            weir::sleep(1ms);
            CHECK_FALSE(normal.try_recv());
            used = 70;
            CHECK(normal.recv() == 70);
        }
    });
}

TEST_CASE("a handler that ends early does not end the guard; stop does") {
    each_workers([] {
        std::atomic<std::uint64_t> used{90};
        weir::chan<void> normal(1);
        weir::MemoryGuard guard({.every = 100us, .read = [&] { return MemoryUse{used, 100}; }},
                                [&](const MemoryUse&) {
                                    used = 10;
                                    weir::goexit();
                                },
                                [&](const MemoryUse&) { normal.send(); });
        normal.recv();
        guard.stop();
        CHECK(all_gone());
    });
}

TEST_CASE("low above high is refused") {
    each_workers([] {
        CHECK(panic_text([] { weir::MemoryGuard guard({.high = 0.5, .low = 0.6}, [](const MemoryUse&) {}); }) == "memory guard: low is above high");
    });
}

TEST_SUITE_END();
