#include "timers.h"

#include <algorithm>
#include <ctime>
#include <memory>
#include <mutex>
#include <sched.h>
#include <utility>

#include <weir/detail/sched_point.h>
#include "bubble.h"
#include "scheduler.h"
#include "worker.h"

namespace weir::detail {

namespace {
std::atomic<std::int64_t> g_clock{0}; // of a seeded run; 0: none
} // namespace

void set_clock(std::int64_t now) noexcept { g_clock.store(now, std::memory_order_relaxed); }

std::int64_t mono_now() noexcept {
    std::int64_t now = g_clock.load(std::memory_order_relaxed);
    return now != 0 ? now : real_now();
}

std::int64_t real_now() noexcept {
    timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * std::int64_t{1000000000} + ts.tv_nsec;
}

std::int64_t deadline_after(std::int64_t ns) noexcept {
    std::int64_t now = clock_now();
    return ns > kNever - now ? kNever : now + std::max<std::int64_t>(ns, 0);
}

TimerHeap& timer_heap(int index) {
    static auto* mutex = new std::mutex;
    static auto* heaps = new std::vector<std::unique_ptr<TimerHeap>>; // guarded by mutex; never shrinks
    std::lock_guard hold(*mutex);
    auto i = static_cast<std::size_t>(index);
    if (heaps->size() <= i) heaps->resize(i + 1);
    if ((*heaps)[i] == nullptr) (*heaps)[i] = std::make_unique<TimerHeap>();
    return *(*heaps)[i];
}

namespace {

constexpr std::uintptr_t kNobody = 0;
constexpr std::uintptr_t kRunning = 1;

std::uintptr_t pending(const TimerNode& node) noexcept { return reinterpret_cast<std::uintptr_t>(&node); }

/// begin takes the place's node to run its callback; null when it was stopped.
TimerNode* begin(TimerPlace& place) noexcept {
    std::uintptr_t held = place.holds.load(std::memory_order_relaxed);
    // acquire: pairs with the release in insert(); the node's fields are visible. It fails only when the node is stopped meanwhile.
    if (held == kNobody || !place.holds.compare_exchange_strong(held, held | kRunning, std::memory_order_acquire, std::memory_order_relaxed))
        return nullptr;
    return reinterpret_cast<TimerNode*>(held);
}

/// in_turn queues what a callback has woken or started behind what those before have: it would go first, or be started last.
void in_turn() noexcept {
    Worker* w = this_worker();
    if (w == nullptr) return;
    if (Fiber* f = w->next.take()) w->push(f);
}

} // namespace

// ---- the heap ----

bool TimerHeap::before(const Entry& a, const Entry& b) const noexcept {
    if (a.when != b.when) [[likely]] return a.when < b.when;
    return ties_ == Ties::AsArmed && a.place->order < b.place->order;
}

std::uint64_t TimerHeap::next_order() noexcept {
    std::uint32_t drawn = 0;
    return in_seeded_run() && seeded_random(drawn) ? drawn : ++pushed_;
}

void TimerHeap::sift_up(std::size_t i) noexcept {
    const Entry entry = entries_[i];
    while (i > 0) {
        const std::size_t parent = (i - 1) / 4;
        if (!before(entry, entries_[parent])) break;
        entries_[i] = entries_[parent];
        i = parent;
    }
    entries_[i] = entry;
}

void TimerHeap::sift_down(std::size_t i) noexcept {
    const Entry entry = entries_[i];
    for (;;) {
        std::size_t child = 4 * i + 1;
        if (child >= entries_.size()) break;
        const std::size_t last = std::min(child + 4, entries_.size());
        for (std::size_t c = child + 1; c < last; ++c) {
            if (before(entries_[c], entries_[child])) child = c;
        }
        if (!before(entries_[child], entry)) break;
        entries_[i] = entries_[child];
        i = child;
    }
    entries_[i] = entry;
}

void TimerHeap::publish_first() noexcept { first.store(entries_.empty() ? kNever : entries_[0].when, std::memory_order_relaxed); }

void TimerHeap::drop_first() noexcept {
    entries_[0] = entries_.back();
    entries_.pop_back();
    if (!entries_.empty()) sift_down(0);
}

// ---- places and garbage ----

TimerPlace* TimerHeap::take_place() {
    constexpr std::size_t kChunk = 128;
    if (free_places_ == nullptr) {
        auto* chunk = new TimerPlace[kChunk]; // never freed: who stops a node that has fired still looks there
        for (std::size_t i = 0; i < kChunk; ++i) {
            chunk[i].heap = this;
            chunk[i].next_free = i + 1 < kChunk ? &chunk[i + 1] : nullptr;
        }
        free_places_ = chunk;
    }
    TimerPlace* place = free_places_;
    free_places_ = place->next_free;
    return place;
}

void TimerHeap::give_place(TimerPlace* place) noexcept {
    place->next_free = free_places_;
    free_places_ = place;
}

bool TimerHeap::mostly_clean() const noexcept {
    constexpr std::int32_t kFew = 64;
    const std::int32_t garbage = garbage_.load(std::memory_order_relaxed);
    return garbage <= kFew || static_cast<std::size_t>(garbage) <= entries_.size() / 4;
}

/// sweep takes all garbage out at once: linear in the heap's size, and so, as it is done after a quarter, constant for each stop.
void TimerHeap::sweep() noexcept {
    std::int32_t swept = 0;
    std::erase_if(entries_, [&](const Entry& entry) {
        // acquire: pairs with the CAS in timer_stop(), so that the place may be used anew.
        if (entry.place->holds.load(std::memory_order_acquire) != kNobody) return false;
        give_place(entry.place);
        ++swept;
        return true;
    });
    garbage_.fetch_sub(swept, std::memory_order_relaxed);
    for (std::size_t i = entries_.size() / 4 + 1; i-- > 0;) {
        if (i < entries_.size()) sift_down(i);
    }
    publish_first();
}

std::int64_t TimerHeap::next() noexcept {
    if (garbage_.load(std::memory_order_relaxed) == 0) return first.load(std::memory_order_relaxed);
    const std::lock_guard hold(lock);
    if (!mostly_clean()) sweep();
    while (!entries_.empty() && entries_[0].place->holds.load(std::memory_order_acquire) == kNobody) {
        give_place(entries_[0].place);
        drop_first();
        garbage_.fetch_sub(1, std::memory_order_relaxed);
    }
    publish_first();
    return first.load(std::memory_order_relaxed);
}

// ---- arming and running ----

void TimerHeap::insert(TimerNode& node) {
    if (!mostly_clean()) sweep();
    node.place = take_place();
    // release: pairs with the acquire in begin() and timer_stop(); publishes the node.
    node.place->holds.store(pending(node), std::memory_order_release);
    if (ties_ == Ties::Any) node.place->wakes = node.wakes;
    push({node.when, node.place});
}

void TimerHeap::push(Entry entry) {
    if (ties_ == Ties::AsArmed) entry.place->order = next_order();
    entries_.push_back(entry);
    sift_up(entries_.size() - 1);
    publish_first();
}

/// run_due fetches the memory of all that is due before it touches any: nodes lie on stacks that have left the caches.
bool TimerHeap::run_due(std::int64_t now) {
    Entry due[kBatch];
    std::size_t n = 0;
    {
        const std::lock_guard hold(lock);
        if (busy_) return false;
        n = take_due(now, due);
        if (n == 0) return false;
        busy_ = true;
    }
    for (std::size_t i = 0; i < n; ++i) {
        __builtin_prefetch(reinterpret_cast<void*>(due[i].place->holds.load(std::memory_order_relaxed)));
        if (ties_ == Ties::Any) __builtin_prefetch(due[i].place->wakes, 1);
    }
    std::size_t again = 0; // of due, those that go back into the heap stand first
    TimerPlace* done = nullptr;
    bool any = false;
    for (std::size_t i = 0; i < n; ++i) {
        const Fired fired = fire(due[i], now);
        any |= fired != Fired::Not;
        if (fired == Fired::Again) {
            due[again++] = due[i];
        } else {
            due[i].place->next_free = std::exchange(done, due[i].place);
        }
        if (fired == Fired::Not) garbage_.fetch_sub(1, std::memory_order_relaxed);
    }
    {
        const std::lock_guard hold(lock);
        while (done != nullptr) give_place(std::exchange(done, done->next_free));
        for (std::size_t i = 0; i < again; ++i) push(due[i]);
        busy_ = false;
    }
    // While they were out of the heap a worker may have gone to sleep for good.
    if (again != 0) scheduler_timer_armed(first.load(std::memory_order_relaxed));
    return any;
}

void TimerHeap::run_all_due(std::int64_t now) {
    constexpr int kPatience = 1000; // with another thread that is at it
    for (int i = 0; i < kPatience && first.load(std::memory_order_relaxed) <= now; ++i) {
        if (run_due(now)) continue;
        sched_yield();
        sched_point(); // as in timer_stop()
    }
}

std::size_t TimerHeap::take_due(std::int64_t now, Entry (&due)[kBatch]) noexcept {
    std::size_t n = 0;
    while (n < kBatch && !entries_.empty() && entries_[0].when <= now) {
        __builtin_prefetch(entries_[0].place, 1);
        due[n++] = entries_[0];
        drop_first();
    }
    publish_first();
    return n;
}

/// fire runs the callback of the entry's node, if that has not been stopped, and moves the entry of a periodic one on.
TimerHeap::Fired TimerHeap::fire(Entry& entry, std::int64_t now) {
    TimerNode* node = begin(*entry.place);
    if (node == nullptr) return Fired::Not;
    const bool again = node->period > 0;
    if (again) entry.when += node->period * (1 + (now - entry.when) / node->period); // ticks missed are dropped
    node->callback(*node);
    if (ties_ == Ties::AsArmed) in_turn();
    // release: pairs with the acquire in timer_stop(), which waits for it.
    entry.place->holds.store(again ? pending(*node) : kNobody, std::memory_order_release);
    return again ? Fired::Again : Fired::Once;
}

void TimerHeap::forget_all() noexcept {
    const std::lock_guard hold(lock);
    for (const Entry& entry : entries_) {
        entry.place->holds.store(kNobody, std::memory_order_release);
        give_place(entry.place);
    }
    entries_.clear();
    garbage_.store(0, std::memory_order_relaxed);
    publish_first();
}

bool TimerHeap::drop_all() {
    std::vector<TimerNode*> dropped;
    {
        const std::lock_guard hold(lock);
        for (const Entry& entry : entries_) {
            // acq_rel: as in timer_stop()
            auto* node = reinterpret_cast<TimerNode*>(entry.place->holds.exchange(kNobody, std::memory_order_acq_rel));
            if (node != nullptr && node->dropped != nullptr) dropped.push_back(node); // the others may be gone from here on
            give_place(entry.place);
        }
        entries_.clear();
        garbage_.store(0, std::memory_order_relaxed);
        publish_first();
    }
    for (TimerNode* node : dropped) node->dropped(*node);
    return !dropped.empty();
}

void TimerHeap::arm(TimerNode& node, std::int64_t when) {
    const std::lock_guard hold(lock);
    node.when = when;
    insert(node);
}

void timer_arm(TimerNode& node, std::int64_t when) {
    if (Bubble* b = node.bubble) {
        b->timers.arm(node, when);
        if (when <= b->now) b->timers.run_all_due(b->now); // before the bubble blocks: Timer(0s) can be received from at once, as in Go
        return;
    }
    scheduler_timer_heap().arm(node, when);
    scheduler_timer_armed(when);
}

bool timer_stop(TimerNode& node) noexcept {
    TimerPlace* place = node.place;
    if (place == nullptr) return false;
    std::uintptr_t held = pending(node);
    // release: whoever uses the place next comes after. acquire: pairs with the release in run_due(); the callback is over.
    while (!place->holds.compare_exchange_strong(held, kNobody, std::memory_order_acq_rel, std::memory_order_acquire)) {
        if (held != (pending(node) | kRunning)) return false; // it has fired; another node may stand there now
        sched_yield();
        sched_point(); // a bubble's callback may be a seeded run's that has been interrupted
        held = pending(node);
    }
    place->heap->left_garbage();
    return true;
}

} // namespace weir::detail
