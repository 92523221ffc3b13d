#include "bench.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

namespace perf {

std::int64_t Bench::count(std::int64_t full, std::int64_t least) const {
    return std::max(least, static_cast<std::int64_t>(static_cast<double>(full) * scale_));
}

std::int64_t Bench::fitting(std::int64_t n, std::int64_t trial, Clock::duration took) {
    const auto within = static_cast<std::int64_t>(static_cast<double>(trial) * (ns(kBudget) / std::max(1.0, ns(took))));
    n = std::min(n, std::max(trial, within));
    return n > 1000 ? n - n % 1000 : n;
}

void Bench::report(std::string_view part, double value, std::string_view unit, std::int64_t n) {
    std::string name = name_;
    if (!part.empty()) name.append(".").append(part);
    results_.push_back({std::move(name), value, std::string(unit), n});
}

void Bench::expect(std::string_view what, std::int64_t got, std::int64_t want) {
    if (got == want || !problem_.empty()) return;
    problem_ = std::string(what) + ": got " + std::to_string(got) + ", want " + std::to_string(want);
}

bool Bench::print() const {
    const char* check = problem_.empty() ? "ok" : problem_.c_str();
    for (const Result& r : results_) {
        std::printf("{\"name\":\"%s\",\"value\":%.3f,\"unit\":\"%s\",\"procs\":%d,\"n\":%" PRId64 ",\"check\":\"%s\"}\n",
                    r.name.c_str(), r.value, r.unit.c_str(), procs_, r.n, check);
    }
    std::fflush(stdout);
    return problem_.empty();
}

} // namespace perf
