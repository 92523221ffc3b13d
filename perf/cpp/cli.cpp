#include "cli.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace perf {

namespace {

[[noreturn]] void usage(const char* problem, const char* what) {
    std::fprintf(stderr, "%s%s\nusage: [-procs N] [-scale X] [-ops N] [-list] [name...]\n", problem, what);
    std::exit(2);
}

[[noreturn]] void list(std::span<const Workload> all) {
    for (const Workload& w : all) std::puts(w.name.data());
    std::exit(0);
}

} // namespace

Flags parse(int argc, char** argv, std::span<const Workload> all) {
    Flags flags;
    for (int i = 1; i < argc; ++i) {
        const std::string_view arg = argv[i];
        const char* value = i + 1 < argc ? argv[i + 1] : "";
        if (arg == "-list") {
            list(all);
        } else if (arg == "-procs") {
            flags.procs = std::atoi(value);
            ++i;
        } else if (arg == "-scale") {
            flags.scale = std::atof(value);
            ++i;
        } else if (arg == "-ops") {
            flags.ops = std::atoll(value);
            ++i;
        } else if (auto w = std::ranges::find(all, arg, &Workload::name); w != all.end()) {
            flags.chosen.push_back(*w);
        } else {
            usage("no such workload or flag; -list names the workloads: ", argv[i]);
        }
    }
    if (flags.procs < 1 || flags.scale <= 0 || flags.ops < 0)
        usage("-procs must be at least 1, -scale above 0 and -ops not below 0", "");
    if (flags.chosen.empty()) flags.chosen.assign(all.begin(), all.end());
    return flags;
}

int run_chosen(const Flags& flags) {
    int status = 0;
    for (const Workload& w : flags.chosen) {
        Bench bench(std::string(w.name), flags.procs, flags.scale, flags.ops);
        w.run(bench);
        if (!bench.print()) status = 1;
    }
    // For callgrind, which does not survive the signal that ends a slow run of weir's.
    if (flags.ops > 0) std::_Exit(status);
    return status;
}

} // namespace perf
