// Seeded: the scheduler of a seeded run. One worker, which is the thread that called run; the next fiber is always drawn from the
// seed.
//
// The worker's attention always has kSeeded set, so that no fiber switches to another by itself: each goes through find_work(),
// that is next(). The usual queues are only the way in; next() empties them into `runnable_`, whose order depends on nothing but
// the draws before. No seat is ever taken, so that notify() always comes to published(), a point. Hence nothing of this is on a
// path that other runs take.
//
// The clock stands while anything can run. So no timer callback ever meets a fiber that was interrupted in the middle of
// something, and none has to wait for it: it could not. A bubble's timers are run by a fiber, which may be interrupted in them: who waits for one gives way.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <weir/runtime.h>
#include "fiber.h"

namespace weir::detail {

struct Obituary;
struct Scheduler;
struct Worker;

/// Trial is what explore() wants of a run, and what comes of it. The first failure ends the run.
struct Trial {
    std::uint64_t max_points = 0;
    int threads_before = 0;                // of the process: those say nothing about a deadlock
    std::shared_ptr<const Obituary> panic; // the first uncaught one
    bool endless = false;                  // more points than max_points
    std::string text;                      // the report: of a deadlock at once, of a panic once the run is over

    bool failed() const noexcept { return panic != nullptr || endless || !text.empty(); }
};

class Seeded {
public:
    Seeded(Scheduler& s, std::uint64_t seed, Trial* trial) noexcept;
    Seeded(const Seeded&) = delete;
    Seeded& operator=(const Seeded&) = delete;

    /// run runs the fibers on the calling thread until the main one has ended and its reports are out, or the trial has failed.
    void run();

    /// next is the fiber to go on with; null at the end of the run.
    Fiber* next(Worker& w);
    /// point may switch the calling fiber for another.
    void point(Worker& w) noexcept;
    /// published: a fiber has become runnable, by a fiber, a callback, or another thread.
    void published() noexcept;

    std::uint64_t seed() const noexcept { return seed_; }
    Trial* trial() const noexcept { return trial_; }
    int no_points = 0; // > 0: point() does nothing (NoSchedPoints)

    /// draw is a number below n, which is at most 2^32.
    std::uint64_t draw(std::uint64_t n) noexcept;

private:
    void count_point();
    bool over();
    void gather(Worker& w);
    Fiber* take(std::size_t i) noexcept;
    void idle();
    void wait_outside(std::int64_t until);
    bool anything_outside() noexcept;
    void deadlocked();

    Scheduler& sched_;
    const std::uint64_t seed_;
    std::uint64_t state_;         // of the generator
    Trial* const trial_;          // null: an ordinary run
    std::uint64_t switch_one_in_; // points; other runs than those that switch at nearly each are needed to get one fiber far
                                  // ahead of another
    std::vector<Fiber*> runnable_;
    Fiber* chosen_ = nullptr; // by point(): what next() returns
    std::uint64_t points_ = 0;
    std::int64_t flush_until_ = 0; // real time; once main has ended
};

/// run_trial is one run of an exploration; returns the main function's status.
int run_trial(const Options& options, MainFn call, void* fn, Trial& trial);

/// seed_variable is WEIR_SEED. Panics when it is set to something else than a number.
std::optional<std::uint64_t> seed_variable();

/// seeded is the running scheduler's, or null.
Seeded* seeded() noexcept;

/// current_trial is the running scheduler's, or null.
Trial* current_trial() noexcept;

/// seed_note says how to repeat a seeded run, for the end of a fatal report; empty in any other run.
std::string seed_note();

} // namespace weir::detail
