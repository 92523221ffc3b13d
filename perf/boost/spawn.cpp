// Spawn and join, and a hundred thousand fibers parked.
#include <algorithm>
#include <atomic>
#include <span>
#include <string_view>

#include <boost/fiber/operations.hpp>
#include <boost/fiber/unbuffered_channel.hpp>

#include "usage.h"
#include "workloads.h"

namespace perf {

namespace fibers = boost::fibers;

namespace {

/// spawn_and_join starts one fiber for each slot, which marks its slot, and waits for all.
void spawn_and_join(std::span<std::int32_t> slots, std::int32_t mark) {
    std::vector<fibers::fiber> all;
    all.reserve(slots.size());
    for (std::int32_t& slot : slots) all.emplace_back([&slot, mark] { slot = mark; });
    join(all);
}

std::int64_t marked(std::span<const std::int32_t> slots, std::int32_t mark) { return std::ranges::count(slots, mark); }

} // namespace

void spawn_one(Bench& bench) {
    bench.per_op(bench.count(2'000'000, 1000), [&](std::int64_t n) {
        std::int64_t ran = 0;
        for (std::int64_t i = 0; i < n; ++i) fibers::fiber([&ran] { ++ran; }).join();
        bench.expect("fibers that ran", ran, n);
    });
}

void spawn_burst(Bench& bench) {
    static constexpr std::int64_t kBurst = 1000;
    std::vector<std::int32_t> slots(kBurst);
    std::int32_t mark = 0;
    bench.per_op(bench.count(1000, 3) * kBurst, [&](std::int64_t n) {
        for (std::int64_t i = 0; i < n / kBurst; ++i) {
            spawn_and_join(slots, ++mark);
            bench.expect("fibers that ran", marked(slots, mark), kBurst);
        }
    });
}

void spawn_million(Bench& bench) {
    const std::int64_t n = bench.count(1'000'000, 1000);
    std::vector<std::int32_t> slots(static_cast<std::size_t>(n));
    std::int32_t mark = 1;
    spawn_and_join(std::span(slots).first(slots.size() / 10), mark);
    for (std::string_view part : {"", "again"}) {
        ++mark;
        const auto start = Clock::now();
        spawn_and_join(slots, mark);
        bench.report(part, ns(Clock::now() - start) / static_cast<double>(n), "ns", n);
        bench.expect("fibers that ran", marked(slots, mark), n);
    }
}

/// parked_million parks a tenth of what its name says: a million would take minutes.
void parked_million(Bench& bench) {
    const std::int64_t n = bench.count(100'000, 1000);
    const auto each = static_cast<double>(n);
    std::vector<std::int32_t> slots(static_cast<std::size_t>(n));
    fibers::unbuffered_channel<int> gate;
    std::atomic<std::int64_t> arrived = 0;
    std::vector<fibers::fiber> all;
    all.reserve(slots.size());
    const Memory before = memory_now();
    auto start = Clock::now();
    for (std::int32_t& slot : slots) {
        all.emplace_back([&gate, &arrived, &slot] {
            ++arrived;
            int never = 0;
            gate.pop(never);
            slot = 1;
        });
    }
    while (arrived < n) boost::this_fiber::yield();
    bench.report("create", ns(Clock::now() - start) / each, "ns", n);

    const Memory after = memory_now();
    bench.report("rss", static_cast<double>(after.rss - before.rss) / each, "bytes", n);
    bench.report("page_tables", static_cast<double>(after.page_tables - before.page_tables) / each, "bytes", n);

    bench.expect("woken too early", marked(slots, 1), 0);
    start = Clock::now();
    gate.close();
    join(all);
    bench.report("wake", ns(Clock::now() - start) / each, "ns", n);
    bench.expect("fibers woken", marked(slots, 1), n);
}

} // namespace perf
