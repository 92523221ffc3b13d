// The shape of the costs: the same operation among few fibers and among a million, over one channel and over a hundred thousand.
#include <algorithm>
#include <atomic>
#include <string_view>
#include <vector>

#include <weir/chan.h>
#include <weir/go.h>
#include <weir/waitgroup.h>

#include "workloads.h"

namespace perf {

using weir::chan;

namespace {

/// yield_among times the yields of so many fibers: from the moment when all of them are in one to the end of the last.
void yield_among(Bench& bench, std::string_view part, std::int64_t fibers, std::int64_t each) {
    std::vector<std::int32_t> done(static_cast<std::size_t>(fibers));
    std::atomic<std::int64_t> yielding = 0;
    Clock::time_point start;
    chan<void> gate;
    weir::WaitGroup arrived, left;
    arrived.add(static_cast<int>(fibers));
    left.add(static_cast<int>(fibers));
    for (std::int32_t& count : done) {
        weir::go([&, gate]() mutable {
            arrived.done();
            gate.recv();
            if (yielding.fetch_add(1) + 1 == fibers) start = Clock::now();
            while (yielding.load() < fibers) weir::yield();
            for (; count < each; ++count) weir::yield();
            left.done();
        });
    }
    arrived.wait();
    gate.close();
    left.wait();
    const std::int64_t yields = fibers * (each + 1); // one of the wait for the others is still to come back from
    bench.report(part, ns(Clock::now() - start) / static_cast<double>(yields), "ns", yields);
    bench.expect("fibers that yielded that often", marked(done, static_cast<std::int32_t>(each)), fibers);
}

/// hand_over_by sends from one fiber to another, by each of so many channels in turn.
void hand_over_by(Bench& bench, std::string_view part, std::int64_t channels, std::int64_t n) {
    std::vector<chan<std::int64_t>> by(static_cast<std::size_t>(channels));
    std::int64_t sum = 0;
    weir::WaitGroup sender;
    const auto start = Clock::now();
    sender.go([&] {
        for (std::int64_t i = 0; i < n; ++i) by[static_cast<std::size_t>(i % channels)].send(i);
    });
    for (std::int64_t i = 0; i < n; ++i) sum += by[static_cast<std::size_t>(i % channels)].recv();
    bench.report(part, ns(Clock::now() - start) / static_cast<double>(n), "ns", n);
    sender.wait();
    bench.expect("sum received", sum, sum_below(n));
}

} // namespace

void shape_yield(Bench& bench) {
    const std::int64_t yields = bench.count(3'000'000, 1000);
    const auto among = [&](std::string_view part, std::int64_t full) {
        const std::int64_t fibers = bench.count(full, 10);
        yield_among(bench, part, fibers, std::max<std::int64_t>(yields / fibers, 3));
    };
    among("10", 10);
    among("1k", 1000);
    among("100k", 100'000);
    among("1m", 1'000'000);
}

void shape_channels(Bench& bench) {
    const std::int64_t n = bench.count(1'000'000, 1000);
    hand_over_by(bench, "1", 1, n);
    hand_over_by(bench, "1k", bench.count(1000, 10), n);
    hand_over_by(bench, "100k", bench.count(100'000, 10), n);
}

} // namespace perf
