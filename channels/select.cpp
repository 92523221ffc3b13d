// select: Go's selectgo.
//
// Look which cases are ready, choose one of them at random and try it, as a send or receive that does not block; until it succeeds or none is ready.
// Then lock every channel (in address order, each once), make sure that still none is, and put one ChanWaiter on every channel's list, all sharing
// one `won` word; park, unlocking all. Whoever claims the word completes that case. The winner, once awake, takes its other waiters off the lists.
//
// The frame of a parked select may not go before its commit has unlocked the last channel, the first in order. It has when somebody else has had that
// channel's lock: the waker, if that case won, else dequeue().
#include <bit>
#include <functional>
#include <new>
#include <utility>

#include <weir/detail/cell.h>
#include <weir/detail/chan_core.h>
#include <weir/detail/planted.h>
#include <weir/detail/sched_point.h>
#include <weir/detail/timer.h>
#include <weir/panic.h>

namespace weir::detail {

namespace {

std::uint32_t random_number() noexcept {
    static thread_local std::uint32_t state = 0; // never used across a park
    std::uint32_t x = state;
    if (x == 0) x = static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(&state) >> 4) * 2654435761u | 1u;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return state = x;
}

/// one_in is true once in n times; drawn from the seed for a fiber of a seeded run.
bool one_in(std::size_t n) noexcept {
    std::uint32_t drawn;
    if (!in_seeded_run() || !seeded_random(drawn)) drawn = random_number();
    return static_cast<std::uint64_t>(drawn) * n >> 32 == 0;
}

struct SelectTimer : TimerNode {
    Waiter* waiter = nullptr; // any of the select's: all share the won word and the fiber
    bool fired = false;
};

/// Selecting is one select while it runs. On the selecting stack.
struct Selecting {
    SelectEntry* entries;
    SelectWait* waits;
    std::size_t n;        // cases
    std::size_t live = 0; // those with a channel: lock_order lists so many
    std::atomic<std::uint32_t> won{0};
    ChanWaiter* winner = nullptr;
    SelectTimer* timer = nullptr; // of one with a limit, when it blocks

    SelectEntry& in_order(std::size_t i) const noexcept { return entries[entries[i].lock_order]; }
    ChanCore* locked(std::size_t i) const noexcept { return in_order(i).core; }
    ChanWaiter& waiter_of(const SelectEntry& e) const noexcept { return waits[&e - entries].waiter; }

    /// order_locks sorts the cases by the addresses of their channels.
    void order_locks() noexcept {
        auto less = [this](std::uint32_t a, std::uint32_t b) { return std::less<>{}(entries[a].core, entries[b].core); };
        for (std::size_t i = 0; i < n; ++i) {
            if (entries[i].core != nullptr) entries[live++].lock_order = static_cast<std::uint32_t>(i);
        }
        if (live > 16) return heap_sort(less);
        for (std::size_t i = 1; i < live; ++i) {
            std::uint32_t x = entries[i].lock_order;
            std::size_t j = i;
            for (; j > 0 && less(x, entries[j - 1].lock_order); --j) entries[j].lock_order = entries[j - 1].lock_order;
            entries[j].lock_order = x;
        }
    }

    template <class Less>
    WEIR_COLD void heap_sort(Less less) noexcept {
        auto at = [this](std::size_t i) -> std::uint32_t& { return entries[i].lock_order; };
        auto sift = [&](std::size_t i, std::size_t end) {
            for (std::size_t child; (child = 2 * i + 1) < end; i = child) {
                if (child + 1 < end && less(at(child), at(child + 1))) ++child;
                if (!less(at(i), at(child))) break;
                std::swap(at(i), at(child));
            }
        };
        for (std::size_t i = live / 2; i-- > 0;) sift(i, live);
        for (std::size_t end = live; end-- > 1;) {
            std::swap(at(0), at(end));
            sift(0, end);
        }
    }

    void lock_all() noexcept {
        ChanCore* last = nullptr;
        for (std::size_t i = 0; i < live; ++i) {
            if (ChanCore* c = locked(i); c != last) (last = c)->lock.lock();
        }
    }

