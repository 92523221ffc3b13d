// 14 ErrGroup: several tasks, one result.
//
// You learn: an ErrGroup runs tasks that return an Error; wait() gives the first error there was. With
// a context, that error cancels the tasks still at work. A limit keeps a large job from starting all
// at once. A task that panics is a task that failed: its error holds the panic.
//
// It prints:
//     sum of squares: 328350
//     search: shard 3 is down; 4 others were told to stop
//     panicked: recovered from errgroup.Group: index out of range
#include <atomic>
#include <chrono>
#include <iostream>

#include <weir/weir.h>

using namespace weir;
using namespace std::chrono_literals;

int main() {
    return run([] {
        ErrGroup squares;
        squares.set_limit(4);
        std::atomic<int> sum{0};
        for (int i = 0; i < 100; ++i) {
            squares.go([&, i] {
                sum += i * i;
                return Error();
            });
        }
        if (!squares.wait()) std::cout << "sum of squares: " << sum << "\n";

        auto [search, ctx] = with_errgroup(background());
        std::atomic<int> stopped{0};
        for (int shard = 0; shard < 5; ++shard) {
            search.go([&stopped, shard, ctx = ctx]() -> Error {
                if (shard == 3) return errorf("shard {} is down", shard);
                select(recv(after(1h)), recv(ctx.done(), [&] { ++stopped; })); // a slow answer
                return ctx.err();
            });
        }
        const Error err = search.wait();
        std::cout << "search: " << err << "; " << stopped << " others were told to stop\n";

        ErrGroup careless;
        careless.go([]() -> Error { panic("index out of range"); });
        const Error failed = careless.wait();
        if (failed.as<PanicError>() != nullptr) std::cout << "panicked: " << failed << "\n";
    });
}
