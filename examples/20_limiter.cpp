// 20 limiter: not too often.
//
// You learn: a Limiter lets events through at a steady rate, with bursts up to a size. allow() drops
// what is too much, wait() holds it back, and fails at once if the deadline would pass meanwhile.
//
// It prints:
//     10 requests at once: 3 let through
//     3 jobs at 100 a second took 20 ms or more: yes
//     no hope: rate: Wait(n=1) would exceed context deadline
//     never: rate: Wait(n=4) exceeds limiter's burst 3
#include <chrono>
#include <iostream>

#include <weir/limiter.h>
#include <weir/weir.h>

using namespace weir;
using namespace std::chrono_literals;

int main() {
    return run([] {
        Limiter front_door(0.01, 3); // one in 100 s on average, 3 at once
        int through = 0;
        for (int i = 0; i < 10; ++i) through += front_door.allow();
        std::cout << "10 requests at once: " << through << " let through\n";

        Limiter jobs(Limiter::every(10ms), 1);
        const auto begun = std::chrono::steady_clock::now();
        for (int i = 0; i < 3; ++i) {
            if (Error err = jobs.wait(background())) std::cout << err << "\n";
        }
        const auto took = std::chrono::steady_clock::now() - begun;
        std::cout << "3 jobs at 100 a second took 20 ms or more: " << (took >= 20ms ? "yes" : "no") << "\n";

        auto [ctx, cancel] = with_timeout(background(), 20s);
        defer d{cancel};
        std::cout << "no hope: " << front_door.wait(ctx) << "\n";
        std::cout << "never: " << front_door.wait(ctx, 4) << "\n";
    });
}