    /// unlock_all releases every lock. After the last one this object may be gone.
    void unlock_all() noexcept {
        for (std::size_t i = live; i-- > 0;) {
            ChanCore* c = locked(i);
            if (i > 0 && locked(i - 1) == c) continue;
            c->lock.unlock();
        }
    }
};

/// is_ready tells whether a case could run now; without its channel's lock it is a hint.
bool is_ready(const SelectEntry& e, std::uint8_t flags) noexcept {
    const ChanCore& c = *e.core;
    bool closed = (flags & ChanCore::kClosed) != 0;
    std::size_t count = c.count.load(std::memory_order_relaxed);
    if (e.is_send) return closed || !c.receivers.empty() || count < c.capacity;
    return closed || !c.senders.empty() || count > 0;
}

/// choose returns a case that looks ready, each as likely as the others; kSelectDefault when none does.
std::size_t choose(const Selecting& s) {
    std::size_t chosen = kSelectDefault;
    std::size_t ready = 0;
    for (std::size_t i = 0; i < s.n; ++i) {
        const SelectEntry& e = s.entries[i];
        if (e.core == nullptr) continue;
        const std::uint8_t flags = e.core->flags.load(std::memory_order_relaxed);
        if (flags != 0 && e.core->is_foreign()) [[unlikely]] panic_runtime("select on synctest channel from outside bubble");
        if (is_ready(e, flags) && (++ready == 1 || one_in(ready))) chosen = i;
    }
    return chosen;
}

/// ready_case runs a case that is ready, one lock at a time; kSelectDefault when none is. A case that looks ready may not be any more, and the
/// other way round: either way there was a moment during the call when it was as found.
std::size_t ready_case(const Selecting& s) {
    for (;;) {
        const std::size_t index = choose(s);
        if (index == kSelectDefault) return index;
        SelectEntry& e = s.entries[index];
        Try result = e.is_send ? chan_try_send(e.core, e.slot) : chan_try_recv(e.core, e.slot);
        if (result >= Try::WouldBlock) continue; // somebody was faster
        if (e.is_send && result == Try::Closed) panic_send_on_closed();
        e.ok = result == Try::Done;
        return index;
    }
}

bool any_ready(const Selecting& s) noexcept {
    for (std::size_t i = 0; i < s.live; ++i) {
        const SelectEntry& e = s.in_order(i);
        if (is_ready(e, e.core->flags.load(std::memory_order_relaxed))) return true;
    }
    return false;
}

void enqueue(Selecting& s, Waiter& self) noexcept {
    for (std::size_t i = 0; i < s.live; ++i) {
        SelectEntry& e = s.in_order(i);
        auto* w = new (&s.waiter_of(e)) ChanWaiter(Waiter::Unbound{});
        w->stand_for(self);
        w->won = &s.won;
        w->slot = e.slot;
        w->case_index = static_cast<std::size_t>(&e - s.entries);
        w->winner = &s.winner;
        (e.is_send ? e.core->senders : e.core->receivers).push_back(*w);
    }
}

/// lock_if_none_ready leaves all channels locked, or none when a case is ready after all.
bool lock_if_none_ready(Selecting& s) noexcept {
    sched_point(); // a case may become ready between the two looks
    s.lock_all();
    if (planted(Bug::SelectLooksOnce) || !any_ready(s)) return true;
    s.unlock_all();
    return false;
}

/// dequeue takes the waiters off all lists, the winner's having gone already.
void dequeue(Selecting& s) noexcept {
    if (planted(Bug::SelectKeepsWaiting)) return;
    for (std::size_t i = 0; i < s.live; ++i) {
        SelectEntry& e = s.in_order(i);
        ChanWaiter& w = s.waiter_of(e);
        if (&w == s.winner) continue;
        e.core->lock.lock();
        (e.is_send ? e.core->senders : e.core->receivers).remove(w);
        e.core->lock.unlock();
    }
}

bool commit_select(void* arg) {
    auto& s = *static_cast<Selecting*>(arg);
    bool locked = s.live != 0; // the channels' locks hold the frame; without any, the timer may let it go once armed
    if (s.timer != nullptr) timer_arm(*s.timer, s.timer->when);
    if (locked) s.unlock_all();
    return true;
}

void on_timeout(TimerNode& node) {
    auto& t = static_cast<SelectTimer&>(node);
    if (!t.waiter->claim()) return;
    t.fired = true;
    ready(*t.waiter);
}

/// join_bubble makes a select of a bubble's fiber go by its clock, and says why it parks: durably if all its channels are the bubble's.
WEIR_COLD WaitReason join_bubble(Selecting& s) noexcept {
    Bubble* bubble = current_bubble();
    if (bubble == nullptr) return WaitReason::Select;
    if (s.timer != nullptr) s.timer->bubble = bubble;
    for (std::size_t i = 0; i < s.live; ++i) {
        if (!s.locked(i)->is_bubbled()) return WaitReason::Select;
    }
    return WaitReason::SynctestSelect;
}

/// wait parks until a case has won, or the timer.
void wait(Selecting& s, Waiter& self) {
    self.won = &s.won;
    WaitReason reason = WaitReason::Select;
    if (g_bubbles.load(std::memory_order_relaxed) != 0) [[unlikely]] reason = join_bubble(s);
    park(self, s.live == 0 && s.timer == nullptr ? WaitReason::SelectNoCases : reason, commit_select, &s);
    dequeue(s);
}

/// wait_until is wait with a limit; false when the timer won.
bool wait_until(Selecting& s, std::int64_t when, Waiter& self) {
    SelectTimer timer;
    timer.callback = on_timeout;
    timer.waiter = &self;
    timer.when = when;
    s.timer = &timer;
    wait(s, self);
    timer_stop(timer);
    return !timer.fired;
}

} // namespace

std::size_t select_run(SelectEntry* entries, std::size_t n, bool has_default, std::int64_t timeout_ns, SelectWait* waits) {
    sched_point();
    Selecting s{entries, waits, n};
    bool polling = has_default || timeout_ns == 0;
    for (bool ordered = false;; ordered = true) {
        if (std::size_t index = ready_case(s); index != kSelectDefault) return index;
        if (!ordered) s.order_locks();
        if (polling && s.live < 2) return has_default ? kSelectDefault : kSelectTimeout;
        // With several channels only a look at all of them at one moment tells that none was ready.
        if (lock_if_none_ready(s)) break;
    }
    if (polling) {
        s.unlock_all();
        return has_default ? kSelectDefault : kSelectTimeout;
    }
    Waiter self;
    enqueue(s, self);
    if (timeout_ns < 0 || timeout_ns == INT64_MAX) {
        wait(s, self);
    } else if (!wait_until(s, deadline_after(timeout_ns), self)) {
        return kSelectTimeout;
    }
    SelectEntry& e = entries[s.winner->case_index];
    e.ok = s.winner->ok;
    if (e.is_send && !e.ok) panic_send_on_closed();
    return s.winner->case_index;
}

} // namespace weir::detail
