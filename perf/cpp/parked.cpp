// A million fibers parked on one channel: what each costs in memory, to create, and to wake and join, and what they cost while nothing happens.
#include <mutex>
#include <thread>
#include <vector>

#include <weir/chan.h>
#include <weir/go.h>
#include <weir/mutex.h>
#include <weir/waitgroup.h>

#include "usage.h"
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

/// idle_million: the processor time used while all of a million fibers are parked. Taken by a plain thread, so that nobody is woken for it; whatever
/// is still to be done about the fibers' creation has half a second.
void idle_million(Bench& bench) {
    const std::int64_t n = bench.count(1'000'000, 1000);
    const auto nap = std::chrono::milliseconds(bench.count(2000, 100));
    std::int64_t woken = 0; // guarded by mu
    weir::Mutex mu;
    weir::chan<void> gate;
    weir::WaitGroup arrived, left;
    arrived.add(static_cast<int>(n));
    for (std::int64_t i = 0; i < n; ++i) {
        left.go([&, gate]() mutable {
            arrived.done();
            gate.recv();
            const std::lock_guard lock(mu);
            ++woken;
        });
    }
    arrived.wait();
    weir::chan<double> us_a_second;
    std::thread watcher([nap, us_a_second]() mutable {
        std::this_thread::sleep_for(nap / 4);
        const auto start = Clock::now();
        const auto before = cpu_time();
        std::this_thread::sleep_for(nap);
        const auto used = cpu_time() - before;
        us_a_second.send(1e6 * ns(used) / ns(Clock::now() - start));
    });
    bench.report("", us_a_second.recv(), "CPU us/s", n);
    watcher.join();

    gate.close();
    left.wait();
    bench.expect("fibers woken", woken, n);
}

} // namespace perf
