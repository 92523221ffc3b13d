// 26 synctest: test code that waits, without waiting.
//
// You learn: synctest::test runs a function and all fibers it starts in a bubble with a clock of its own.
// The clock stands still while anything in the bubble can run, and then goes to the next timer at
// once: sleeps, timeouts and deadlines take no time and are exact to the nanosecond. wait() returns
// when all other fibers are blocked, so that "nothing happened yet" can be tested. A bubble in which nothing
// can happen any more is a deadlock, which test() panics with. Code under test takes the time from
// weir::now().
//
// It prints:
//     tried after 0s, 1s, 3s, 7s: ok
//     tried after 0s, 1s, 3s: context deadline exceeded after 5s
//     before the signal 0 have started, after it 3
//     deadlock: all goroutines in bubble are blocked
#include <atomic>
#include <chrono>
#include <functional>
#include <iostream>
#include <string>

#include <weir/synctest.h>
#include <weir/weir.h>

using namespace weir;
using namespace std::chrono_literals;

// What is to be tested: tries again after 1s, 2s, 4s, ... until it works or ctx ends.
Error retry(const Context& ctx, const std::function<bool()>& works) {
    for (auto pause = 1s; !works(); pause *= 2) {
        select(timeout(pause), recv(ctx.done()));
        if (ctx.err()) return ctx.err();
    }
    return {};
}

// Works at the n-th try, with 5 seconds in all if `limited`.
void try_retry(int n, bool limited) {
    synctest::test([&](Context ctx) {
        const time_point begun = now();
        auto seconds = [&] { return std::to_string((now() - begun) / 1s) + "s"; };
        if (limited) ctx = with_timeout(ctx, 5s).first;

        std::string tries;
        Error err = retry(ctx, [&] {
            tries += (tries.empty() ? "" : ", ") + seconds();
            return --n == 0;
        });
        std::cout << "tried after " << tries << ": " << (err ? err.message() + " after " + seconds() : "ok") << "\n";
    });
}

int main() {
    return run([] {
        try_retry(4, false);
        try_retry(4, true);

        synctest::test([] {
            chan<void> signal;
            std::atomic<int> started{0};
            for (int i = 0; i < 3; ++i) go([&] { signal.recv(), ++started; });
            synctest::wait();
            std::cout << "before the signal " << started << " have started, ";
            signal.close();
            synctest::wait();
            std::cout << "after it " << started << "\n";
        });

        auto deadlock = catch_panic([] { synctest::test([] { chan<int>().recv(); }); });
        std::cout << deadlock->message() << "\n";
    });
}
