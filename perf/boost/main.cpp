// boost_perf: those workloads of README.md that Boost.Fiber has the means for, under the same names.
//
// One worker is the library's default scheduler; several are its work stealing, which spins for ever with only one.
#include <cstdlib>
#include <mutex>
#include <thread>

#include <boost/fiber/algo/work_stealing.hpp>
#include <boost/fiber/condition_variable.hpp>
#include <boost/fiber/operations.hpp>

#include "cli.h"
#include "workloads.h"

namespace {

namespace fibers = boost::fibers;

constexpr perf::Workload kWorkloads[] = {
    {"spawn_one", perf::spawn_one},
    {"spawn_burst", perf::spawn_burst},
    {"spawn_million", perf::spawn_million},
    {"yield", perf::yield},
    {"ping_pong", perf::ping_pong},
    {"ring_1000", perf::ring_1000},
    {"spsc_128", [](perf::Bench& b) { perf::spsc(b, 128); }},
    {"spsc_1", [](perf::Bench& b) { perf::spsc(b, 2); }}, // holds one less than its capacity
    {"mpmc_4x4", [](perf::Bench& b) { perf::mpmc_4x4(b, 128); }},
    {"mpmc_4x4_1", [](perf::Bench& b) { perf::mpmc_4x4(b, 2); }},
    {"fan_in_100", perf::fan_in_100},
    {"range", perf::range},
    {"mutex_uncontended", perf::mutex_uncontended},
    {"mutex_2", [](perf::Bench& b) { perf::mutex(b, 2); }},
    {"mutex_8", [](perf::Bench& b) { perf::mutex(b, 8); }},
    {"mutex_64", [](perf::Bench& b) { perf::mutex(b, 64); }},
    {"cond_broadcast", perf::cond_broadcast},
    {"skynet", perf::skynet_million},
    {"sieve", perf::sieve_4000},
    {"fib_27", perf::fib_27},
    {"parked_million", perf::parked_million},
};

/// start_workers makes the calling thread and procs - 1 others run fibers.
void start_workers(unsigned procs) {
    if (procs == 1) return;
    static std::mutex mu;
    static fibers::condition_variable_any never;
    for (unsigned i = 1; i < procs; ++i) {
        std::thread([procs] {
            fibers::use_scheduling_algorithm<fibers::algo::work_stealing>(procs);
            std::unique_lock lock(mu);
            never.wait(lock, [] { return false; });
        }).detach();
    }
    fibers::use_scheduling_algorithm<fibers::algo::work_stealing>(procs);
}

} // namespace

int main(int argc, char** argv) {
    const perf::Flags flags = perf::parse(argc, argv, kWorkloads);
    start_workers(static_cast<unsigned>(flags.procs));
    const int status = perf::run_chosen(flags);
    std::_Exit(status); // the library would wait for the parked fibers of the sieve
}
