#include <weir/explore.h>

#include <string>

#include <weir/panic.h>
#include "deadlock.h"
#include "fault.h"
#include "scheduler.h"
#include "seeded.h"

namespace weir::detail {

namespace {

/// FaultHandlers keeps them installed over all the runs: each would do it for itself.
struct FaultHandlers {
    FaultHandlers() { install_fault_handler(); }
    ~FaultHandlers() { restore_fault_handler(); }
    FaultHandlers(const FaultHandlers&) = delete;
    FaultHandlers& operator=(const FaultHandlers&) = delete;
};

std::string how_it_failed(const Trial& trial, int status) {
    if (trial.endless) {
        return "it passed " + std::to_string(trial.max_points) +
               " points without coming to an end: fibers that wait in a loop for each other, or for a time that does not come "
               "while they run\n";
    }
    if (!trial.text.empty()) return trial.text;
    return status == 1 ? "it returned false\n" : "its exit status is " + std::to_string(status) + "\n";
}

} // namespace

std::optional<ExploreFailure> find_failure(const ExploreOptions& options, std::uint64_t n, MainFn call, void* fn) {
    if (scheduler() != nullptr)
        panic_runtime("weir: explore called while a runtime is running: it makes runs of its own; call it outside weir::run");
    auto only = seed_variable();
    if (!only) only = options.seed;
    if (only) n = 1;
    FaultHandlers handlers;
    int threads = process_threads() - 1;
    for (std::uint64_t i = 0; i < n; ++i) {
        Trial trial;
        trial.max_points = options.max_points;
        trial.threads_before = threads;
        std::uint64_t seed = only.value_or(options.first_seed) + i;
        int status = run_trial(Options{.stack_max = options.stack_max, .panic_policy = PanicPolicy::Contain, .seed = seed}, call,
                               fn, trial);
        if (status == 0 && !trial.failed()) continue;
        std::string number = std::to_string(seed);
        return ExploreFailure(seed, i + 1,
                              "explore: seed " + number + " fails, run " + std::to_string(i + 1) + " of " + std::to_string(n) +
                                  ": " + how_it_failed(trial, status) + "\nWEIR_SEED=" + number + " repeats this run alone\n");
    }
    return std::nullopt;
}

} // namespace weir::detail
