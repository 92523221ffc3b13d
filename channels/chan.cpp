#include <new>

#include <weir/detail/alloc.h>
#include <weir/detail/chan_core.h>
#include <weir/detail/cell.h>
#include <weir/detail/planted.h>
#include <weir/detail/sched_point.h>
#include <weir/panic.h>
#include <weir/select.h>

namespace weir::detail {

namespace {

constexpr std::size_t kLargestRing = std::size_t{1} << 40; // bytes; beyond it a capacity is a mistake

} // namespace

ChanCore::ChanCore(const ElementType& element, std::size_t cap) : plain(element.plain), capacity(cap), type(element) {
    if (cap > 0) ring = static_cast<std::byte*>(allocate(cap * element.size, element.align));
}

ChanCore::~ChanCore() {
    for (std::size_t i = 0; i < count.load(std::memory_order_relaxed); ++i) destroy_element(slot(i));
    if (ring != nullptr) deallocate(ring);
}

void ChanCore::destroy(ChanCore* core) noexcept { delete core; }

ChanCore* make_chan(const ElementType& type, std::ptrdiff_t capacity) {
    if (capacity < 0 || static_cast<std::size_t>(capacity) > kLargestRing / type.size)
        panic_runtime("makechan: size out of range");
    auto* core = new ChanCore(type, static_cast<std::size_t>(capacity));
    if (std::uint32_t bubble = current_bubble_id()) [[unlikely]]
        core->put_in_bubble(bubble);
    return core;
}

namespace {

[[noreturn]] WEIR_COLD void panic_unlocked(ChanCore& c, const char* text) {
    c.lock.unlock();
    panic_runtime(text);
}

WEIR_COLD void check_close(ChanCore& c) {
    if (c.is_foreign()) panic_unlocked(c, "close of synctest channel from outside bubble");
    if (c.is_closed()) panic_unlocked(c, "close of closed channel");
}

/// refuse wakes a waiter whose channel has been closed.
void refuse(ChanWaiter& w) noexcept {
    w.ok = false;
    if (w.winner != nullptr) *w.winner = &w;
    ready(w);
}

/// refuse_receivers wakes those that wait to receive from a channel which has just been closed, so that no more can come. Its lock is held, and
/// released. Few at a time: each lies on a stack of its own, which has most likely left the caches, and is wanted twice, by who takes
/// it off the list and by who readies it.
void refuse_receivers(ChanCore& core) noexcept {
    constexpr std::size_t kAtOnce = 32;
    for (;;) {
        ChanWaiter* taken[kAtOnce];
        std::size_t n = 0;
        while (n < kAtOnce && !(planted(Bug::CloseWakesOne) && n == 1)) {
            ChanWaiter* w = ChanCore::first(core.receivers);
            if (w == nullptr) break;
            __builtin_prefetch(w->fiber, 1);
            taken[n++] = w;
        }
        const bool more = n == kAtOnce && !core.receivers.empty(); // if not, the last one woken may let the channel go
        core.lock.unlock();
        for (std::size_t i = 0; i < n; ++i) refuse(*taken[i]);
        if (!more) return;
        core.lock.lock();
    }
}

} // namespace

void chan_close(ChanCore* core) {
    sched_point();
    if (core == nullptr) panic_runtime("close of nil channel");
    core->lock.lock();
    std::uint8_t flags = core->flags.load(std::memory_order_relaxed);
    if (flags != 0) [[unlikely]]
        check_close(*core);
    core->flags.store(flags | ChanCore::kClosed, std::memory_order_release);
    WaitList senders; // at once: none of their values may come to lie in the channel any more
    while (ChanWaiter* w = ChanCore::first(core->senders)) senders.push_back(*w);
    refuse_receivers(*core);
    while (Waiter* w = senders.pop_front()) refuse(static_cast<ChanWaiter&>(*w));
}

namespace {

/// hand_over completes the meeting with a waiter that was taken off its list.
void complete(ChanWaiter& w) noexcept {
    w.ok = true;
    if (w.winner != nullptr) *w.winner = &w;
    ready(w);
}

/// send_open is send_locked on a channel that may be used and is open.
WEIR_ALWAYS_INLINE Try send_open(ChanCore* c, void* value) noexcept {
    if (!c->receivers.empty()) {
        if (ChanWaiter* r = ChanCore::first(c->receivers)) {
            c->lock.unlock();
            c->move(r->slot, value);
            complete(*r);
            return Try::Done;
        }
    }
    std::size_t count = c->count.load(std::memory_order_relaxed);
    if (count == c->capacity) return Try::WouldBlock;
    c->move(c->slot(count), value);
    c->count.store(count + 1, std::memory_order_relaxed);
    c->lock.unlock();
    return Try::Done;
}

/// recv_open is recv_locked on a channel that may be used; whether it is closed is the caller's to ask.
WEIR_ALWAYS_INLINE Try recv_open(ChanCore* c, void* room) noexcept {
    std::size_t count = c->count.load(std::memory_order_relaxed);
    if (count > 0) {
        void* from = c->slot(0);
        c->move(room, from);
        c->destroy_element(from);
        ChanWaiter* s = c->senders.empty() || planted(Bug::ChanStrandsSender) ? nullptr : ChanCore::first(c->senders);
        c->advance();
        if (s == nullptr) {
            c->count.store(count - 1, std::memory_order_relaxed);
            c->lock.unlock();
            return Try::Done;
        }
        c->move(c->slot(count - 1), s->slot); // the ring was full: a waiting sender's value goes behind the others
        c->lock.unlock();
        complete(*s);
        return Try::Done;
    }
    if (!c->senders.empty()) {
        if (ChanWaiter* s = ChanCore::first(c->senders)) {
            c->lock.unlock();
            c->move(room, s->slot);
            complete(*s);
            return Try::Done;
        }
    }
    return Try::WouldBlock;
}

WEIR_COLD Try send_special(ChanCore* c, void* value) {
    if (c->is_foreign()) panic_unlocked(*c, "send on synctest channel from outside bubble");
    if (c->is_closed()) {
        c->lock.unlock();
        return Try::Closed;
    }
    Try result = send_open(c, value);
    return result == Try::WouldBlock ? Try::WouldBlockDurably : result;
}

WEIR_COLD Try recv_special(ChanCore* c, void* room) {
    if (c->is_foreign()) panic_unlocked(*c, "receive on synctest channel from outside bubble");
    Try result = recv_open(c, room);
    if (result != Try::WouldBlock) return result;
    if (!c->is_closed()) return Try::WouldBlockDurably;
    c->lock.unlock();
    return Try::Closed;
}

/// send_locked sends if it can, and unlocks unless it would block.
WEIR_ALWAYS_INLINE Try send_locked(ChanCore* c, void* value) {
    if (c->flags.load(std::memory_order_relaxed) != 0) [[unlikely]]
        return send_special(c, value);
    return send_open(c, value);
}

/// recv_locked receives if it can, and unlocks unless it would block.
WEIR_ALWAYS_INLINE Try recv_locked(ChanCore* c, void* room) {
    if (c->flags.load(std::memory_order_relaxed) != 0) [[unlikely]]
        return recv_special(c, room);
    return recv_open(c, room);
}

/// waits_for is the reason to park: `durably` if only the channel's bubble can end it.
WaitReason waits_for(Try result, WaitReason plainly, WaitReason durably) noexcept {
    return result == Try::WouldBlock ? plainly : durably;
}

} // namespace

void panic_send_on_closed() { panic_runtime("send on closed channel"); }

void panic_closed_without_value() {
    panic_runtime("receive from a closed channel whose type has no zero value: use a callback without a value, or next()");
}

namespace {

/// unless_waiting unlocks a channel whose operation would have to wait, and will not.
WEIR_ALWAYS_INLINE Try unless_waiting(ChanCore& c, Try result) noexcept {
    if (result != Try::WouldBlock && result != Try::WouldBlockDurably) return result;
    c.lock.unlock();
    return Try::WouldBlock;
}

} // namespace

Try chan_try_send(ChanCore* c, void* value) {
    sched_point();
    if (c == nullptr) return Try::WouldBlock;
    // Without the lock: a channel seen full and open at one moment may be refused at that moment, as in Go.
    if (c->flags.load(std::memory_order_acquire) == 0 && c->capacity > 0 &&
        c->count.load(std::memory_order_acquire) == c->capacity) {
        return Try::WouldBlock;
    }
    c->lock.lock();
    return unless_waiting(*c, send_locked(c, value));
}

Try chan_try_recv(ChanCore* c, void* room) {
    sched_point();
    if (c == nullptr) return Try::WouldBlock;
    c->lock.lock();
    return unless_waiting(*c, recv_locked(c, room));
}

void chan_send(ChanCore* c, void* value) {
    sched_point();
    if (c == nullptr) park_forever(WaitReason::ChanSendNil);
    c->lock.lock();
    Try result = send_locked(c, value);
    if (result >= Try::WouldBlock) {
        ChanWaiter self;
        self.slot = value;
        c->senders.push_back(self);
        park_unlock(self, waits_for(result, WaitReason::ChanSend, WaitReason::SynctestChanSend), c->lock);
        if (!self.ok) result = Try::Closed;
    }
    if (result == Try::Closed) panic_send_on_closed();
}

bool chan_recv(ChanCore* c, void* room) {
    sched_point();
    if (c == nullptr) park_forever(WaitReason::ChanReceiveNil);
    c->lock.lock();
    Try result = recv_locked(c, room);
    if (result < Try::WouldBlock) return result == Try::Done;
    ChanWaiter self;
    self.slot = room;
    c->receivers.push_back(self);
    park_unlock(self, waits_for(result, WaitReason::ChanReceive, WaitReason::SynctestChanReceive), c->lock);
    return self.ok;
}

} // namespace weir::detail
