#include "seeded.h"

#include <algorithm>
#include <utility>

#include <weir/detail/sched_point.h>
#include "deadlock.h"
#include "poller.h"
#include "reporter.h"
#include "scheduler.h"
#include "worker.h"

namespace weir::detail {

std::atomic<bool> g_seeded{false};

namespace {

constexpr std::int64_t kLookAgain = 1'000'000'000; // ns between two looks at threads that weir does not know
constexpr std::int64_t kFlushReports = 1'000'000'000;
constexpr std::uint64_t kPaces = 4;
constexpr std::uint64_t kPollEvery = 64; // points, while sockets or signals are waited for

bool commit_runnable(void* fiber) {
    auto* f = static_cast<Fiber*>(fiber);
    f->state.store(FiberState::Runnable, std::memory_order_relaxed);
    this_worker()->push(f);
    return true;
}

/// Borrowed is the calling thread while it is the worker: what belongs to its own context is put back.
class Borrowed {
public:
    Borrowed() noexcept : eh_(*eh_globals_address()), errno_(*errno_address()) {
        set_clock(real_now());
        g_seeded.store(true, std::memory_order_relaxed);
    }
    ~Borrowed() {
        g_seeded.store(false, std::memory_order_relaxed);
        set_clock(0);
        *eh_globals_address() = eh_;
        *errno_address() = errno_;
    }
    Borrowed(const Borrowed&) = delete;
    Borrowed& operator=(const Borrowed&) = delete;

private:
    const EhGlobals eh_;
    const int errno_;
};

} // namespace

Seeded::Seeded(Scheduler& s, std::uint64_t seed, Trial* trial) noexcept : sched_(s), seed_(seed), state_(seed), trial_(trial) {
    switch_one_in_ = std::uint64_t{1} << draw(kPaces);
}

void Seeded::run() {
    auto* w = new Worker(sched_, 0); // the scheduler's from here on
    w->attention.store(Worker::kSeeded, std::memory_order_relaxed);
    sched_.workers[0].store(w, std::memory_order_relaxed);
    sched_.worker_count.store(1, std::memory_order_release); // release: pairs with the acquire in for_each_worker()
    Borrowed thread;
    w->main();
    sched_.stopping.store(true, std::memory_order_seq_cst);
}

/// draw is splitmix64: consecutive seeds give unrelated runs.
std::uint64_t Seeded::draw(std::uint64_t n) noexcept {
    std::uint64_t x = state_ += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return ((x ^ (x >> 31)) >> 32) * n >> 32;
}

// ---- who is next ----

Fiber* Seeded::next(Worker& w) {
    for (;;) {
        if (over()) return nullptr;
        if (chosen_ != nullptr) return std::exchange(chosen_, nullptr);
        count_point();
        gather(w);
        if (!runnable_.empty()) return take(draw(runnable_.size()));
        idle();
    }
}

void Seeded::point(Worker& w) noexcept {
    Fiber* self = w.current;
    if (self == nullptr || no_points > 0) return;
    count_point();
    gather(w);
    std::uint64_t i = draw(switch_one_in_) == 0 ? draw(runnable_.size() + 1) : runnable_.size();
    bool stays = i == runnable_.size();
    if (stays && (trial_ == nullptr || !trial_->failed())) return;
    if (!stays) chosen_ = take(i);
    w.leaving = {self, commit_runnable, self};
    switch_away(&w, nullptr);
}

void Seeded::count_point() {
    if (++points_ % kPollEvery == 0 && anything_outside()) sched_.poller->poll(0);
    if (trial_ != nullptr && points_ > trial_->max_points) trial_->endless = true;
}

bool Seeded::over() {
    if (trial_ != nullptr && trial_->failed()) return true;
    if (sched_.main_done.load(std::memory_order_relaxed) == 0) return false;
    if (reports_idle()) return true;
    std::int64_t now = real_now();
    if (flush_until_ == 0) flush_until_ = now + kFlushReports;
    return now >= flush_until_;
}

/// gather empties the worker's queues and the global one.
void Seeded::gather(Worker& w) {
    while (Fiber* f = w.queue.pop()) runnable_.push_back(f);
    while (Fiber* f = w.starts.pop()) runnable_.push_back(f);
    if (Fiber* f = w.next.take()) runnable_.push_back(f);
    Fiber* batch[64];
    while (sched_.global_count.load(std::memory_order_relaxed) > 0) {
        std::size_t n = sched_.take_global(batch, std::size(batch), w.consumer);
        runnable_.insert(runnable_.end(), batch, batch + n);
    }
}

Fiber* Seeded::take(std::size_t i) noexcept {
    Fiber* f = std::exchange(runnable_[i], runnable_.back());
    runnable_.pop_back();
    return f;
}

void Seeded::published() noexcept {
    if (Worker* w = this_worker()) return point(*w);
    if (sched_.worker_count.load(std::memory_order_acquire) != 0) sched_.poller->interrupt();
}

// ---- nobody can run ----

bool Seeded::anything_outside() noexcept {
    return sched_.poller->waiters() > 0 || sched_.wake_sources.load(std::memory_order_relaxed) > 0;
}

void Seeded::idle() {
    std::int64_t first = sched_.next_timer();
    if (anything_outside()) return wait_outside(first);
    if (first == kNever) return deadlocked();
    set_clock(std::max(first, mono_now()));
    sched_.coarse_now.store(mono_now(), std::memory_order_relaxed);
    sched_.run_timers(mono_now());
}

/// wait_outside waits for sockets, signals and other threads. They live in real time, so that the clock goes with it, as far as
/// the next timer.
void Seeded::wait_outside(std::int64_t until) {
    std::int64_t now = mono_now();
    std::int64_t began = real_now();
    sched_.poller->poll(until == kNever ? kLookAgain : std::max<std::int64_t>(until - now, 0));
    set_clock(std::min(now + (real_now() - began), std::max(until, now)));
    sched_.coarse_now.store(mono_now(), std::memory_order_relaxed);
    if (until <= mono_now()) sched_.run_timers(mono_now());
}

void Seeded::deadlocked() {
    if (sched_.main_done.load(std::memory_order_relaxed) != 0) {
        flush_until_ = real_now(); // a panic handler that waits for ever
    } else if (threads_outside() > (trial_ != nullptr ? trial_->threads_before : 0)) {
        wait_outside(kNever);
    } else if (sched_.global_count.load(std::memory_order_relaxed) > 0) {
        return; // the last thread outside readied a fiber after gather(), and ended before it was counted
    } else if (trial_ != nullptr) {
        trial_->text = deadlock_text(sched_);
    } else {
        report_deadlock(sched_);
    }
}

// ---- for the rest of weir ----

Seeded* seeded() noexcept {
    Scheduler* s = scheduler();
    return s != nullptr ? s->seeded.get() : nullptr;
}

Trial* current_trial() noexcept {
    Seeded* s = seeded();
    return s != nullptr ? s->trial() : nullptr;
}

std::string seed_note() {
    Seeded* s = seeded();
    return s != nullptr ? "\nweir: a seeded run; WEIR_SEED=" + std::to_string(s->seed()) + " repeats it\n" : "";
}

void sched_point_slow() noexcept {
    if (Worker* w = this_worker()) w->sched.seeded->point(*w);
}

void NoSchedPoints::add(int n) noexcept {
    Worker* w = this_worker();
    if (w != nullptr && w->sched.seeded != nullptr) w->sched.seeded->no_points += n;
}

bool seeded_random(std::uint32_t& number) noexcept {
    Worker* w = this_worker();
    if (w == nullptr) return false;
    number = static_cast<std::uint32_t>(w->sched.seeded->draw(std::uint64_t{1} << 32));
    return true;
}

} // namespace weir::detail
