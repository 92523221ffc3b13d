#include "monitor.h"

#include <weir/detail/fence.h>
#include "futex.h"
#include "poller.h"
#include "worker.h"

namespace weir::detail {

namespace {

constexpr std::int64_t kTick = 10'000'000;      // ns
constexpr int kIdleTicks = 20;                  // quiet ticks before the monitor itself sleeps
constexpr std::size_t kTrimPerTick = 2000;
constexpr unsigned kTrimPeriod = 100;           // ticks: a stack that nobody has wanted for so long is spare

} // namespace

Monitor::Monitor(Scheduler& s) : sched_(s), thread_([this] { main(); }) {}

Monitor::~Monitor() {
    stop_.store(1, std::memory_order_release); // release: pairs with the acquire in main()
    futex_wake(stop_);
    sched_.monitor_wake.store(1, std::memory_order_release);
    futex_wake(sched_.monitor_wake);
    thread_.join();
}

void Monitor::main() {
    int quiet = 0;
    while (stop_.load(std::memory_order_acquire) == 0) {
        futex_wait(stop_, 0, kTick);
        sched_.coarse_now.store(mono_now(), std::memory_order_relaxed);
        quiet = look() ? 0 : quiet + 1;
        if (quiet < kIdleTicks) continue;
        sched_.monitor_wake.store(0, std::memory_order_relaxed);
        sched_.monitor_asleep.store(true, std::memory_order_seq_cst);
        heavy_fence(); // pairs with the light_fence in wake_monitor()
        while (!look() && sched_.monitor_wake.load(std::memory_order_acquire) == 0 && stop_.load(std::memory_order_acquire) == 0) {
            futex_wait(sched_.monitor_wake, 0);
        }
        sched_.monitor_asleep.store(false, std::memory_order_relaxed);
        // A worker may have woken and found nothing to run (a timer stopped meanwhile): the next tick shows that, and the monitor sleeps on.
        quiet = kIdleTicks - 1;
    }
}

/// look checks every worker; false when none has run anything since the last look, and nothing is left to do.
bool Monitor::look() {
    bool running = false;
    bool ran = false;
    bool work_waits = sched_.any_work();
    std::int64_t now = mono_now();
    if (sched_.next_timer() <= now) work_waits = true;
    std::size_t count = static_cast<std::size_t>(sched_.worker_count.load(std::memory_order_acquire));
    seen_.resize(std::max(seen_.size(), count));
    for (std::size_t i = 0; i < count; ++i) {
        Worker& w = *sched_.workers[i].load(std::memory_order_relaxed);
        if (w.running.load(std::memory_order_relaxed)) {
            running = true;
            look_at(w, seen_[i], work_waits);
        } else if (const std::uint32_t switches = w.switches.load(std::memory_order_relaxed); switches != seen_[i].switches) {
            ran = true;
            seen_[i].switches = switches;
        }
    }
    if (running) look_after_idle_duties();
    const bool trims = stack_trim(kTrimPerTick, ++ticks_ % kTrimPeriod == 0);
    return running || ran || trims;
}

void Monitor::look_at(Worker& w, Seen& seen, bool work_waits) {
    std::uint32_t switches = w.switches.load(std::memory_order_relaxed);
    std::uint32_t slices = w.slices.load(std::memory_order_relaxed);
    if (switches == seen.switches) {
        if (work_waits && w.mode.load(std::memory_order_relaxed) == WorkerMode::Seated) {
            sched_.detach(w);
            sched_.notify_from_outside();
        }
    } else if (slices == seen.slices) {
        w.attention.fetch_or(Worker::kSliceExpired, std::memory_order_release); // release: pairs with the acquire in find_work()
    }
    seen = {switches, slices};
}

/// look_after_idle_duties does what an idle worker would when there is none: sockets, signals, timers.
void Monitor::look_after_idle_duties() {
    if (sched_.poll_until.load(std::memory_order_relaxed) != kNotPolling) return;
    if (sched_.poller->waiters() > 0 || sched_.wake_sources.load(std::memory_order_relaxed) > 0) sched_.poller->poll(0);
    if (sched_.next_timer() <= mono_now()) sched_.notify_from_outside();
}

} // namespace weir::detail
