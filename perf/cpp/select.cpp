// One receiver in a select over two, four or eight channels: each with its own sender, or with nothing to receive and a default.
#include <array>
#include <cstddef>
#include <utility>

#include <weir/chan.h>
#include <weir/go.h>
#include <weir/select.h>

#include "workloads.h"

namespace perf {

using weir::chan;
using weir::otherwise;
using weir::recv;

namespace {

template <std::size_t kSenders>
void select_of(Bench& bench, std::int64_t items, std::ptrdiff_t capacity) {
    bench.per_op(bench.count(items, 1000), [&](std::int64_t n) {
        const std::int64_t share = n / kSenders;
        std::array<chan<std::int64_t>, kSenders> c;
        for (chan<std::int64_t>& out : c) {
            out = chan<std::int64_t>(capacity);
            weir::go([out, share]() mutable {
                for (std::int64_t v = 0; v < share; ++v) out.send(v);
            });
        }
        std::array<std::int64_t, kSenders> sums{};
        [&]<std::size_t... i>(std::index_sequence<i...>) {
            for (std::size_t k = 0; k < share * kSenders; ++k) weir::select(recv(c[i], [&](std::int64_t v) { sums[i] += v; })...);
        }(std::make_index_sequence<kSenders>());
        for (std::int64_t sum : sums) bench.expect("sum of a channel", sum, sum_below(share));
    });
}

template <std::size_t kChannels>
void select_default_of(Bench& bench) {
    bench.per_op(bench.count(5'000'000, 1000), [&](std::int64_t n) {
        std::array<chan<std::int64_t>, kChannels> c;
        for (chan<std::int64_t>& in : c) in = chan<std::int64_t>();
        std::int64_t sum = 0, idle = 0;
        [&]<std::size_t... i>(std::index_sequence<i...>) {
            for (std::int64_t k = 0; k < n; ++k) {
                weir::select(recv(c[i], [&](std::int64_t v) { sum += v; })..., otherwise([&] { ++idle; }));
            }
        }(std::make_index_sequence<kChannels>());
        bench.expect("default taken", idle, n);
        bench.expect("sum received", sum, 0);
    });
}

} // namespace

void select_2(Bench& bench) { select_of<2>(bench, 1'000'000, 0); }
void select_4(Bench& bench) { select_of<4>(bench, 1'000'000, 0); }
void select_8(Bench& bench) { select_of<8>(bench, 1'000'000, 0); }

void select_4_buffered(Bench& bench) { select_of<4>(bench, 2'000'000, 128); }

void select_2_default(Bench& bench) { select_default_of<2>(bench); }
void select_4_default(Bench& bench) { select_default_of<4>(bench); }
void select_8_default(Bench& bench) { select_default_of<8>(bench); }

} // namespace perf
