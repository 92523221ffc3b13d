// The workloads, one file a family. README.md says what each shows; the Go twins stand in ../go under the same file names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <weir/waitgroup.h>

#include "bench.h"

namespace perf {

/// together runs body(fiber, n / fibers) on so many fibers, and waits for them.
template <class Body>
void together(std::int64_t fibers, std::int64_t n, Body body) {
    weir::WaitGroup wg;
    for (std::int64_t fiber = 0; fiber < fibers; ++fiber) wg.go([&, fiber] { body(fiber, n / fibers); });
    wg.wait();
}

// spawn.cpp
void spawn_one(Bench& bench);
void spawn_burst(Bench& bench);
void spawn_million(Bench& bench);
/// spawn_and_join starts one fiber for each slot, which marks its slot, and waits for all.
void spawn_and_join(std::span<std::int32_t> slots, std::int32_t mark);
/// marked counts the slots that hold `mark`.
std::int64_t marked(std::span<const std::int32_t> slots, std::int32_t mark);

// handoff.cpp
void yield(Bench& bench);
void ping_pong(Bench& bench);
void ring_1000(Bench& bench);

// channels.cpp
void spsc_128(Bench& bench);
void spsc_1(Bench& bench);
void mpmc_4x4(Bench& bench, std::ptrdiff_t capacity);
void fan_in_100(Bench& bench);
void range(Bench& bench);

// select.cpp
void select_2(Bench& bench);
void select_4(Bench& bench);
void select_8(Bench& bench);
void select_4_buffered(Bench& bench);
void select_2_default(Bench& bench);
void select_4_default(Bench& bench);
void select_8_default(Bench& bench);

// mutex.cpp
void mutex_uncontended(Bench& bench);
void mutex(Bench& bench, std::int64_t fibers);

// sync.cpp: those with a number of fibers stand for several workloads.
void rwmutex_read(Bench& bench);
void rwmutex(Bench& bench, std::int64_t fibers);
void waitgroup(Bench& bench);
void waitgroup(Bench& bench, std::int64_t fibers);
void once(Bench& bench, std::int64_t fibers);
void cond_broadcast(Bench& bench);
void map_load(Bench& bench);
void map_store(Bench& bench);
void map(Bench& bench, std::int64_t fibers);
void pool(Bench& bench, std::int64_t fibers);
void semaphore(Bench& bench, std::int64_t fibers);

// programs.cpp
void skynet_million(Bench& bench);
void sieve_4000(Bench& bench);
void fib_27(Bench& bench);

// shape.cpp
void shape_yield(Bench& bench);
void shape_channels(Bench& bench);

// parked.cpp
void parked_million(Bench& bench);
void idle_million(Bench& bench);

// timers.cpp
void timers_100k(Bench& bench);
void after_loop(Bench& bench);
void timer(Bench& bench, std::int64_t fibers);
void timer_million(Bench& bench);

// latency.cpp
void wake_latency(Bench& bench);
void wake_latency_loaded(Bench& bench);
void thread_send(Bench& bench);

// net.cpp
void tcp_echo_64(Bench& bench);

// panics.cpp
void panic_recover_1(Bench& bench);
void panic_recover_10(Bench& bench);
void throw_catch_1(Bench& bench);
void throw_catch_10(Bench& bench);
void defer_cost(Bench& bench);

} // namespace perf
