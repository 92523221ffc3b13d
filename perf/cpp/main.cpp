// weir_perf: the workloads of README.md.
//
//     weir_perf [-procs N] [-scale X] [-list] [name...]
//
// Prints one JSON line a figure: {"name","value","unit","procs","n","check"}.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <string_view>
#include <vector>

#include <weir/runtime.h>

#include "bench.h"
#include "workloads.h"

namespace {

struct Workload {
    std::string_view name;
    void (*run)(perf::Bench&);
};

// throw_catch_* have no twin: they are what C++ itself charges for a panic's way up.
constexpr Workload kWorkloads[] = {
    {"spawn_burst", perf::spawn_burst},
    {"spawn_million", perf::spawn_million},
    {"yield", perf::yield},
    {"ping_pong", perf::ping_pong},
    {"ring_1000", perf::ring_1000},
    {"spsc_128", perf::spsc_128},
    {"spsc_1", perf::spsc_1},
    {"mpmc_4x4", perf::mpmc_4x4},
    {"select_4", perf::select_4},
    {"select_4_buffered", perf::select_4_buffered},
    {"mutex_uncontended", perf::mutex_uncontended},
    {"mutex_2", perf::mutex_2},
    {"mutex_8", perf::mutex_8},
    {"rwmutex_read", perf::rwmutex_read},
    {"rwmutex_2", [](perf::Bench& b) { perf::rwmutex(b, 2); }},
    {"rwmutex_8", [](perf::Bench& b) { perf::rwmutex(b, 8); }},
    {"waitgroup", [](perf::Bench& b) { perf::waitgroup(b); }},
    {"waitgroup_2", [](perf::Bench& b) { perf::waitgroup(b, 2); }},
    {"waitgroup_8", [](perf::Bench& b) { perf::waitgroup(b, 8); }},
    {"once", [](perf::Bench& b) { perf::once(b, 1); }},
    {"once_2", [](perf::Bench& b) { perf::once(b, 2); }},
    {"once_8", [](perf::Bench& b) { perf::once(b, 8); }},
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
    {"parked_million", perf::parked_million},
    {"timers_100k", perf::timers_100k},
    {"wake_latency", perf::wake_latency},
    {"timer", [](perf::Bench& b) { perf::timer(b, 1); }},
    {"timer_2", [](perf::Bench& b) { perf::timer(b, 2); }},
    {"timer_8", [](perf::Bench& b) { perf::timer(b, 8); }},
    {"timer_million", perf::timer_million},
    {"panic_recover_1", perf::panic_recover_1},
    {"panic_recover_10", perf::panic_recover_10},
    {"throw_catch_1", perf::throw_catch_1},
    {"throw_catch_10", perf::throw_catch_10},
    {"defer", perf::defer_cost},
};

struct Flags {
    int procs = 1;
    double scale = 1;
    bool list = false;
    std::vector<Workload> chosen;
};

[[noreturn]] void usage(const char* problem, const char* what) {
    std::fprintf(stderr, "weir_perf: %s%s\nusage: weir_perf [-procs N] [-scale X] [-list] [name...]\n", problem, what);
    std::exit(2);
}

Flags parse(int argc, char** argv) {
    Flags flags;
    for (int i = 1; i < argc; ++i) {
        const std::string_view arg = argv[i];
        const char* value = i + 1 < argc ? argv[i + 1] : "";
        if (arg == "-list") {
            flags.list = true;
        } else if (arg == "-procs") {
            flags.procs = std::atoi(value);
            ++i;
        } else if (arg == "-scale") {
            flags.scale = std::atof(value);
            ++i;
        } else if (auto w = std::ranges::find(kWorkloads, arg, &Workload::name); w != std::end(kWorkloads)) {
            flags.chosen.push_back(*w);
        } else {
            usage("no such workload or flag; -list names the workloads: ", argv[i]);
        }
    }
    if (flags.procs < 1 || flags.scale <= 0) usage("-procs must be at least 1 and -scale above 0", "");
    if (flags.chosen.empty()) flags.chosen.assign(std::begin(kWorkloads), std::end(kWorkloads));
    return flags;
}

} // namespace

int main(int argc, char** argv) {
    const Flags flags = parse(argc, argv);
    if (flags.list) {
        for (const Workload& w : kWorkloads) std::puts(w.name.data());
        return 0;
    }
    return weir::run(weir::Options{.max_procs = flags.procs}, [&] {
        int status = 0;
        for (const Workload& w : flags.chosen) {
            perf::Bench bench(std::string(w.name), flags.procs, flags.scale);
            w.run(bench);
            if (!bench.print()) status = 1;
        }
        return status;
    });
}
