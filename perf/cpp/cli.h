// The command line of weir_perf and of its peer on Boost.Fiber, and the run of what it asks for.
//
//     PROGRAM [-procs N] [-scale X] [-ops N] [-list] [name...]
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "bench.h"

namespace perf {

struct Workload {
    std::string_view name;
    void (*run)(Bench&);
};

struct Flags {
    int procs = 1;
    double scale = 1;
    std::int64_t ops = 0; ///< 0: by size and time
    std::vector<Workload> chosen;
};

/// parse reads the command line. -list prints the names and exits; so does what is wrong, with status 2.
Flags parse(int argc, char** argv, std::span<const Workload> all);

/// run_chosen runs the chosen workloads and prints one JSON line a figure; returns the exit status, 1 when a check failed.
/// With a number of operations given it ends the process itself.
int run_chosen(const Flags& flags);

} // namespace perf
