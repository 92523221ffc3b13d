// Handing the processor over: yields, a round trip between two fibers, a token around a ring.
#include <array>
#include <memory>

#include <boost/fiber/operations.hpp>
#include <boost/fiber/unbuffered_channel.hpp>

#include "workloads.h"

namespace perf {

namespace fibers = boost::fibers;
using Channel = fibers::unbuffered_channel<std::int64_t>;

void yield(Bench& bench) {
    static constexpr std::int64_t kFibers = 4;
    bench.per_op(bench.count(1'000'000, 100) * kFibers, [&](std::int64_t n) {
        std::array<std::int64_t, kFibers> counts{};
        together(kFibers, n, [&](std::int64_t fiber, std::int64_t each) {
            std::int64_t done = 0;
            for (; done < each; ++done) boost::this_fiber::yield();
            counts[static_cast<std::size_t>(fiber)] = done;
        });
        for (std::int64_t count : counts) bench.expect("yields of a fiber", count, n / kFibers);
    });
}

void ping_pong(Bench& bench) {
    bench.per_op(bench.count(1'000'000, 100), [&](std::int64_t n) {
        Channel ping, pong;
        fibers::fiber other([&] {
            for (std::int64_t v : ping) pong.push(v + 1);
            pong.close();
        });
        std::int64_t sum = 0;
        for (std::int64_t i = 0; i < n; ++i) {
            ping.push(i);
            sum += pong.value_pop();
        }
        ping.close();
        other.join();
        bench.expect("sum of the answers", sum, sum_below(n) + n);
    });
}

/// ring_1000 sends one token round a ring of a thousand fibers; an operation is one hop.
void ring_1000(Bench& bench) {
    static constexpr std::size_t kFibers = 1000;
    bench.per_op(bench.count(1000, 3) * static_cast<std::int64_t>(kFibers), [&](std::int64_t n) {
        const auto channels = std::make_unique<std::array<Channel, kFibers>>();
        std::vector<fibers::fiber> all;
        for (std::size_t i = 0; i + 1 < kFibers; ++i) {
            all.emplace_back([&in = (*channels)[i], &out = (*channels)[i + 1]] {
                for (std::int64_t token : in) out.push(token + 1);
                out.close();
            });
        }
        const std::int64_t laps = n / static_cast<std::int64_t>(kFibers);
        std::int64_t token = 0;
        for (std::int64_t i = 0; i < laps; ++i) {
            channels->front().push(token + 1);
            token = channels->back().value_pop();
        }
        channels->front().close();
        join(all);
        bench.expect("hops", token, laps * static_cast<std::int64_t>(kFibers));
    });
}

} // namespace perf
