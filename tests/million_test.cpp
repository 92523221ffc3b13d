// A million fibers, each parked on a channel with a guarded stack of its own.
#include "fixture.h"

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <string>

#include <weir/chan.h>

TEST_SUITE_BEGIN("million");

namespace {

constexpr std::size_t kMillion = 1000000;

/// kib reads one line of a /proc file such as "VmPTE:  1234 kB".
std::size_t kib(const char* file, const std::string& key) {
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
        if (starts_with(line, key + ":")) return std::strtoull(line.c_str() + key.size() + 1, nullptr, 10);
    }
    return 0;
}

/// why_not tells what this machine or build lacks for the test, or "".
const char* why_not() {
    if (slow_build()) return "skipped: a sanitizer or Valgrind needs more memory for each stack than this machine has";
    if (kib("/proc/meminfo", "MemAvailable") < 6 * 1024 * 1024) return "skipped: needs 6 GiB of free memory";
    return "";
}

} // namespace

TEST_CASE("a million parked fibers: under 1,000 mappings, at most 4.8 KiB each, and all wake") {
    if (*why_not() != 0) {
        MESSAGE(why_not());
        return;
    }
    each_workers([] {
        weir::chan<int> gate;
        weir::chan<std::size_t> numbers(1000);
        std::atomic<std::size_t> parked{0};
        for (std::size_t i = 0; i < kMillion; ++i) {
            weir::go([=, &parked] {
                parked.fetch_add(1, std::memory_order_relaxed);
                gate.recv();
                numbers.send(i);
            });
        }
        REQUIRE(eventually([&] { return parked == kMillion; }, 60s));
        CHECK(weir::num_fibers() == kMillion + 1);

        const std::size_t maps = mappings();
        const double each = static_cast<double>(resident_bytes()) / kMillion;
        const double tables = static_cast<double>(kib("/proc/self/status", "VmPTE")) * 1024 / kMillion;
        MESSAGE(maps, " mappings, ", each, " bytes of RSS and ", tables, " of page tables for each fiber");
        CHECK(maps < 1000);
        CHECK(each <= 4.8 * 1024);

        gate.close();
        std::size_t sum = 0;
        for (std::size_t i = 0; i < kMillion; ++i) sum += numbers.recv();
        CHECK(sum == kMillion * (kMillion - 1) / 2);
        CHECK(all_gone());
    });
}

TEST_SUITE_END();
