// The workloads on Boost.Fiber; the same programs as in ../cpp, with join in the place of a WaitGroup.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <boost/fiber/fiber.hpp>

#include "bench.h"

namespace perf {

inline void join(std::vector<boost::fibers::fiber>& fibers) {
    for (boost::fibers::fiber& fiber : fibers) fiber.join();
}

/// together runs body(fiber, n / fibers) on so many fibers, and waits for them.
template <class Body>
void together(std::int64_t fibers, std::int64_t n, Body body) {
    std::vector<boost::fibers::fiber> all;
    for (std::int64_t fiber = 0; fiber < fibers; ++fiber) all.emplace_back([&, fiber] { body(fiber, n / fibers); });
    join(all);
}

// spawn.cpp
void spawn_one(Bench& bench);
void spawn_burst(Bench& bench);
void spawn_million(Bench& bench);
void parked_million(Bench& bench);

// handoff.cpp
void yield(Bench& bench);
void ping_pong(Bench& bench);
void ring_1000(Bench& bench);

// channels.cpp
void spsc(Bench& bench, std::size_t capacity);
void mpmc_4x4(Bench& bench, std::size_t capacity);
void fan_in_100(Bench& bench);
void range(Bench& bench);

// sync.cpp
void mutex_uncontended(Bench& bench);
void mutex(Bench& bench, std::int64_t fibers);
void cond_broadcast(Bench& bench);

// programs.cpp
void skynet_million(Bench& bench);
void sieve_4000(Bench& bench);
void fib_27(Bench& bench);

} // namespace perf
