// How a worker without work takes that of others, and how long it goes on looking.
#include <algorithm>
#include <mutex>
#include <utility>

#include "futex.h"
#include "poller.h"
#include "scheduler.h"
#include "worker.h"

namespace weir::detail {

namespace {

constexpr int kSpinRounds = 24;
constexpr int kPausesARound = 40;
constexpr std::int64_t kFirstNap = 20'000;          // ns; each is twice as long as the last,
constexpr std::int64_t kLongestNap = 100'000;      // which is how late a thief may come,
constexpr std::int64_t kBriskSwitch = 150;         // while the others take less than this from switch to switch

/// switches_within counts the victim's while the caller pauses. What it will soon come to by itself is not worth the cache lines that stealing moves.
std::uint32_t switches_within(const Worker& victim, int pauses) noexcept {
    const std::uint32_t before = victim.switches.load(std::memory_order_relaxed);
    for (int i = 0; i < pauses; ++i) cpu_pause();
    return victim.switches.load(std::memory_order_relaxed) - before;
}

} // namespace

Fiber* Worker::steal() {
    int n = sched.worker_count.load(std::memory_order_acquire);
    if (n < 2) return nullptr;
    std::int64_t now = 0;
    int start = static_cast<int>(next_random() % static_cast<std::uint32_t>(n));
    for (int i = 0; i < n; ++i) {
        Worker& victim = *sched.workers[(start + i) % n].load(std::memory_order_relaxed);
        if (&victim == this) continue;
        if (Fiber* f = steal_from(victim)) return f;
        if (victim.timers.first.load(std::memory_order_relaxed) != kNever) {
            if (now == 0) now = mono_now();
            if (victim.timers.first.load(std::memory_order_relaxed) <= now && victim.timers.run_due(now)) {
                if (Fiber* f = look_nearby(false)) return f;
            }
        }
    }
    if (sched.foreign_timers.first.load(std::memory_order_relaxed) != kNever) sched.foreign_timers.run_due(now != 0 ? now : mono_now());
    return nullptr;
}

Fiber* Worker::steal_from(Worker& victim) {
    Fiber* batch[RunQueue::kSize / 2 + 1];
    if (std::uint32_t n = victim.starts.steal(batch, StartStack::kSize / 2); n != 0) {
        for (std::uint32_t i = 1; i < n; ++i) push_start(batch[i]);
        return batch[0];
    }
    const std::uint32_t waiting = victim.queue.size();
    if (waiting == 0 || switches_within(victim, 2 * kPausesARound) >= waiting) return nullptr;
    std::uint32_t room = (RunQueue::kSize - queue.size()) / 2;
    std::uint32_t n = victim.queue.steal(batch, room + 1);
    if (n == 0) return nullptr;
    for (std::uint32_t i = 1; i < n; ++i) push(batch[i]);
    return batch[0];
}

/// steal_from_detached looks after the queues that nobody owns for now: workers that never run out of work would not get to them by stealing.
Fiber* Worker::steal_from_detached() {
    for (int i = 0, n = sched.worker_count.load(std::memory_order_acquire); i < n; ++i) {
        Worker& victim = *sched.workers[i].load(std::memory_order_relaxed);
        if (&victim == this || victim.mode.load(std::memory_order_relaxed) != WorkerMode::Detached) continue;
        if (Fiber* f = steal_from(victim)) return f;
        if (Fiber* f = victim.next.steal()) return f;
    }
    return nullptr;
}

/// steal_next takes what a victim has made ready and would run next, but only once the victim has not switched for a while: a pair that hands
/// over to each other is faster left alone.
Fiber* Worker::steal_next(Worker& victim) {
    if (victim.next.peek() == nullptr) return nullptr;
    return switches_within(victim, 3 * kPausesARound) == 0 ? victim.next.steal() : nullptr;
}

bool Worker::start_spinning() noexcept {
    if (spinning) return true;
    if (sched.worker_count.load(std::memory_order_relaxed) < 2) return false; // nobody to steal from
    int spinners = sched.spinning.load(std::memory_order_relaxed) - sched.napping.load(std::memory_order_relaxed);
    if (2 * spinners >= sched.procs.load(std::memory_order_relaxed)) return false;
    sched.spinning.fetch_add(1, std::memory_order_seq_cst);
    spinning = true;
    return true;
}

/// spin looks for work until there is some, or it has looked for long enough.
Fiber* Worker::spin() {
    const int rounds = nap_ns == 0 && sched.procs.load(std::memory_order_relaxed) > 1 ? kSpinRounds : 1; // alone it looks at what others have left
    if (nap_ns == 0) {
        seen_at = mono_now();
        seen_switches = others_switches();
    }
    for (int round = 0; round < rounds; ++round) {
        if (Fiber* f = steal()) return f;
        if (Fiber* f = look_nearby(false)) return f;
        if (attention.load(std::memory_order_relaxed) & kStop) return nullptr;
        for (int i = 0; i < kPausesARound && rounds > 1; ++i) cpu_pause();
    }
    for (int i = 0, n = sched.worker_count.load(std::memory_order_acquire); i < n; ++i) {
        Worker& victim = *sched.workers[i].load(std::memory_order_relaxed);
        if (&victim == this) continue;
        if (Fiber* f = steal_next(victim)) return f;
    }
    return nullptr;
}

/// found_work ends spinning; the last spinner to do so wakes another worker if it leaves work behind.
void Worker::found_work() noexcept {
    spinning = false;
    const bool napped = std::exchange(nap_ns, 0) != 0; // and may have been the one that polled
    if (sched.spinning.fetch_sub(1, std::memory_order_seq_cst) == 1 && (napped || sched.any_work())) sched.notify();
}

/// others_switches is how often the other workers have switched so far.
std::uint32_t Worker::others_switches() const noexcept {
    std::uint32_t sum = 0;
    sched.for_each_worker([&](const Worker& w) {
        if (&w != this) sum += w.switches.load(std::memory_order_relaxed);
    });
    return sum;
}

/// nap stands for sleep() while the others switch so fast that what a thief could take is not worth it: fibers that hand over to each other. Asleep,
/// it would be woken by the next hand-over, for nothing, and each time cost the others a system call and an interrupt. It still counts as spinning, so that
/// nobody wakes it, and looks again soon; false if it had better sleep.
bool Worker::nap() {
    if (!spinning) return false;
    const std::int64_t now = mono_now();
    const std::uint32_t switched = others_switches();
    const bool brisk = static_cast<std::int64_t>(switched - std::exchange(seen_switches, switched)) * kBriskSwitch > now - std::exchange(seen_at, now);
    if (!brisk) {
        nap_ns = 0;
        return false;
    }
    nap_ns = std::clamp(2 * nap_ns, kFirstNap, kLongestNap);
    wake.store(0, std::memory_order_relaxed);
    napping.store(true, std::memory_order_relaxed);
    sched.napping.fetch_add(1, std::memory_order_relaxed);
    if (start_polling()) {
        const std::int64_t until = std::min(now + nap_ns, sched.next_timer());
        sched.poll_until.store(until, std::memory_order_relaxed);
        sched.poller->poll(std::max<std::int64_t>(until - now, 0));
        stop_polling();
    } else {
        futex_wait(wake, 0, nap_ns);
    }
    sched.napping.fetch_sub(1, std::memory_order_relaxed);
    napping.store(false, std::memory_order_relaxed);
    return true;
}

/// start_polling makes this worker the one that may block in the poller, if there is none.
bool Worker::start_polling() noexcept {
    std::lock_guard hold(sched.idle_lock);
    if (sched.polling != nullptr) return false;
    sched.polling = this;
    return true;
}

void Worker::stop_polling() noexcept {
    std::lock_guard hold(sched.idle_lock);
    sched.polling = nullptr;
    sched.poll_until.store(kNotPolling, std::memory_order_relaxed);
}

} // namespace weir::detail
