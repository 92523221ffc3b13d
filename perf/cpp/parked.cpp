// A million fibers parked on one channel: what each costs in memory, to create, and to wake and join.
#include <vector>

#include <weir/chan.h>
#include <weir/go.h>
#include <weir/waitgroup.h>

#include "memory.h"
#include "workloads.h"

namespace perf {

void parked_million(Bench& bench) {
    const std::int64_t n = bench.count(1'000'000, 1000);
    const auto each = static_cast<double>(n);
    std::vector<std::int32_t> slots(1000);
    spawn_and_join(slots, 1);
    slots.assign(static_cast<std::size_t>(n), 0);

    weir::chan<void> gate;
    weir::WaitGroup arrived, left;
    arrived.add(static_cast<int>(n));
    left.add(static_cast<int>(n));
    const Memory before = memory_now();
    auto start = Clock::now();
    for (std::int32_t& slot : slots) {
        weir::go([&arrived, &left, gate, &slot]() mutable {
            arrived.done();
            gate.recv();
            slot = 1;
            left.done();
        });
    }
    arrived.wait();
    bench.report("create", ns(Clock::now() - start) / each, "ns", n);

    const Memory after = memory_now();
    bench.report("rss", static_cast<double>(after.rss - before.rss) / each, "bytes", n);
    bench.report("page_tables", static_cast<double>(after.page_tables - before.page_tables) / each, "bytes", n);

    bench.expect("woken too early", marked(slots, 1), 0);
    start = Clock::now();
    gate.close();
    left.wait();
    bench.report("wake", ns(Clock::now() - start) / each, "ns", n);
    bench.expect("fibers woken", marked(slots, 1), n);
}

} // namespace perf
