// One receiver in a select over four channels, each with its own sender.
#include <array>
#include <cstddef>

#include <weir/chan.h>
#include <weir/go.h>
#include <weir/select.h>

#include "workloads.h"

namespace perf {

using weir::chan;
using weir::recv;

namespace {

void select_of_4(Bench& bench, std::int64_t per_sender, std::ptrdiff_t capacity) {
    static constexpr std::int64_t kSenders = 4;
    bench.per_op(per_sender * kSenders, [&](std::int64_t n) {
        const std::int64_t share = n / kSenders;
        std::array<chan<std::int64_t>, kSenders> c;
        for (chan<std::int64_t>& out : c) {
            out = chan<std::int64_t>(capacity);
            weir::go([out, share]() mutable {
                for (std::int64_t v = 0; v < share; ++v) out.send(v);
            });
        }
        std::array<std::int64_t, kSenders> sums{};
        for (std::int64_t i = 0; i < share * kSenders; ++i) {
            weir::select(recv(c[0], [&](std::int64_t v) { sums[0] += v; }), //
                         recv(c[1], [&](std::int64_t v) { sums[1] += v; }), //
                         recv(c[2], [&](std::int64_t v) { sums[2] += v; }), //
                         recv(c[3], [&](std::int64_t v) { sums[3] += v; }));
        }
        for (std::int64_t sum : sums) bench.expect("sum of a channel", sum, sum_below(share));
    });
}

} // namespace

void select_4(Bench& bench) { select_of_4(bench, bench.count(250'000, 100), 0); }

void select_4_buffered(Bench& bench) { select_of_4(bench, bench.count(500'000, 100), 128); }

} // namespace perf
