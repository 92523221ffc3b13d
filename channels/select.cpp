// select: Go's selectgo.
//
// Try the cases in random order, each as a send or receive that does not block. If none is ready, lock every channel (in address order, each once),
// make sure that still none is, and put one ChanWaiter on every channel's list, all sharing one `won` word; park, unlocking all. Whoever claims
// the word completes that case. The winner, once awake, takes its other waiters off the lists.
//
// The frame of a parked select may not go before its commit has unlocked the last channel: leaving takes every lock once more.
#include <algorithm>
#include <bit>
#include <mutex>

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

/// random_by_seed draws for a fiber of a seeded run.
std::uint32_t random_by_seed() noexcept {
    std::uint32_t drawn;
    return seeded_random(drawn) ? drawn : random_number();
}

struct SelectTimer : TimerNode {
    Waiter* waiter = nullptr; // any of the select's: all share the won word and the fiber
    bool* fired = nullptr;
};

/// Selecting is one select while it runs. On the selecting stack.
struct Selecting {
    SelectEntry* entries;
    SelectWait* waits;
    std::size_t n;          // cases
    std::size_t live = 0;   // those with a channel: poll_order and lock_order list so many
    std::atomic<std::uint32_t> won{0};
    ChanWaiter* winner = nullptr;
    SelectTimer timer;
    bool timed = false;
    bool timer_fired = false;

    ChanCore* locked(std::size_t i) const noexcept { return entries[waits[i].lock_order].core; }

    /// shuffle draws the order in which cases are tried.
    void shuffle() noexcept {
        if (in_seeded_run()) [[unlikely]] return shuffle_by_seed();
        shuffle_by(random_number);
    }
    WEIR_COLD void shuffle_by_seed() noexcept { shuffle_by(random_by_seed); }

    template <class Draw>
    WEIR_ALWAYS_INLINE void shuffle_by(Draw draw) noexcept {
        for (std::size_t i = 0; i < n; ++i) {
            if (entries[i].core == nullptr) continue;
            std::size_t at = live++;
            std::size_t j = static_cast<std::size_t>((static_cast<std::uint64_t>(draw()) * live) >> 32);
            waits[at].poll_order = waits[j].poll_order;
            waits[j].poll_order = static_cast<std::uint32_t>(i);
            waits[at].lock_order = static_cast<std::uint32_t>(i);
        }
    }

    /// order_locks sorts the cases by the addresses of their channels.
    void order_locks() noexcept {
        auto less = [this](std::uint32_t a, std::uint32_t b) { return std::less<>{}(entries[a].core, entries[b].core); };
        if (live <= 16) {
            for (std::size_t i = 1; i < live; ++i) {
                std::uint32_t x = waits[i].lock_order;
                std::size_t j = i;
                for (; j > 0 && less(x, waits[j - 1].lock_order); --j) waits[j].lock_order = waits[j - 1].lock_order;
                waits[j].lock_order = x;
            }
            return;
        }
        heap_sort(less);
    }

