// 21 circuit breaker: stop asking a service that is down.
//
// You learn: a Breaker counts how calls end. When too many fail it opens: callers get kCircuitOpen at
// once, can serve something else, and leave the sick service alone. After a while it lets one call
// try; if that works, it closes again. A timeout keeps slow calls from piling up. Here the time is
// made up, so that nothing depends on how fast this runs; leave `now` out for the real one.
//
// It prints:
//     price from the shop: 10
//     shop down: connection refused (4 times)
//     circuit open, price from the cache: 10
//     the shop was called 5 times in 100 requests
//     shop back: 12, circuit closed
#include <chrono>
#include <iostream>

#include <weir/breaker.h>
#include <weir/weir.h>

using namespace weir;
using namespace std::chrono_literals;

/// Shop is a remote service that can be down.
struct Shop {
    std::pair<int, Error> price() {
        ++calls;
        if (down) return {0, Error("connection refused")};
        return {current, {}};
    }
    int calls = 0;
    int current = 10;
    bool down = false;
};

int main() {
    return run([] {
        Shop shop;
        int cached = 0;
        time_point time = now();
        Breaker breaker({.volume = 5, .failure_ratio = 0.8, .open_for = 30s, .now = [&] { return time; }});
        auto ask = [&] {
            return breaker.run(background(), [&](const Context&) {
                auto [price, err] = shop.price();
                if (!err) cached = price;
                return err;
            });
        };
        if (!ask()) std::cout << "price from the shop: " << cached << "\n";

        shop.down = true;
        shop.current = 12;
        int refused = 0;
        Error err;
        for (int i = 0; i < 99; ++i) {
            err = ask();
            if (err != nil && err != kCircuitOpen) ++refused;
        }
        std::cout << "shop down: connection refused (" << refused << " times)\n";
        if (err == kCircuitOpen) std::cout << "circuit open, price from the cache: " << cached << "\n";
        std::cout << "the shop was called " << shop.calls << " times in 100 requests\n";

        shop.down = false;
        time += 30s;
        if (!ask() && breaker.state() == BreakerState::Closed) std::cout << "shop back: " << cached << ", circuit closed\n";
    });
}
