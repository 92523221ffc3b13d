// Lock and unlock around one addition: alone, and by several fibers at once.
#include <mutex>

#include <weir/mutex.h>

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

/// mutex: a tiny section by so many fibers at once.
void mutex(Bench& bench, std::int64_t fibers) {
    bench.per_op(bench.count(10'000'000, 1000), [&](std::int64_t n) {
        weir::Mutex mu;
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

} // namespace perf
