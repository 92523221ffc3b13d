// 12 Map and Pool: a map that many fibers share; objects to use again.
//
// You learn: Map needs no mutex around it, and reading it takes no lock. Its operations are whole:
// load_or_store either finds a value or stores one, compare_and_swap changes only what is still as you
// saw it. A Pool keeps objects that are dear to make: get() gives one that was put back, or a new
// one. Reset it before use: it comes back as it was put.
//
// It prints:
//     one of 10 fibers stored, 9 found it
//     visits: 1000
//     3 keys
//     every greeting right; fewer than 1000 buffers made: yes
#include <atomic>
#include <iostream>
#include <memory>
#include <string>

#include <weir/weir.h>

using namespace weir;

void share_a_map() {
    Map<std::string, int> visits;
    std::atomic<int> stored{0};
    WaitGroup wg;
    for (int i = 0; i < 10; ++i) {
        wg.go([&] {
            auto [value, loaded] = visits.load_or_store("/", 0);
            if (!loaded) ++stored;
        });
    }
    wg.wait();
    std::cout << "one of 10 fibers stored, " << 10 - stored << " found it\n";

    for (int i = 0; i < 10; ++i) {
        wg.go([&] {
            for (int j = 0; j < 100;) {
                const int seen = *visits.load("/");
                if (visits.compare_and_swap("/", seen, seen + 1)) ++j; // else another fiber was faster: again
            }
        });
    }
    wg.wait();
    std::cout << "visits: " << *visits.load("/") << "\n";

    visits.store("/a", 1);
    visits.store("/b", 1);
    int keys = 0;
    visits.range([&](const std::string&, int) { ++keys; });
    std::cout << keys << " keys\n";
}

void use_buffers_again() {
    std::atomic<int> made{0}, right{0};
    Pool<std::string> buffers([&] {
        ++made;
        return std::string();
    });
    WaitGroup wg;
    for (int i = 0; i < 1000; ++i) {
        wg.go([&, i] {
            auto buffer = buffers.get();
            defer d{[&] { buffers.put(std::move(buffer)); }};
            buffer->clear();
            *buffer += "hello, " + std::to_string(i);
            if (*buffer == "hello, " + std::to_string(i)) ++right;
        });
    }
    wg.wait();
    std::cout << (right == 1000 ? "every greeting right" : "mixed up") << "; fewer than 1000 buffers made: " << (made < 1000 ? "yes" : "no")
              << "\n";
}

int main() {
    return run([] {
        share_a_map();
        use_buffers_again();
    });
}
