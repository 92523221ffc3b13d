// Many items through one channel: one producer and one consumer, four and four, a hundred and one, and all in one fiber.
#include <array>
#include <cstddef>
#include <numeric>

#include <weir/chan.h>
#include <weir/go.h>
#include <weir/waitgroup.h>

#include "workloads.h"

namespace perf {

using weir::chan;

namespace {

void spsc(Bench& bench, std::int64_t items, std::ptrdiff_t capacity) {
    bench.per_op(items, [&](std::int64_t n) {
        chan<std::int64_t> c(capacity);
        weir::go([c, n]() mutable {
            for (std::int64_t i = 0; i < n; ++i) c.send(i);
            c.close();
        });
        std::int64_t sum = 0;
        for (std::int64_t v : c) sum += v;
        bench.expect("sum received", sum, sum_below(n));
    });
}

} // namespace

void spsc_128(Bench& bench) { spsc(bench, bench.count(5'000'000, 1000), 128); }

void spsc_1(Bench& bench) { spsc(bench, bench.count(1'000'000, 1000), 1); }

void mpmc_4x4(Bench& bench, std::ptrdiff_t capacity) {
    static constexpr std::int64_t kSide = 4;
    bench.per_op(bench.count(1'000'000, 1000) * kSide, [&](std::int64_t n) {
        const std::int64_t share = n / kSide;
        chan<std::int64_t> c(capacity);
        weir::WaitGroup producers, consumers;
        producers.add(kSide);
        consumers.add(kSide);
        std::array<std::int64_t, kSide> sums{};
        for (std::int64_t i = 0; i < kSide; ++i) {
            weir::go([&producers, c, first = i * share, share]() mutable {
                for (std::int64_t v = first; v < first + share; ++v) c.send(v);
                producers.done();
            });
            weir::go([&consumers, c, &total = sums[static_cast<std::size_t>(i)]]() mutable {
                std::int64_t sum = 0;
                for (std::int64_t v : c) sum += v;
                total = sum;
                consumers.done();
            });
        }
        producers.wait();
        c.close();
        consumers.wait();
        bench.expect("sum received", std::accumulate(sums.begin(), sums.end(), std::int64_t{0}), sum_below(share * kSide));
    });
}

/// fan_in_100: a hundred fibers send on one unbuffered channel.
void fan_in_100(Bench& bench) {
    static constexpr std::int64_t kSenders = 100;
    bench.per_op(bench.count(20'000, 10) * kSenders, [&](std::int64_t n) {
        const std::int64_t share = n / kSenders;
        chan<std::int64_t> c;
        for (std::int64_t i = 0; i < kSenders; ++i) {
            weir::go([c, share]() mutable {
                for (std::int64_t v = 0; v < share; ++v) c.send(v);
            });
        }
        std::int64_t sum = 0;
        for (std::int64_t i = 0; i < share * kSenders; ++i) sum += c.recv();
        bench.expect("sum received", sum, sum_below(share) * kSenders);
    });
}

/// range: one fiber fills a channel with a thousand items, closes it and ranges over it; nothing blocks.
void range(Bench& bench) {
    static constexpr std::int64_t kItems = 1000;
    bench.per_op(bench.count(10'000, 1) * kItems, [&](std::int64_t n) {
        std::int64_t sum = 0;
        for (std::int64_t i = 0; i < n / kItems; ++i) {
            chan<std::int64_t> c(kItems);
            for (std::int64_t v = 0; v < kItems; ++v) c.send(v);
            c.close();
            for (std::int64_t v : c) sum += v;
        }
        bench.expect("sum received", sum, n / kItems * sum_below(kItems));
    });
}

} // namespace perf
