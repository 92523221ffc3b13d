// weir_perf: the workloads of README.md. cli.h has the command line.
#include <weir/runtime.h>

#include "cli.h"
#include "workloads.h"

namespace {

// throw_catch_* have no twin: they are what C++ itself charges for a panic's way up.
constexpr perf::Workload kWorkloads[] = {
    {"spawn_one", perf::spawn_one},
    {"spawn_burst", perf::spawn_burst},
    {"spawn_million", perf::spawn_million},
    {"yield", perf::yield},
    {"ping_pong", perf::ping_pong},
    {"ring_1000", perf::ring_1000},
    {"spsc_128", perf::spsc_128},
    {"spsc_1", perf::spsc_1},
    {"mpmc_4x4", [](perf::Bench& b) { perf::mpmc_4x4(b, 128); }},
    {"mpmc_4x4_1", [](perf::Bench& b) { perf::mpmc_4x4(b, 1); }},
    {"fan_in_100", perf::fan_in_100},
    {"range", perf::range},
    {"select_2", perf::select_2},
    {"select_4", perf::select_4},
    {"select_8", perf::select_8},
    {"select_4_buffered", perf::select_4_buffered},
    {"select_2_default", perf::select_2_default},
    {"select_4_default", perf::select_4_default},
    {"select_8_default", perf::select_8_default},
    {"mutex_uncontended", perf::mutex_uncontended},
    {"mutex_2", [](perf::Bench& b) { perf::mutex(b, 2); }},
    {"mutex_8", [](perf::Bench& b) { perf::mutex(b, 8); }},
    {"mutex_64", [](perf::Bench& b) { perf::mutex(b, 64); }},
    {"rwmutex_read", perf::rwmutex_read},
    {"rwmutex_2", [](perf::Bench& b) { perf::rwmutex(b, 2); }},
    {"rwmutex_8", [](perf::Bench& b) { perf::rwmutex(b, 8); }},
    {"waitgroup", [](perf::Bench& b) { perf::waitgroup(b); }},
    {"waitgroup_2", [](perf::Bench& b) { perf::waitgroup(b, 2); }},
    {"waitgroup_8", [](perf::Bench& b) { perf::waitgroup(b, 8); }},
    {"once", [](perf::Bench& b) { perf::once(b, 1); }},
    {"once_2", [](perf::Bench& b) { perf::once(b, 2); }},
    {"once_8", [](perf::Bench& b) { perf::once(b, 8); }},
    {"cond_broadcast", perf::cond_broadcast},
    {"map_load", perf::map_load},
    {"map_store", perf::map_store},
    {"map_2", [](perf::Bench& b) { perf::map(b, 2); }},
    {"map_8", [](perf::Bench& b) { perf::map(b, 8); }},
    {"pool", [](perf::Bench& b) { perf::pool(b, 1); }},
    {"pool_2", [](perf::Bench& b) { perf::pool(b, 2); }},
    {"pool_8", [](perf::Bench& b) { perf::pool(b, 8); }},
    {"semaphore", [](perf::Bench& b) { perf::semaphore(b, 1); }},
    {"semaphore_2", [](perf::Bench& b) { perf::semaphore(b, 2); }},
    {"semaphore_8", [](perf::Bench& b) { perf::semaphore(b, 8); }},
    {"skynet", perf::skynet_million},
    {"sieve", perf::sieve_4000},
    {"fib_27", perf::fib_27},
    {"shape_yield", perf::shape_yield},
    {"shape_channels", perf::shape_channels},
    {"parked_million", perf::parked_million},
    {"idle_million", perf::idle_million},
    {"timers_100k", perf::timers_100k},
    {"wake_latency", perf::wake_latency},
    {"wake_latency_loaded", perf::wake_latency_loaded},
    {"thread_send", perf::thread_send},
    {"timer", [](perf::Bench& b) { perf::timer(b, 1); }},
    {"timer_2", [](perf::Bench& b) { perf::timer(b, 2); }},
    {"timer_8", [](perf::Bench& b) { perf::timer(b, 8); }},
    {"timer_million", perf::timer_million},
    {"after_loop", perf::after_loop},
    {"tcp_echo_64", perf::tcp_echo_64},
    {"panic_recover_1", perf::panic_recover_1},
    {"panic_recover_10", perf::panic_recover_10},
    {"throw_catch_1", perf::throw_catch_1},
    {"throw_catch_10", perf::throw_catch_10},
    {"defer", perf::defer_cost},
};

} // namespace

int main(int argc, char** argv) {
    const perf::Flags flags = perf::parse(argc, argv, kWorkloads);
    return weir::run(weir::Options{.max_procs = flags.procs}, [&] { return perf::run_chosen(flags); });
}
