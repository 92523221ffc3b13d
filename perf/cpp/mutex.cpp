// Lock and unlock around one addition: alone, and by eight fibers at once.
#include <mutex>

#include <weir/go.h>
#include <weir/mutex.h>
#include <weir/waitgroup.h>

#include "workloads.h"

namespace perf {

void mutex_uncontended(Bench& bench) {
    bench.per_op(bench.count(20'000'000, 1000), [&](std::int64_t n) {
        weir::Mutex mu;
        std::int64_t counter = 0;
        for (std::int64_t i = 0; i < n; ++i) {
            std::lock_guard lock(mu);
            ++counter;
        }
        bench.expect("counter", counter, n);
    });
}

void mutex_8(Bench& bench) {
    static constexpr std::int64_t kFibers = 8;
    bench.per_op(bench.count(2'000'000, 1000) * kFibers, [&](std::int64_t n) {
        weir::Mutex mu;
        weir::WaitGroup wg;
        std::int64_t counter = 0;
        wg.add(kFibers);
        for (std::int64_t i = 0; i < kFibers; ++i) {
            weir::go([&, n] {
                for (std::int64_t j = 0; j < n / kFibers; ++j) {
                    std::lock_guard lock(mu);
                    ++counter;
                }
                wg.done();
            });
        }
        wg.wait();
        bench.expect("counter", counter, n / kFibers * kFibers);
    });
}

} // namespace perf
