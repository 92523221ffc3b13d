// Many items through one channel: one producer and one consumer, four and four, a hundred and one, and all in one fiber.
// A buffered_channel of capacity c holds c - 1 items.
#include <array>
#include <numeric>

#include <boost/fiber/buffered_channel.hpp>
#include <boost/fiber/unbuffered_channel.hpp>

#include "workloads.h"

namespace perf {

namespace fibers = boost::fibers;
using Channel = fibers::buffered_channel<std::int64_t>;

void spsc(Bench& bench, std::size_t capacity) {
    bench.per_op(bench.count(5'000'000, 1000), [&](std::int64_t n) {
        Channel c(capacity);
        fibers::fiber producer([&] {
            for (std::int64_t i = 0; i < n; ++i) c.push(i);
            c.close();
        });
        std::int64_t sum = 0;
        for (std::int64_t v : c) sum += v;
        producer.join();
        bench.expect("sum received", sum, sum_below(n));
    });
}

void mpmc_4x4(Bench& bench, std::size_t capacity) {
    static constexpr std::int64_t kSide = 4;
    bench.per_op(bench.count(1'000'000, 1000) * kSide, [&](std::int64_t n) {
        const std::int64_t share = n / kSide;
        Channel c(capacity);
        std::array<std::int64_t, kSide> sums{};
        std::vector<fibers::fiber> producers, consumers;
        for (std::int64_t i = 0; i < kSide; ++i) {
            producers.emplace_back([&c, first = i * share, share] {
                for (std::int64_t v = first; v < first + share; ++v) c.push(v);
            });
            consumers.emplace_back([&c, &total = sums[static_cast<std::size_t>(i)]] {
                std::int64_t sum = 0;
                for (std::int64_t v : c) sum += v;
                total = sum;
            });
        }
        join(producers);
        c.close();
        join(consumers);
        bench.expect("sum received", std::accumulate(sums.begin(), sums.end(), std::int64_t{0}), sum_below(share * kSide));
    });
}

/// fan_in_100: a hundred fibers push to one unbuffered channel.
void fan_in_100(Bench& bench) {
    static constexpr std::int64_t kSenders = 100;
    bench.per_op(bench.count(20'000, 10) * kSenders, [&](std::int64_t n) {
        const std::int64_t share = n / kSenders;
        fibers::unbuffered_channel<std::int64_t> c;
        std::vector<fibers::fiber> senders;
        for (std::int64_t i = 0; i < kSenders; ++i) {
            senders.emplace_back([&c, share] {
                for (std::int64_t v = 0; v < share; ++v) c.push(v);
            });
        }
        std::int64_t sum = 0;
        for (std::int64_t i = 0; i < share * kSenders; ++i) sum += c.value_pop();
        join(senders);
        bench.expect("sum received", sum, sum_below(share) * kSenders);
    });
}

/// range: one fiber fills a channel with a thousand items, closes it and ranges over it; nothing blocks.
void range(Bench& bench) {
    static constexpr std::int64_t kItems = 1000;
    bench.per_op(bench.count(10'000, 1) * kItems, [&](std::int64_t n) {
        std::int64_t sum = 0;
        for (std::int64_t i = 0; i < n / kItems; ++i) {
            Channel c(1024);
            for (std::int64_t v = 0; v < kItems; ++v) c.push(v);
            c.close();
            for (std::int64_t v : c) sum += v;
        }
        bench.expect("sum received", sum, n / kItems * sum_below(kItems));
    });
}

} // namespace perf
