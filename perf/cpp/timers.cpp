// Timers: the processor time of many sleepers, and what it costs to make and to stop timers.
#include <atomic>
#include <chrono>
#include <vector>

#include <weir/chan.h>
#include <weir/go.h>
#include <weir/select.h>
#include <weir/sleep.h>
#include <weir/ticker.h>
#include <weir/waitgroup.h>

#include "usage.h"
#include "workloads.h"

namespace perf {

using namespace std::chrono_literals;

namespace {

void sleepers(Bench& bench, std::int64_t n, int naps) {
    std::vector<std::int32_t> napped(static_cast<std::size_t>(n));
    weir::WaitGroup wg;
    wg.add(static_cast<int>(n));
    for (std::int64_t i = 0; i < n; ++i) {
        weir::go([&wg, &count = napped[static_cast<std::size_t>(i)], i, naps] {
            for (int nap = 0; nap < naps; ++nap) {
                const auto d = (1 + (i * 7919 + nap * 31) % 100) * 1ms;
                const auto start = Clock::now();
                weir::sleep(d);
                if (Clock::now() - start >= d) ++count;
            }
            wg.done();
        });
    }
    wg.wait();
    bench.expect("sleepers that never woke early", marked(napped, naps), n);
}

} // namespace

/// timers_100k: a hundred thousand fibers sleep ten times, 1 to 100 ms each.
void timers_100k(Bench& bench) {
    const std::int64_t n = bench.count(100'000, 1000);
    sleepers(bench, n / 10, 1);
    const auto before = cpu_time();
    sleepers(bench, n, 10);
    bench.report("", ms(cpu_time() - before), "CPU ms", n);
}

/// timer: make a timer far ahead, and stop it.
void timer(Bench& bench, std::int64_t fibers) {
    bench.per_op(bench.count(5'000'000, 1000), [&](std::int64_t n) {
        std::atomic<std::int64_t> stopped{0};
        together(fibers, n, [&](std::int64_t, std::int64_t each) {
            std::int64_t mine = 0;
            for (std::int64_t i = 0; i < each; ++i) mine += weir::Timer(1h).stop();
            stopped += mine;
        });
        bench.expect("stopped", stopped, n / fibers * fibers);
    });
}

/// timer_million: a million timers pending at once, over an hour.
void timer_million(Bench& bench) {
    const std::int64_t n = bench.count(1'000'000, 1000);
    std::vector<weir::Timer> timers;
    timers.reserve(static_cast<std::size_t>(n));
    const auto begun = Clock::now();
    for (std::int64_t i = 0; i < n; ++i) timers.emplace_back(1h + (i * 7919 % n) * 1ms);
    const auto armed = Clock::now();
    std::int64_t stopped = 0;
    for (const auto& t : timers) stopped += t.stop();
    const auto ended = Clock::now();
    bench.expect("stopped", stopped, n);
    bench.report("arm", ns(armed - begun) / static_cast<double>(n), "ns", n);
    bench.report("stop", ns(ended - armed) / static_cast<double>(n), "ns", n);
}

/// after_loop: a receive with a limit, again and again: each makes a timer that is not needed.
void after_loop(Bench& bench) {
    bench.per_op(bench.count(1'000'000, 1000), [&](std::int64_t n) {
        weir::chan<std::int64_t> c(128);
        weir::go([c, n]() mutable {
            for (std::int64_t i = 0; i < n; ++i) c.send(i);
        });
        std::int64_t sum = 0, late = 0;
        for (std::int64_t i = 0; i < n; ++i) {
            weir::select(weir::recv(c, [&](std::int64_t v) { sum += v; }), //
                         weir::recv(weir::after(1h), [&] { ++late; }));
        }
        bench.expect("sum received", sum, sum_below(n));
        bench.expect("timers that fired", late, 0);
    });
}

} // namespace perf
