// Mutex and condition variable.
#include <mutex>

#include <boost/fiber/condition_variable.hpp>
#include <boost/fiber/mutex.hpp>

#include "workloads.h"

namespace perf {

namespace fibers = boost::fibers;

void mutex_uncontended(Bench& bench) {
    bench.per_op(bench.count(20'000'000, 1000), [&](std::int64_t n) {
        fibers::mutex mu;
        std::int64_t counter = 0;
        for (std::int64_t i = 0; i < n; ++i) {
            const std::lock_guard lock(mu);
            ++counter;
        }
        bench.expect("counter", counter, n);
    });
}

/// mutex: a tiny section by so many fibers at once.
void mutex(Bench& bench, std::int64_t fibers) {
    bench.per_op(bench.count(10'000'000, 1000), [&](std::int64_t n) {
        fibers::mutex mu;
        std::int64_t counter = 0;
        together(fibers, n, [&](std::int64_t, std::int64_t each) {
            for (std::int64_t i = 0; i < each; ++i) {
                const std::lock_guard lock(mu);
                ++counter;
            }
        });
        bench.expect("counter", counter, n / fibers * fibers);
    });
}

/// cond_broadcast: a hundred fibers wait; an operation is one of them woken by a broadcast.
void cond_broadcast(Bench& bench) {
    static constexpr std::int64_t kFibers = 100;
    bench.per_op(bench.count(20'000, 10) * kFibers, [&](std::int64_t n) {
        const std::int64_t rounds = n / kFibers;
        fibers::mutex mu;
        fibers::condition_variable begun, seen_by_all;
        std::int64_t round = 0, seen = 0; // guarded by mu
        std::vector<fibers::fiber> all;
        for (std::int64_t i = 0; i < kFibers; ++i) {
            all.emplace_back([&] {
                std::unique_lock lock(mu);
                for (std::int64_t last = 0; last < rounds; ++last) {
                    begun.wait(lock, [&] { return round > last; });
                    if (++seen == round * kFibers) seen_by_all.notify_one();
                }
            });
        }
        {
            std::unique_lock lock(mu);
            while (round < rounds) {
                ++round;
                begun.notify_all();
                seen_by_all.wait(lock, [&] { return seen == round * kFibers; });
            }
        }
        join(all);
        bench.expect("wake-ups", seen, rounds * kFibers);
    });
}

} // namespace perf
