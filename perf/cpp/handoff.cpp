// Handing the processor over: yields, a round trip between two fibers, a token around a ring.
#include <array>

#include <weir/chan.h>
#include <weir/go.h>
#include <weir/waitgroup.h>

#include "workloads.h"

namespace perf {

using weir::chan;

void yield(Bench& bench) {
    static constexpr std::int64_t kFibers = 4;
    bench.per_op(bench.count(1'000'000, 100) * kFibers, [&](std::int64_t n) {
        std::array<std::int64_t, kFibers> counts{};
        weir::WaitGroup wg;
        wg.add(kFibers);
        for (std::int64_t& count : counts) {
            weir::go([&wg, &count, n] {
                std::int64_t done = 0;
                for (; done < n / kFibers; ++done) weir::yield();
                count = done;
                wg.done();
            });
        }
        wg.wait();
        for (std::int64_t count : counts) bench.expect("yields of a fiber", count, n / kFibers);
    });
}

void ping_pong(Bench& bench) {
    bench.per_op(bench.count(1'000'000, 100), [&](std::int64_t n) {
        chan<std::int64_t> ping, pong;
        weir::go([ping, pong]() mutable {
            for (std::int64_t v : ping) pong.send(v + 1);
            pong.close();
        });
        std::int64_t sum = 0;
        for (std::int64_t i = 0; i < n; ++i) {
            ping.send(i);
            sum += pong.recv();
        }
        ping.close();
        bench.expect("sum of the answers", sum, sum_below(n) + n);
        bench.expect("values after the close", pong.next().has_value() ? 1 : 0, 0);
    });
}

/// ring_1000 sends one token round a ring of a thousand fibers; an operation is one hop.
void ring_1000(Bench& bench) {
    static constexpr std::int64_t kFibers = 1000;
    bench.per_op(bench.count(1000, 3) * kFibers, [&](std::int64_t n) {
        chan<std::int64_t> first;
        chan<std::int64_t> in = first;
        for (std::int64_t i = 0; i < kFibers - 1; ++i) {
            chan<std::int64_t> out;
            weir::go([in, out]() mutable {
                for (std::int64_t token : in) out.send(token + 1);
                out.close();
            });
            in = out;
        }
        std::int64_t token = 0;
        for (std::int64_t i = 0; i < n / kFibers; ++i) {
            first.send(token + 1);
            token = in.recv();
        }
        first.close();
        in.recv();
        bench.expect("hops", token, n / kFibers * kFibers);
    });
}

} // namespace perf
