// The sync primitives: by one fiber, and by two and eight at once on the same object.
#include <memory>
#include <mutex>
#include <shared_mutex>

#include <weir/cond.h>
#include <weir/context.h>
#include <weir/map.h>
#include <weir/mutex.h>
#include <weir/once.h>
#include <weir/pool.h>
#include <weir/rwmutex.h>
#include <weir/semaphore.h>

#include "workloads.h"

namespace perf {

namespace {

constexpr std::int64_t kKeys = 1024;

void fill(weir::Map<std::int64_t, std::int64_t>& map) {
    for (std::int64_t key = 0; key < kKeys; ++key) map.store(key, key);
}

} // namespace

void rwmutex_read(Bench& bench) {
    bench.per_op(bench.count(20'000'000, 1000), [&](std::int64_t n) {
        weir::RWMutex mu;
        std::int64_t counter = 1;
        std::int64_t sum = 0;
        for (std::int64_t i = 0; i < n; ++i) {
            const std::shared_lock lock(mu);
            sum += counter;
        }
        bench.expect("sum", sum, n);
    });
}

/// rwmutex: one operation in ten writes.
void rwmutex(Bench& bench, std::int64_t fibers) {
    bench.per_op(bench.count(5'000'000, 1000), [&](std::int64_t n) {
        weir::RWMutex mu;
        std::int64_t counter = 0;
        together(fibers, n, [&](std::int64_t, std::int64_t each) {
            std::int64_t seen = 0;
            for (std::int64_t i = 0; i < each; ++i) {
                if (i % 10 == 0) {
                    const std::lock_guard lock(mu);
                    ++counter;
                } else {
                    const std::shared_lock lock(mu);
                    seen = counter;
                }
            }
            if (seen > n) bench.expect("seen", seen, n);
        });
        bench.expect("writes", counter, (n / fibers + 9) / 10 * fibers);
    });
}

void waitgroup(Bench& bench) {
    bench.per_op(bench.count(20'000'000, 1000), [&](std::int64_t n) {
        weir::WaitGroup wg;
        for (std::int64_t i = 0; i < n; ++i) {
            wg.add(1);
            wg.done();
            wg.wait();
        }
    });
}

void waitgroup(Bench& bench, std::int64_t fibers) {
    bench.per_op(bench.count(10'000'000, 1000), [&](std::int64_t n) {
        weir::WaitGroup wg;
        together(fibers, n, [&](std::int64_t, std::int64_t each) {
            for (std::int64_t i = 0; i < each; ++i) {
                wg.add(1);
                wg.done();
            }
        });
        wg.wait();
    });
}

void once(Bench& bench, std::int64_t fibers) {
    bench.per_op(bench.count(100'000'000, 1000), [&](std::int64_t n) {
        weir::Once once;
        std::int64_t runs = 0;
        together(fibers, n, [&](std::int64_t, std::int64_t each) {
            for (std::int64_t i = 0; i < each; ++i) once.call([&] { ++runs; });
        });
        bench.expect("runs", runs, 1);
    });
}

/// cond_broadcast: a hundred fibers wait; an operation is one of them woken by a broadcast.
void cond_broadcast(Bench& bench) {
    static constexpr std::int64_t kFibers = 100;
    bench.per_op(bench.count(20'000, 10) * kFibers, [&](std::int64_t n) {
        const std::int64_t rounds = n / kFibers;
        weir::Mutex mu;
        weir::Cond begun(mu), seen_by_all(mu);
        std::int64_t round = 0, seen = 0; // guarded by mu
        weir::WaitGroup wg;
        for (std::int64_t i = 0; i < kFibers; ++i) {
            wg.go([&] {
                const std::lock_guard lock(mu);
                for (std::int64_t last = 0; last < rounds; ++last) {
                    begun.wait([&] { return round > last; });
                    if (++seen == round * kFibers) seen_by_all.signal();
                }
            });
        }
        {
            const std::lock_guard lock(mu);
            while (round < rounds) {
                ++round;
                begun.broadcast();
                seen_by_all.wait([&] { return seen == round * kFibers; });
            }
        }
        wg.wait();
        bench.expect("wake-ups", seen, rounds * kFibers);
    });
}

void map_load(Bench& bench) {
    weir::Map<std::int64_t, std::int64_t> map;
    fill(map);
    bench.per_op(bench.count(20'000'000, 1000), [&](std::int64_t n) {
        std::int64_t found = 0;
        for (std::int64_t i = 0; i < n; ++i) found += *map.load(i % kKeys) == i % kKeys;
        bench.expect("found", found, n);
    });
}

void map_store(Bench& bench) {
    weir::Map<std::int64_t, std::int64_t> map;
    fill(map);
    bench.per_op(bench.count(5'000'000, 1000), [&](std::int64_t n) {
        for (std::int64_t i = 0; i < n; ++i) map.store(i % kKeys, i);
    });
}

/// map: one operation in ten stores.
void map(Bench& bench, std::int64_t fibers) {
    weir::Map<std::int64_t, std::int64_t> map;
    fill(map);
    bench.per_op(bench.count(10'000'000, 1000), [&](std::int64_t n) {
        together(fibers, n, [&](std::int64_t fiber, std::int64_t each) {
            std::int64_t found = 0;
            for (std::int64_t i = 0; i < each; ++i) {
                const std::int64_t key = (i * 7 + fiber * 131) % kKeys;
                if (i % 10 == 0) map.store(key, key);
                found += *map.load(key) == key;
            }
            bench.expect("found", found, each);
        });
    });
}

void pool(Bench& bench, std::int64_t fibers) {
    struct Buffer {
        std::int64_t used = 0;
        char bytes[1024];
    };
    bench.per_op(bench.count(20'000'000, 1000), [&](std::int64_t n) {
        weir::Pool<Buffer> pool([] { return std::make_unique<Buffer>(); });
        together(fibers, n, [&](std::int64_t, std::int64_t each) {
            for (std::int64_t i = 0; i < each; ++i) {
                auto buffer = pool.get();
                ++buffer->used;
                pool.put(std::move(buffer));
            }
        });
    });
}

/// semaphore: one unit, so that with more than one fiber it goes from hand to hand.
void semaphore(Bench& bench, std::int64_t fibers) {
    bench.per_op(bench.count(fibers == 1 ? 10'000'000 : 2'000'000, 1000), [&](std::int64_t n) {
        weir::Semaphore units(1);
        const weir::Context ctx;
        std::int64_t counter = 0;
        together(fibers, n, [&](std::int64_t, std::int64_t each) {
            for (std::int64_t i = 0; i < each; ++i) {
                if (units.acquire(ctx, 1)) continue;
                ++counter;
                units.release(1);
            }
        });
        bench.expect("counter", counter, n / fibers * fibers);
    });
}

} // namespace perf
