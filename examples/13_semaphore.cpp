// 13 Semaphore: share out a number of something.
//
// You learn: a Semaphore holds units, such as bytes of memory or connections. acquire(ctx, n) waits
// until n are free, first come, first served, or until ctx ends; try_acquire never waits. Always
// release what you acquired, by a defer.
//
// It prints:
//     never more than 10 units in use: yes
//     all in use: try_acquire says no
//     gave up: context deadline exceeded
//     after release: try_acquire says yes
#include <atomic>
#include <chrono>
#include <iostream>

#include <weir/weir.h>

using namespace weir;
using namespace std::chrono_literals;

int main() {
    return run([] {
        Semaphore units(10);
        std::atomic<int> used{0}, most{0};
        WaitGroup wg;
        for (int i = 0; i < 100; ++i) {
            wg.go([&, n = i % 4 + 1] {
                if (Error err = units.acquire(background(), n)) return;
                defer d{[&, n] { units.release(n); }};
                const int now = used += n;
                for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
                }
                yield(); // some work
                used -= n;
            });
        }
        wg.wait();
        std::cout << "never more than 10 units in use: " << (most <= 10 ? "yes" : "no") << "\n";

        if (Error err = units.acquire(background(), 10)) std::cout << err << "\n";
        std::cout << "all in use: try_acquire says " << (units.try_acquire() ? "yes" : "no") << "\n";

        auto [ctx, cancel] = with_timeout(background(), 10ms);
        defer d{cancel};
        std::cout << "gave up: " << units.acquire(ctx) << "\n";

        units.release(10);
        std::cout << "after release: try_acquire says " << (units.try_acquire() ? "yes" : "no") << "\n";
    });
}