    template <class Less>
    void heap_sort(Less less) noexcept {
        auto sift = [&](std::size_t i, std::size_t end) {
            for (std::size_t child; (child = 2 * i + 1) < end; i = child) {
                if (child + 1 < end && less(waits[child].lock_order, waits[child + 1].lock_order)) ++child;
                if (!less(waits[i].lock_order, waits[child].lock_order)) break;
                std::swap(waits[i].lock_order, waits[child].lock_order);
            }
        };
        for (std::size_t i = live / 2; i-- > 0;) sift(i, live);
        for (std::size_t end = live; end-- > 1;) {
            std::swap(waits[0].lock_order, waits[end].lock_order);
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

/// ready_case runs the first case, in random order, that is ready, one lock at a time; kSelectDefault when none is. A case that looks ready may not be
/// any more, and the other way round: either way there was a moment during the call when it was as found.
std::size_t ready_case(Selecting& s) {
    for (std::size_t i = 0; i < s.live; ++i) {
        std::size_t index = s.waits[i].poll_order;
        SelectEntry& e = s.entries[index];
        std::uint8_t flags = e.core->flags.load(std::memory_order_relaxed);
        if (flags != 0 && e.core->is_foreign()) [[unlikely]] panic_runtime("select on synctest channel from outside bubble");
        if (!is_ready(e, flags)) continue;
        Try result = e.is_send ? chan_try_send(e.core, e.slot) : chan_try_recv(e.core, e.slot);
        if (result >= Try::WouldBlock) continue;
        if (e.is_send && result == Try::Closed) panic_send_on_closed();
        e.ok = result == Try::Done;
        return index;
    }
    return kSelectDefault;
}

bool any_ready(const Selecting& s) noexcept {
    for (std::size_t i = 0; i < s.live; ++i) {
        const SelectEntry& e = s.entries[s.waits[i].poll_order];
        if (is_ready(e, e.core->flags.load(std::memory_order_relaxed))) return true;
    }
    return false;
}

void enqueue(Selecting& s, Waiter& self) noexcept {
    for (std::size_t i = 0; i < s.live; ++i) {
        std::uint32_t index = s.waits[i].lock_order;
        SelectEntry& e = s.entries[index];
        ChanWaiter& w = s.waits[i].waiter;
        w.stand_for(self);
        w.won = &s.won;
        w.slot = e.slot;
        w.case_index = index;
        w.winner = &s.winner;
        (e.is_send ? e.core->senders : e.core->receivers).push_back(w);
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

/// dequeue takes the waiters off all lists, the winner's having gone already; taking each lock also waits for commit_select to be through.
void dequeue(Selecting& s) noexcept {
    if (planted(Bug::SelectKeepsWaiting)) return;
    s.lock_all();
    for (std::size_t i = 0; i < s.live; ++i) {
        SelectEntry& e = s.entries[s.waits[i].lock_order];
        (e.is_send ? e.core->senders : e.core->receivers).remove(s.waits[i].waiter);
    }
    s.unlock_all();
}

bool commit_select(void* arg) {
    auto& s = *static_cast<Selecting*>(arg);
    bool locked = s.live != 0; // the channels' locks hold the frame; without any, the timer may let it go once armed
    if (s.timed) timer_arm(s.timer, s.timer.when);
    if (locked) s.unlock_all();
    return true;
}

void on_timeout(TimerNode& node) {
    auto& t = static_cast<SelectTimer&>(node);
    if (!t.waiter->claim()) return;
    *t.fired = true;
    ready(*t.waiter);
}

/// join_bubble makes a select of a bubble's fiber go by its clock, and says why it parks: durably if all its channels are the bubble's.
WEIR_COLD WaitReason join_bubble(Selecting& s) noexcept {
    s.timer.bubble = current_bubble();
    if (s.timer.bubble == nullptr) return WaitReason::Select;
    for (std::size_t i = 0; i < s.live; ++i) {
        if (!s.locked(i)->is_bubbled()) return WaitReason::Select;
    }
    return WaitReason::SynctestSelect;
}

std::size_t wait(Selecting& s, std::int64_t timeout_ns, Waiter& self) {
    self.won = &s.won;
    if (timeout_ns >= 0 && timeout_ns != INT64_MAX) {
        s.timed = true;
        s.timer.callback = on_timeout;
        s.timer.waiter = &self;
        s.timer.fired = &s.timer_fired;
        s.timer.when = deadline_after(timeout_ns);
    }
    WaitReason reason = WaitReason::Select;
    if (g_bubbles.load(std::memory_order_relaxed) != 0) [[unlikely]] reason = join_bubble(s);
    park(self, s.live == 0 && !s.timed ? WaitReason::SelectNoCases : reason, commit_select, &s);
    dequeue(s);
    if (s.timed) timer_stop(s.timer);
    return s.timer_fired ? kSelectTimeout : s.winner->case_index;
}

} // namespace

std::size_t select_run(SelectEntry* entries, std::size_t n, bool has_default, std::int64_t timeout_ns, SelectWait* waits) {
    sched_point();
    Selecting s{entries, waits, n};
    s.shuffle();
    bool polling = has_default || timeout_ns == 0;
    for (bool ordered = false;; ordered = true) {
        if (std::size_t index = ready_case(s); index != kSelectDefault) return index;
        if (polling && s.live < 2) return has_default ? kSelectDefault : kSelectTimeout;
        if (!ordered) s.order_locks();
        // With several channels only a look at all of them at one moment tells that none was ready.
        if (lock_if_none_ready(s)) break;
    }
    if (polling) {
        s.unlock_all();
        return has_default ? kSelectDefault : kSelectTimeout;
    }
    Waiter self;
    enqueue(s, self);
    std::size_t won = wait(s, timeout_ns, self);
    if (won == kSelectTimeout) return won;
    SelectEntry& e = entries[won];
    e.ok = s.winner->ok;
    if (e.is_send && !e.ok) panic_send_on_closed();
    return won;
}

} // namespace weir::detail
