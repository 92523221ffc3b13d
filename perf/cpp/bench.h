// What every workload in C++ uses, on weir or on Boost.Fiber: sizes, timing, checks and the result line. The twin of
// ../go/bench.go.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace perf {

using Clock = std::chrono::steady_clock;

inline double ns(Clock::duration d) { return std::chrono::duration<double, std::nano>(d).count(); }
inline double ms(Clock::duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

/// sum_below is 0 + 1 + ... + (n-1).
constexpr std::int64_t sum_below(std::int64_t n) { return n * (n - 1) / 2; }

/// Bench is one run of one workload. Used from the main fiber only.
class Bench {
public:
    /// ops: 0, or the exact number of operations for per_op.
    Bench(std::string name, int procs, double scale, std::int64_t ops)
        : name_(std::move(name)), procs_(procs), scale_(scale), ops_(ops) {}

    int procs() const { return procs_; }

    /// count scales a workload's full size; a run never gets smaller than `least`.
    std::int64_t count(std::int64_t full, std::int64_t least) const;

    /// per_op runs body at a tenth of the size as a warm-up, then at size n, or at one that fits into kBudget, and reports the
    /// time of one operation. With a number of operations given it runs body once, at that size.
    template <class Body>
    void per_op(std::int64_t n, Body body) {
        if (ops_ == 0) {
            const std::int64_t trial = n / 10 + 1;
            const auto begun = Clock::now();
            body(trial);
            n = fitting(n, trial, Clock::now() - begun);
        } else {
            n = ops_;
        }
        const auto start = Clock::now();
        body(n);
        report("", ns(Clock::now() - start) / static_cast<double>(n), "ns", n);
    }

    /// report adds a figure; `part` names one of several figures of a workload ("parked_million.rss").
    void report(std::string_view part, double value, std::string_view unit, std::int64_t n);

    /// expect records a failed check: the run then prints it in place of "ok" and the program exits with status 1.
    void expect(std::string_view what, std::int64_t got, std::int64_t want);

    /// print writes the result lines; false when a check failed.
    bool print() const;

private:
    static constexpr std::chrono::milliseconds kBudget{200};

    /// fitting lessens n to what takes about kBudget, going by a trial; never to less than the trial, and to whole thousands.
    static std::int64_t fitting(std::int64_t n, std::int64_t trial, Clock::duration took);

    struct Result {
        std::string name;
        double value;
        std::string unit;
        std::int64_t n;
    };

    std::string name_;
    int procs_;
    double scale_;
    std::int64_t ops_;
    std::string problem_; // the first failed check; empty is good
    std::vector<Result> results_;
};

} // namespace perf
