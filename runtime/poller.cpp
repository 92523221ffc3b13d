#include "poller.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <ctime>
#include <mutex>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <weir/detail/park.h>
#include <weir/detail/timer.h>
#include "bubble.h"
#include "check.h"
#include "runtime_lock.h"

#if WEIR_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace weir::detail {

namespace {

constexpr std::uintptr_t kIdle = 0;
constexpr std::uintptr_t kReady = 1;

} // namespace

struct PollDesc {
    struct Direction {
        std::atomic<std::uintptr_t> word{kIdle}; // kIdle, kReady, or a Waiter*
        std::atomic<bool> expired{false};        // the deadline has passed
        TimerNode timer;                         // guarded by lock
        std::int64_t deadline = 0;               // 0: none; guarded by lock
    };

    Direction direction[2];
    std::atomic<bool> closing{false};
    std::atomic<bool> ended{false}; // see poll_ended()
    std::atomic<std::uint32_t> generation{0};
    std::atomic<std::uint64_t> poller{0}; // serial of the one it is registered with
    int fd = -1;
    RuntimeLock lock; // serialises deadlines, closing, and the move to a later run's poller
    PollDesc* next_free = nullptr;

    Direction& of(PollMode mode) noexcept { return direction[static_cast<int>(mode)]; }
};

namespace {

std::atomic<std::uint64_t> g_pollers{1};

struct Free {
    RuntimeLock lock;
    PollDesc* list = nullptr;
} g_free;

PollDesc* take_desc() {
    {
        std::lock_guard hold(g_free.lock);
        if (PollDesc* pd = g_free.list; pd != nullptr) {
            g_free.list = pd->next_free;
            return pd;
        }
    }
    return new PollDesc; // never deleted: a late event may still name it
}

/// signal_direction makes a direction ready, or only wakes its waiter (`ready` false: a deadline or close, which the waiter sees for itself).
void signal_direction(PollDesc::Direction& d, bool ready_now) noexcept {
    std::uintptr_t old = d.word.load(std::memory_order_seq_cst);
    for (;;) {
        if (old == kReady || (old == kIdle && !ready_now)) return; // seq_cst: see poll_ended()
        // Pairs with the CAS in commit_wait(); whoever takes the waiter out readies it.
        if (d.word.compare_exchange_weak(old, old == kIdle ? kReady : (ready_now ? kReady : kIdle), std::memory_order_seq_cst)) break;
    }
    if (old == kIdle) return;
    ready(*reinterpret_cast<Waiter*>(old));
}

void deadline_passed(TimerNode& node) {
    auto& d = *reinterpret_cast<PollDesc::Direction*>(reinterpret_cast<char*>(&node) - offsetof(PollDesc::Direction, timer));
    // seq_cst: against commit_wait(), which publishes the waiter and then looks at `expired`: one of the two sees the other.
    d.expired.store(true, std::memory_order_seq_cst);
    signal_direction(d, false);
}

struct WaitArgs {
    PollDesc* pd;
    PollDesc::Direction* direction;
    Waiter* self;
};

/// commit_wait publishes the waiter; false when an event, a deadline or close came first.
bool commit_wait(void* arg) {
    auto& a = *static_cast<WaitArgs*>(arg);
    PollDesc* pd = a.pd;
    PollDesc::Direction* d = a.direction;
    auto self = reinterpret_cast<std::uintptr_t>(a.self);
    std::uintptr_t expected = kIdle;
    // seq_cst: see deadline_passed().
    if (!d->word.compare_exchange_strong(expected, self, std::memory_order_seq_cst)) return false;
    // From here on the waiter may be woken and gone; only pd is touched.
    if (!d->expired.load(std::memory_order_seq_cst) && !pd->closing.load(std::memory_order_seq_cst)) return true;
    // Late: wake whoever is published now. That is this waiter, or, when it has already been woken and waits again, a spurious wake of its
    // next wait, which poll_wait()'s loop absorbs.
    signal_direction(*d, false);
    return true;
}

PollResult state_of(const PollDesc& pd, const PollDesc::Direction& d) noexcept {
    if (pd.closing.load(std::memory_order_acquire)) return PollResult::Closing;
    if (d.expired.load(std::memory_order_acquire)) return PollResult::Timeout;
    return PollResult::Ready;
}

} // namespace

