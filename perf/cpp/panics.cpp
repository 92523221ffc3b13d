// Panic, recover and defer; beside them what a plain C++ throw costs at the same depth.
#include <stdexcept>

#include <weir/defer.h>
#include <weir/panic.h>

#include "workloads.h"

namespace perf {

namespace {

enum class How { Panic, Throw };

template <How how>
[[gnu::noinline]] std::int64_t fail_at(int depth, std::int64_t value) {
    if (depth == 0) return 0;
    if (depth > 1) {
        const std::int64_t above = fail_at<how>(depth - 1, value);
        asm volatile("" : : : "memory"); // keeps the frame: without it the recursion becomes a loop
        return above + 1;
    }
    if constexpr (how == How::Panic) {
        weir::panic(value);
    } else {
        throw value;
    }
}

[[gnu::noinline]] std::int64_t guarded(int depth, std::int64_t value) {
    std::int64_t got = 0;
    weir::frame([&] {
        weir::defer rescue{[&] {
            if (auto p = weir::recover()) got = p->value<std::int64_t>();
        }};
        got = fail_at<How::Panic>(depth, value);
    });
    return got;
}

[[gnu::noinline]] std::int64_t caught(int depth, std::int64_t value) {
    try {
        return fail_at<How::Throw>(depth, value);
    } catch (std::int64_t thrown) {
        return thrown;
    }
}

/// failures: `call` has something fail `depth` calls below the function that recovers it, and returns the recovered value.
void failures(Bench& bench, int depth, std::int64_t (*call)(int depth, std::int64_t value)) {
    bench.per_op(bench.count(100'000, 100), [&](std::int64_t n) {
        std::int64_t sum = 0;
        for (std::int64_t i = 0; i < n; ++i) sum += call(depth, i);
        bench.expect("sum of the recovered values", sum, sum_below(n));
    });
}

[[gnu::noinline]] void deferred(std::int64_t& counter) {
    weir::defer count{[&] { ++counter; }};
}

} // namespace

void panic_recover_1(Bench& bench) { failures(bench, 1, guarded); }

void panic_recover_10(Bench& bench) { failures(bench, 10, guarded); }

void throw_catch_1(Bench& bench) { failures(bench, 1, caught); }

void throw_catch_10(Bench& bench) { failures(bench, 10, caught); }

/// defer_cost: a function whose whole work is one deferred addition.
void defer_cost(Bench& bench) {
    bench.per_op(bench.count(100'000'000, 1000), [&](std::int64_t n) {
        std::int64_t counter = 0;
        for (std::int64_t i = 0; i < n; ++i) deferred(counter);
        bench.expect("deferred calls", counter, n);
    });
}

} // namespace perf
