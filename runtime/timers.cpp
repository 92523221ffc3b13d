#include "timers.h"

#include <algorithm>
#include <ctime>
#include <memory>
#include <mutex>
#include <sched.h>

#include "bubble.h"
#include "scheduler.h"

namespace weir::detail {

std::int64_t mono_now() noexcept {
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

void TimerHeap::place(Entry entry, std::size_t i) noexcept {
    nodes[i] = entry;
    entry.node->index = static_cast<std::uint32_t>(i);
}

void TimerHeap::sift_up(std::size_t i) noexcept {
    Entry entry = nodes[i];
    while (i > 0) {
        std::size_t parent = (i - 1) / 4;
        if (nodes[parent].when <= entry.when) break;
        place(nodes[parent], i);
        i = parent;
    }
    place(entry, i);
}

void TimerHeap::sift_down(std::size_t i) noexcept {
    Entry entry = nodes[i];
    for (;;) {
        std::size_t child = 4 * i + 1;
        if (child >= nodes.size()) break;
        std::size_t last = std::min(child + 4, nodes.size());
        for (std::size_t c = child + 1; c < last; ++c) {
            if (nodes[c].when < nodes[child].when) child = c;
        }
        if (entry.when <= nodes[child].when) break;
        place(nodes[child], i);
        i = child;
    }
    place(entry, i);
}

void TimerHeap::publish_first() noexcept { first.store(nodes.empty() ? kNever : nodes[0].when, std::memory_order_relaxed); }

void TimerHeap::insert(TimerNode& node) {
    nodes.push_back({node.when, &node});
    node.armed = true;
    sift_up(nodes.size() - 1);
    publish_first();
}

void TimerHeap::remove(TimerNode& node) noexcept {
    std::size_t i = node.index;
    Entry last = nodes.back();
    nodes.pop_back();
    node.armed = false;
    if (last.node != &node) {
        place(last, i);
        sift_up(i);
        sift_down(last.node->index);
    }
    publish_first();
}

bool TimerHeap::run_due(std::int64_t now) {
    std::unique_lock hold(lock);
    if (busy) return false;
    bool any = false;
    busy = true;
    while (!nodes.empty() && nodes[0].when <= now) {
        TimerNode* node = nodes[0].node;
        remove(*node);
        if (node->period > 0) {
            node->when += node->period * (1 + (now - node->when) / node->period); // ticks missed are dropped
            insert(*node);
        }
        TimerNode::Callback callback = node->callback;
        running = node;
        hold.unlock();
        callback(*node);
        hold.lock();
        running = nullptr;
        any = true;
    }
    busy = false;
    return any;
}

void TimerHeap::forget_all() noexcept {
    std::lock_guard hold(lock);
    for (Entry& entry : nodes) entry.node->armed = false;
    nodes.clear();
    publish_first();
}

void TimerHeap::drop_all() {
    std::vector<Entry> dropped;
    {
        std::lock_guard hold(lock);
        for (Entry& entry : nodes) entry.node->armed = false;
        std::erase_if(nodes, [](const Entry& entry) { return entry.node->dropped == nullptr; }); // those may be gone from here on
        dropped.swap(nodes);
        publish_first();
    }
    for (Entry& entry : dropped) entry.node->dropped(*entry.node);
}

void TimerHeap::arm(TimerNode& node, std::int64_t when) {
    std::lock_guard hold(lock);
    node.when = when;
    node.heap = this;
    insert(node);
}

void timer_arm(TimerNode& node, std::int64_t when) {
    if (Bubble* b = node.bubble) {
        b->timers.arm(node, when);
        if (when <= b->now) b->timers.run_due(b->now); // before the bubble blocks: Timer(0s) can be received from at once, as in Go
        return;
    }
    scheduler_timer_heap().arm(node, when);
    scheduler_timer_armed(when);
}

bool timer_stop(TimerNode& node) noexcept {
    TimerHeap* heap = node.heap;
    if (heap == nullptr) return false;
    std::unique_lock hold(heap->lock);
    bool pending = node.armed;
    if (pending) heap->remove(node);
    while (heap->running == &node) {
        hold.unlock();
        sched_yield();
        hold.lock();
    }
    return pending;
}

} // namespace weir::detail