Poller::Poller() : serial(g_pollers.fetch_add(1, std::memory_order_relaxed)) {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    event_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (epoll_ < 0 || event_ < 0) panic_runtime("cannot start the network poller: too many open files");
    epoll_event ev{};
    ev.events = EPOLLIN; // level-triggered: stays until the blocked poller has seen it
    ev.data.u64 = 0;
    WEIR_CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, event_, &ev) == 0);
}

Poller::~Poller() {
    close(epoll_);
    close(event_);
}

void Poller::interrupt() noexcept {
    if (interrupted_.exchange(true, std::memory_order_acq_rel)) return; // one write is enough until poll() has seen it
    std::uint64_t one = 1;
    int saved = errno;
    [[maybe_unused]] auto n = write(event_, &one, sizeof one);
    errno = saved;
}

void Poller::consume_interrupt() noexcept {
    std::uint64_t count;
    [[maybe_unused]] auto r = read(event_, &count, sizeof count);
    // After the read: an interrupt in between writes nothing, but this poller is on its way out and looks at everything again. The other way round its
    // write would be eaten and the flag stay up for ever.
    interrupted_.store(false, std::memory_order_seq_cst);
}

int Poller::add(int fd, PollDesc* pd) noexcept {
    epoll_event ev{};
    ev.events = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    // The pointer's upper 16 bits are free: they carry the generation.
    ev.data.u64 = reinterpret_cast<std::uint64_t>(pd) | static_cast<std::uint64_t>(pd->generation.load(std::memory_order_relaxed)) << 48;
#if WEIR_TSAN
    __tsan_release(pd); // the kernel hands pd on to poll(); TSan knows epoll_wait, but not epoll_pwait2
#endif
    return epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &ev) == 0 ? 0 : errno;
}

void Poller::remove(int fd) noexcept {
    epoll_event ev{};
    epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, &ev);
}

