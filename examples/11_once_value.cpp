// 11 Once and Value: make something once; replace it as a whole.
//
// You learn: once_value makes a function that loads at its first call and then always returns the
// same; callers that come meanwhile wait. If loading panics, each call panics with the same value. A
// Value holds something that many read and few replace: readers take no lock and never see half of
// a new value. Keep a shared_ptr in it when copies are dear.
//
// It prints:
//     loading
//     100 fibers got the same table
//     each call: no such file
//     timeout 30 s
//     timeout 5 s, after the reload
#include <atomic>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <weir/weir.h>

using namespace weir;

struct Config {
    int timeout;
};

int main() {
    return run([] {
        auto table = once_value([] {
            std::cout << "loading\n";
            return std::vector<int>(1000, 7);
        });
        std::atomic<int> same{0};
        WaitGroup wg;
        for (int i = 0; i < 100; ++i) {
            wg.go([&] { same += &table() == &table() && table().size() == 1000; });
        }
        wg.wait();
        std::cout << same << " fibers got the same table\n";

        auto broken = once_func([] { panic("no such file"); });
        auto first = catch_panic(broken);
        auto second = catch_panic(broken);
        if (first->message() == second->message()) std::cout << "each call: " << second->message() << "\n";

        Value<std::shared_ptr<const Config>> current;
        current.store(std::make_shared<const Config>(Config{30}));
        const auto before = *current.load(); // stays good, whatever comes
        current.store(std::make_shared<const Config>(Config{5}));
        std::cout << "timeout " << before->timeout << " s\n";
        std::cout << "timeout " << (*current.load())->timeout << " s, after the reload\n";
    });
}
