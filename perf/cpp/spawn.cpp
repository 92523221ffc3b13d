// Spawn and join: what a fiber costs from `go` to done().
#include <algorithm>
#include <string_view>
#include <vector>

#include <weir/go.h>
#include <weir/waitgroup.h>

#include "workloads.h"

namespace perf {

void spawn_and_join(std::span<std::int32_t> slots, std::int32_t mark) {
    weir::WaitGroup wg;
    wg.add(static_cast<int>(slots.size()));
    for (std::int32_t& slot : slots) {
        weir::go([&wg, &slot, mark] {
            slot = mark;
            wg.done();
        });
    }
    wg.wait();
}

std::int64_t marked(std::span<const std::int32_t> slots, std::int32_t mark) { return std::ranges::count(slots, mark); }

void spawn_one(Bench& bench) {
    bench.per_op(bench.count(2'000'000, 1000), [&](std::int64_t n) {
        std::int64_t ran = 0;
        for (std::int64_t i = 0; i < n; ++i) {
            weir::WaitGroup wg;
            wg.go([&ran] { ++ran; });
            wg.wait();
        }
        bench.expect("fibers that ran", ran, n);
    });
}

void spawn_burst(Bench& bench) {
    static constexpr std::int64_t kBurst = 1000;
    std::vector<std::int32_t> slots(kBurst);
    std::int32_t mark = 0;
    bench.per_op(bench.count(1000, 3) * kBurst, [&](std::int64_t n) {
        for (std::int64_t i = 0; i < n / kBurst; ++i) {
            ++mark;
            spawn_and_join(slots, mark);
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

} // namespace perf
