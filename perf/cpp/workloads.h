// The workloads, one file a family. README.md says what each shows; the Go twins stand in ../go under the same file names.
#pragma once

#include <cstdint>
#include <span>

#include "bench.h"

namespace perf {

// spawn.cpp
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
void mpmc_4x4(Bench& bench);

// select.cpp
void select_4(Bench& bench);
void select_4_buffered(Bench& bench);

// mutex.cpp
void mutex_uncontended(Bench& bench);
void mutex_8(Bench& bench);

// sync.cpp: those with a number of fibers stand for several workloads.
void mutex_2(Bench& bench);
void rwmutex_read(Bench& bench);
void rwmutex(Bench& bench, std::int64_t fibers);
void waitgroup(Bench& bench);
void waitgroup(Bench& bench, std::int64_t fibers);
void once(Bench& bench, std::int64_t fibers);
void map_load(Bench& bench);
void map_store(Bench& bench);
void map(Bench& bench, std::int64_t fibers);
void pool(Bench& bench, std::int64_t fibers);
void semaphore(Bench& bench, std::int64_t fibers);

// programs.cpp
void skynet_million(Bench& bench);
void sieve_4000(Bench& bench);

// parked.cpp
void parked_million(Bench& bench);

// timers.cpp
void timers_100k(Bench& bench);
void wake_latency(Bench& bench);
void timer(Bench& bench, std::int64_t fibers);
void timer_million(Bench& bench);

// panics.cpp
void panic_recover_1(Bench& bench);
void panic_recover_10(Bench& bench);
void throw_catch_1(Bench& bench);
void throw_catch_10(Bench& bench);
void defer_cost(Bench& bench);

} // namespace perf
