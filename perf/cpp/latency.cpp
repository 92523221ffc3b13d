// Waking up: the delay from a send to the woken receiver, in an idle and in a busy runtime, and sends from a plain OS thread.
#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include <weir/chan.h>
#include <weir/go.h>
#include <weir/runtime.h>
#include <weir/sleep.h>

#include "workloads.h"

namespace perf {

using namespace std::chrono_literals;

namespace {

void report_percentiles(Bench& bench, std::vector<double>& delays) {
    const auto n = static_cast<std::int64_t>(delays.size());
    std::ranges::sort(delays);
    bench.report("p50", delays[delays.size() / 2], "ns", n);
    bench.report("p99", delays[delays.size() * 99 / 100], "ns", n);
    bench.report("p99.9", delays[delays.size() * 999 / 1000], "ns", n);
}

/// measure_wake_ups: one fiber sends after every pause, another is parked in a receive.
void measure_wake_ups(Bench& bench) {
    const std::int64_t n = bench.count(2000, 100);
    weir::chan<Clock::time_point> c;
    weir::chan<void> done;
    std::vector<double> delays;
    delays.reserve(static_cast<std::size_t>(n));
    weir::go([&delays, c, done]() mutable {
        for (Clock::time_point sent : c) delays.push_back(ns(Clock::now() - sent));
        done.close();
    });
    for (std::int64_t i = 0; i < n; ++i) {
        weir::sleep(50us);
        c.send(Clock::now());
    }
    c.close();
    done.recv();
    bench.expect("wake-ups", static_cast<std::int64_t>(delays.size()), n);
    delays.erase(delays.begin(), delays.begin() + n / 10);
    report_percentiles(bench, delays);
}

void compute_for(Clock::duration d) {
    for (const auto start = Clock::now(); Clock::now() - start < d;) continue;
}

} // namespace

void wake_latency(Bench& bench) { measure_wake_ups(bench); }

/// wake_latency_loaded: the same beside four fibers a worker that compute for 5 us, yield, and so on.
void wake_latency_loaded(Bench& bench) {
    std::atomic<bool> stop = false;
    weir::WaitGroup load;
    for (int i = 0; i < 4 * bench.procs(); ++i) {
        load.go([&stop] {
            while (!stop.load(std::memory_order_relaxed)) {
                compute_for(5us);
                weir::yield();
            }
        });
    }
    measure_wake_ups(bench);
    stop = true;
    load.wait();
}

/// thread_send: a plain OS thread sends, a fiber receives.
void thread_send(Bench& bench) {
    bench.per_op(bench.count(2'000'000, 1000), [&](std::int64_t n) {
        weir::chan<std::int64_t> c(128);
        std::thread sender([c, n]() mutable {
            for (std::int64_t i = 0; i < n; ++i) c.send(i);
            c.close();
        });
        std::int64_t sum = 0;
        for (std::int64_t v : c) sum += v;
        weir::blocking([&] { sender.join(); });
        bench.expect("sum received", sum, sum_below(n));
    });
}

} // namespace perf
