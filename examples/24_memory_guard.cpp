// 24 memory guard: degrade before the kernel kills the container.
//
// You learn: a container that reaches its memory limit is killed without a word. A MemoryGuard watches
// the control group's use and calls you at 85% of the limit, after it has emptied all pools: dump
// what helps to find the cause, drop caches, refuse work that can wait; and again when it is over. Here
// the figures are made up; leave `read` out for the real ones.
//
// It prints:
//     memory at 90%: cache dropped, pool emptied, degraded
//     memory at 40%: back to normal
#include <atomic>
#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <weir/memguard.h>
#include <weir/weir.h>

using namespace weir;
using namespace std::chrono_literals;

int main() {
    return run([] {
        std::atomic<std::uint64_t> used{100};
        Map<int, std::string> cache;
        Pool<std::string> buffers;
        for (int i = 0; i < 50; ++i) cache.store(i, std::string(100, 'x'));
        buffers.put(std::make_unique<std::string>());

        chan<std::string> log;
        auto percent = [](const MemoryUse& use) { return std::to_string(use.used * 100 / use.limit) + "%"; };
        MemoryGuard guard({.every = 1ms, .read = [&] { return MemoryUse{used, 1000}; }},
                          [&](const MemoryUse& use) {
                              cache.clear();
                              const bool emptied = buffers.get() == nullptr;
                              log << "memory at " + percent(use) + ": cache dropped, " + (emptied ? "pool emptied" : "pool kept") + ", degraded";
                          },
                          [&](const MemoryUse& use) { log << "memory at " + percent(use) + ": back to normal"; });
        used = 900;
        std::cout << log.recv() << "\n";
        used = 400;
        std::cout << log.recv() << "\n";
    });
}