bool Poller::poll(std::int64_t timeout_ns) {
    constexpr int kEvents = 128;
    epoll_event events[kEvents];
    timespec ts{timeout_ns / 1000000000, timeout_ns % 1000000000};
    int n = epoll_pwait2(epoll_, events, kEvents, timeout_ns < 0 ? nullptr : &ts, nullptr);
    if (n < 0 && errno == ENOSYS) {
        int ms = timeout_ns < 0 ? -1 : static_cast<int>(std::min<std::int64_t>((timeout_ns + 999999) / 1000000, INT32_MAX));
        n = epoll_wait(epoll_, events, kEvents, ms);
    }
    for (int i = 0; i < n; ++i) {
        const epoll_event& ev = events[i];
        if (ev.data.u64 == 0) {
            if (timeout_ns != 0) consume_interrupt();
            if (auto* deliver = on_interrupt.load(std::memory_order_acquire)) deliver();
            continue;
        }
        auto* pd = reinterpret_cast<PollDesc*>(ev.data.u64 & ((std::uint64_t{1} << 48) - 1));
#if WEIR_TSAN
        __tsan_acquire(pd);
#endif
        if ((pd->generation.load(std::memory_order_acquire) & 0xffff) != ev.data.u64 >> 48) continue;
        // seq_cst: see poll_ended().
        if (ev.events & (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) [[unlikely]] pd->ended.store(true, std::memory_order_seq_cst);
        if (ev.events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) signal_direction(pd->of(PollMode::Read), true);
        if (ev.events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) signal_direction(pd->of(PollMode::Write), true);
    }
    return n != 0;
}

int poll_open(int fd, PollDesc** out) {
    Scheduler* s = scheduler();
    if (s == nullptr) panic_runtime("weir: no runtime is running: call this inside weir::run");
    PollDesc* pd = take_desc();
    pd->fd = fd;
    pd->closing.store(false, std::memory_order_relaxed);
    pd->ended.store(false, std::memory_order_relaxed);
    for (auto& d : pd->direction) {
        d.word.store(kIdle, std::memory_order_relaxed);
        d.expired.store(false, std::memory_order_relaxed);
        d.deadline = 0;
        d.timer.callback = deadline_passed;
    }
    pd->poller.store(s->poller->serial, std::memory_order_relaxed);
    int error = s->poller->add(fd, pd);
    if (error != 0) {
        std::lock_guard hold(g_free.lock);
        pd->next_free = g_free.list;
        g_free.list = pd;
        return error;
    }
    *out = pd;
    return 0;
}

namespace {

/// carry_over registers a descriptor of an earlier run with this run's poller. What waited then is gone, and its timers are forgotten.
WEIR_COLD void carry_over(PollDesc& pd, Poller& poller) noexcept {
    std::lock_guard hold(pd.lock);
    if (pd.poller.load(std::memory_order_relaxed) == poller.serial) return;
    for (auto& d : pd.direction) {
        d.word.store(kIdle, std::memory_order_relaxed);
        timer_stop(d.timer);
        if (d.deadline != 0 && !d.expired.load(std::memory_order_relaxed)) timer_arm(d.timer, d.deadline);
    }
    poller.add(pd.fd, &pd);
    pd.poller.store(poller.serial, std::memory_order_release); // release: pairs with the acquire in poll_wait()
}

} // namespace

PollResult poll_prepare(PollDesc* pd, PollMode mode) noexcept {
    PollDesc::Direction& d = pd->of(mode);
    PollResult r = state_of(*pd, d);
    // seq_cst: see poll_ended(). After a wait it is idle already.
    if (r == PollResult::Ready && d.word.load(std::memory_order_relaxed) != kIdle) d.word.exchange(kIdle, std::memory_order_seq_cst);
    return r;
}

// The poller stores `ended` and then looks at the word; a reader takes readiness out of the word, reads, and then looks at `ended`. One of the two sees the
// other: no event of an end is forgotten before the read that did not come to it.
bool poll_ended(const PollDesc* pd) noexcept { return pd->ended.load(std::memory_order_seq_cst); }

PollResult poll_wait(PollDesc* pd, PollMode mode) noexcept {
    PollDesc::Direction& d = pd->of(mode);
    Scheduler* s = scheduler();
    if (pd->poller.load(std::memory_order_acquire) != s->poller->serial) carry_over(*pd, *s->poller);
    for (;;) {
        if (PollResult r = state_of(*pd, d); r != PollResult::Ready) return r;
        std::uintptr_t expected = kReady;
        // seq_cst: see poll_ended().
        if (d.word.compare_exchange_strong(expected, kIdle, std::memory_order_seq_cst)) return PollResult::Ready;
        Waiter self;
        WaitArgs args{pd, &d, &self};
        s->poller->waiters_.fetch_add(1, std::memory_order_relaxed);
        park(self, WaitReason::IoWait, commit_wait, &args);
        s->poller->waiters_.fetch_sub(1, std::memory_order_relaxed);
    }
}

namespace {

/// real_time is a deadline of the calling fiber's clock on the real one: the world outside does not wait for a bubble's (as in Go).
std::int64_t real_time(std::int64_t when) noexcept {
    if (when == 0 || when == kNever || current_bubble() == nullptr) return when;
    const std::int64_t left = when - clock_now();
    return left <= 0 ? 1 : mono_now() + std::min(left, kNever / 2);
}

} // namespace

void poll_set_deadline(PollDesc* pd, PollMode mode, std::int64_t when) {
    PollDesc::Direction& d = pd->of(mode);
    when = real_time(when);
    bool past = when != 0 && when <= mono_now();
    {
        std::lock_guard hold(pd->lock);
        timer_stop(d.timer);
        d.expired.store(past, std::memory_order_seq_cst); // seq_cst: see deadline_passed()
        d.deadline = past || when == kNever ? 0 : when;
        if (d.deadline != 0 && !pd->closing.load(std::memory_order_relaxed)) timer_arm(d.timer, when);
    }
    if (past) signal_direction(d, false);
}

void poll_unblock(PollDesc* pd) noexcept {
    {
        std::lock_guard hold(pd->lock);
        pd->closing.store(true, std::memory_order_seq_cst); // seq_cst: against commit_wait(), as in deadline_passed()
        for (auto& d : pd->direction) timer_stop(d.timer);
    }
    for (auto& d : pd->direction) signal_direction(d, false);
}

void poll_close(PollDesc* pd) noexcept {
    for (auto& d : pd->direction) timer_stop(d.timer);
    if (Scheduler* s = scheduler(); s != nullptr) s->poller->remove(pd->fd);
    pd->generation.fetch_add(1, std::memory_order_release); // release: pairs with the acquire in poll()
    std::lock_guard hold(g_free.lock);
    pd->next_free = g_free.list;
    g_free.list = pd;
}

} // namespace weir::detail
