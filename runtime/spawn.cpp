// Spawning, parking and readying: the scheduler as the rest of weir sees it.
#include <algorithm>
#include <cstring>
#include <ctime>
#include <sched.h>
#include <utility>

#include <weir/detail/park.h>
#include <weir/detail/timer.h>
#include <weir/go.h>
#include <weir/sleep.h>
#include <weir/detail/alloc.h>
#include "bubble.h"
#include "check.h"
#include <weir/detail/fence.h>
#include "fiber.h"
#include "fiber_main.h"
#include "futex.h"
#include "panic_context.h"
#include "scheduler.h"
#include "worker.h"

namespace weir::detail {

namespace {

Fiber* current_fiber() noexcept {
    Worker* w = this_worker();
    return w != nullptr ? w->current : nullptr;
}

/// give_back returns a control block that was not used.
void give_back(Worker* w, Fiber* f) noexcept {
    if (w != nullptr) {
        w->give_fiber(f);
    } else {
        f->next = nullptr;
        fiber_pool_give(f);
    }
}

/// foreign_fiber takes a control block for a thread that is no worker, and returns the rest of the chain it came in.
Fiber* foreign_fiber(StackError& error) {
    std::uint32_t count = 0;
    Fiber* f = fiber_pool_take(count, error);
    if (f != nullptr) fiber_pool_give(std::exchange(f->next, nullptr));
    return f;
}

WEIR_COLD Fiber* new_fiber_slow(Worker* w) {
    StackError error;
    Fiber* f = w != nullptr ? w->take_fiber_slow(error) : foreign_fiber(error);
    if (f == nullptr) panic_runtime("go: " + error.text);
    return f;
}

/// bind_now gives a fiber its stack at once, so that running out of mappings is an error of go().
WEIR_COLD void bind_now(Worker* w, Fiber* f, std::size_t size_class) {
    StackError error;
    Stack* s = w != nullptr ? w->take_stack(size_class, error) : stack_open(size_class, 1, error);
    if (s == nullptr) {
        give_back(w, f);
        panic_runtime("go: " + error.text);
    }
    bind_stack(f, s);
}

/// new_fiber takes a control block. In mprotect mode, and for stacks of another class, it has its stack already.
Fiber* new_fiber(Worker* w, std::size_t size_class) {
    Fiber* f = w != nullptr ? w->take_cached_fiber() : nullptr;
    if (f == nullptr) [[unlikely]] f = new_fiber_slow(w);
    f->id.store(w != nullptr ? w->new_id() : take_fiber_ids(1), std::memory_order_relaxed);
    if (stack_guard_mode() != GuardMode::PageTable || size_class != default_stack_class()) [[unlikely]] bind_now(w, f, size_class);
    return f;
}

void count_spawned(const Fiber& f, Worker* w, Scheduler* s) noexcept {
    if (f.is_system) [[unlikely]] return;
    if (w != nullptr) {
        w->spawned.store(w->spawned.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    } else {
        s->foreign_spawned.fetch_add(1, std::memory_order_relaxed);
    }
}

WEIR_COLD void inherit_bubble(const Fiber& parent, Fiber& child) {
    if (Bubble* b = bubble_of(parent)) b->join(child);
}

// A plain thread's word: from kWaiting to kReadied, or by kAsleep to there, and back once it goes on.
constexpr std::uint32_t kWaiting = 0;
constexpr std::uint32_t kReadied = 1;
constexpr std::uint32_t kAsleep = 2;

/// park_thread looks for 10 us before it sleeps: waking a thread that sleeps takes longer than that, and whoever does it a system call.
WEIR_COLD void park_thread(Waiter& self, ParkCommit commit, void* arg) noexcept {
    constexpr int kLooks = 400;
    if (!commit(arg)) return;
    std::atomic<std::uint32_t>& word = *self.signal;
    for (int look = 0; look < kLooks && word.load(std::memory_order_relaxed) == kWaiting; ++look) cpu_pause();
    std::uint32_t state = kWaiting;
    // acquire, here and below: pairs with the release in ready().
    if (word.compare_exchange_strong(state, kAsleep, std::memory_order_acquire)) {
        while (word.load(std::memory_order_acquire) == kAsleep) futex_wait(word, kAsleep);
    }
    word.store(kWaiting, std::memory_order_relaxed);
}

template <class Lock>
bool commit_unlock(void* lock) {
    static_cast<Lock*>(lock)->unlock();
    return true;
}

bool commit_requeue(void* fiber) {
    Worker* w = this_worker();
    auto* f = static_cast<Fiber*>(fiber);
    f->state.store(FiberState::Runnable, std::memory_order_relaxed);
    w->push(f);
    w->sched.notify();
    return true;
}

} // namespace

// ---- spawning ----

SpawnSlot spawn_begin(std::size_t size, std::size_t align, const GoOptions* options) {
    Worker* w = this_worker();
    Scheduler* s = w != nullptr ? &w->sched : scheduler();
    if (s == nullptr) [[unlikely]] panic_runtime("weir: go called with no runtime running: call it inside weir::run");
    std::size_t size_class = default_stack_class();
    if (options != nullptr && options->stack_max != 0) {
        check_stack_max(options->stack_max);
        size_class = stack_class(options->stack_max);
    }
    Fiber* f = new_fiber(w, size_class);
    Fiber* parent = w != nullptr ? w->current : nullptr;
    f->parent = 0;
    if (parent != nullptr) {
        f->parent = parent->id.load(std::memory_order_relaxed);
        if (parent->ties != nullptr) [[unlikely]] inherit_bubble(*parent, *f);
    }
    f->saved_errno = 0;
    f->eh_caught = nullptr;
    f->eh_uncaught = 0;
    f->is_main = false;
    f->is_system = false;
    f->overflowing = false;
    f->answers_abandon = false;
    f->reason.store(WaitReason::None, std::memory_order_relaxed);
    f->closure = size <= kInlineClosure && align <= 16 ? f->inline_closure : allocate(size, align);
    if (options != nullptr) [[unlikely]] {
        set_extra(*f, new FiberExtra(*options, options->stack_max != 0 ? size_class : 0));
        if (options->inherit_locals && parent != nullptr) copy_locals(*parent, *f);
    }
    f->state.store(FiberState::New, std::memory_order_relaxed);
    return {f, f->closure};
}

void spawn_commit_answering(Fiber* f, void (*entry)(void*), void* site) noexcept {
    f->answers_abandon = true;
    spawn_commit(f, entry, site);
}

void spawn_commit(Fiber* f, void (*entry)(void*), void* site) noexcept {
    f->entry = entry;
    f->created_at = site;
    f->state.store(FiberState::Runnable, std::memory_order_relaxed);
    Worker* w = this_worker();
    if (w == nullptr) {
        Scheduler* s = scheduler();
        count_spawned(*f, nullptr, s);
        s->submit_global(f);
        s->notify_from_outside();
        return;
    }
    count_spawned(*f, w, &w->sched);
    if (w->current != nullptr) {
        w->push_next(f);
    } else {
        w->push(f);
    }
    w->sched.notify();
}

void spawn_cancel(Fiber* f) noexcept {
    free_fiber_parts(f);
    cut_ties(*f);
    f->state.store(FiberState::Free, std::memory_order_relaxed);
    if (Stack* s = std::exchange(f->stack, nullptr)) {
        s->next = nullptr;
        stack_recycle(s, s->size());
    }
    give_back(this_worker(), f);
}

void spawn_system(void (*fn)(void*), void* arg, std::size_t stack_max) {
    using Closure = std::tuple<void (*)(void*), void*>;
    GoOptions options;
    if (default_stack_class() < stack_max) options.stack_max = stack_max;
    SpawnSlot slot = spawn_begin(sizeof(Closure), alignof(Closure), options.stack_max != 0 ? &options : nullptr);
    new (slot.closure) Closure(fn, arg);
    slot.fiber->is_system = true;
    cut_ties(*slot.fiber);
    spawn_commit(slot.fiber, &closure_entry<Closure>, nullptr);
}

void go_nil_function() { fatal("go of nil func value"); }

// ---- parking and readying ----

const char* to_string(WaitReason reason) noexcept {
    switch (reason) {
    case WaitReason::None: return "waiting";
    case WaitReason::ChanReceive: return "chan receive";
    case WaitReason::ChanSend: return "chan send";
    case WaitReason::ChanReceiveNil: return "chan receive (nil chan)";
    case WaitReason::ChanSendNil: return "chan send (nil chan)";
    case WaitReason::Select: return "select";
    case WaitReason::SelectNoCases: return "select (no cases)";
    case WaitReason::Sleep: return "sleep";
    case WaitReason::IoWait: return "IO wait";
    case WaitReason::MutexLock: return "sync.Mutex.Lock";
    case WaitReason::RWMutexRLock: return "sync.RWMutex.RLock";
    case WaitReason::RWMutexLock: return "sync.RWMutex.Lock";
    case WaitReason::CondWait: return "sync.Cond.Wait";
    case WaitReason::WaitGroupWait: return "sync.WaitGroup.Wait";
    case WaitReason::SemaphoreAcquire: return "semacquire";
    case WaitReason::OnceDo: return "sync.Once.Do";
    case WaitReason::MainWait: return "waiting for other fibers to end";
    case WaitReason::Blocking: return "syscall";
    case WaitReason::LockedThread: return "locked to thread";
    case WaitReason::SynctestRun: return "synctest.Run";
    case WaitReason::SynctestWait: return "synctest.Wait";
    case WaitReason::SynctestChanReceive: return "chan receive (durable)";
    case WaitReason::SynctestChanSend: return "chan send (durable)";
    case WaitReason::SynctestSelect: return "select (durable)";
    case WaitReason::SynctestWaitGroupWait: return "sync.WaitGroup.Wait (durable)";
    }
    return "waiting";
}

Waiter::Waiter() noexcept : fiber(current_fiber()) {}

bool on_fiber() noexcept { return current_fiber() != nullptr; }

namespace {

/// DurablePark is a park that the fiber's bubble counts.
struct DurablePark {
    Bubble* bubble;
    Ties* ties;
    ParkCommit commit;
    void* arg;
};

bool commit_durable(void* arg) {
    DurablePark p = *static_cast<DurablePark*>(arg); // on the parked stack, which goes on as soon as the waiter is published
    if (!p.commit(p.arg)) {
        p.ties->durable = false;
        return false;
    }
    p.bubble->blocked(); // afterwards: a waker may have counted it as running meanwhile, and never is the count too low
    return true;
}

WEIR_COLD void park_durably(Worker* w, Fiber* f, DurablePark p) noexcept {
    p.ties->durable = true;
    w->leaving = {f, commit_durable, &p};
    switch_away(w, w->pick_local());
}

} // namespace

void park(Waiter& self, WaitReason reason, ParkCommit commit, void* arg) noexcept {
    Fiber* f = self.fiber;
    if (f == nullptr) [[unlikely]] return park_thread(self, commit, arg);
    Worker* w = this_worker();
    f->reason.store(reason, std::memory_order_relaxed);
    f->parked_since.store(w->sched.coarse_now.load(std::memory_order_relaxed), std::memory_order_relaxed);
    if (f->ties != nullptr) [[unlikely]] {
        if (Bubble* b = bubble_of(*f); b != nullptr && is_durable(reason)) return park_durably(w, f, {b, f->ties, commit, arg});
    }
    w->leaving = {f, commit, arg};
    switch_away(w, w->pick_local());
}

void park_unlock(Waiter& self, WaitReason reason, SpinLock& lock) noexcept { park(self, reason, commit_unlock<SpinLock>, &lock); }

void park_unlock(Waiter& self, WaitReason reason, BiasedLock& lock) noexcept { park(self, reason, commit_unlock<BiasedLock>, &lock); }

void park_forever(WaitReason reason) noexcept {
    for (;;) {
        Waiter self;
        park(self, reason, [](void*) { return true; }, nullptr);
    }
}

namespace {

WEIR_COLD void ready_thread(Waiter& waiter) noexcept {
    std::atomic<std::uint32_t>* word = waiter.signal;
    // release: pairs with the acquire in park_thread(); the waiter may go at once
    if (word->exchange(kReadied, std::memory_order_release) == kAsleep) futex_wake(*word, 1);
}

/// wake_tied does what is special about waking a fiber with ties. True when that was all.
WEIR_COLD bool wake_tied(Fiber* f) noexcept {
    Ties& t = *f->ties;
    if (t.durable && !t.bubble->resume(t)) {
        f->state.store(FiberState::Parked, std::memory_order_relaxed); // left over by a bubble that has ended: it never goes on
        return true;
    }
    Worker* owner = t.locked_to;
    if (owner == nullptr) return false;
    owner->locked_ready.store(f, std::memory_order_release); // release: pairs with the exchange in wait_for_locked()
    owner->wake.fetch_add(1, std::memory_order_release);
    futex_wake(owner->wake, 1);
    return true;
}

} // namespace

void make_runnable(Fiber* f, bool hot) noexcept {
    f->state.store(FiberState::Runnable, std::memory_order_relaxed);
    Worker* w = this_worker();
    if (f->ties != nullptr && wake_tied(f)) [[unlikely]] return;
    if (w == nullptr) [[unlikely]] {
        Scheduler* s = scheduler();
        s->submit_global(f);
        s->notify_from_outside();
        return;
    }
    if (hot && w->current != nullptr) {
        w->push_next(f);
    } else {
        w->push(f);
    }
    w->sched.notify();
}

void ready(Waiter& waiter) noexcept {
    if (Fiber* f = waiter.fiber; f != nullptr) [[likely]] return make_runnable(f, true);
    ready_thread(waiter);
}

// ---- sleeping and yielding ----

namespace {

struct SleepTimer : TimerNode {
    Waiter* waiter;
};

/// sleep_till parks the caller until `when` on the clock of `bubble` (null: the real one).
void sleep_till(std::int64_t when, Bubble* bubble, WaitReason reason) noexcept {
    Waiter self;
    SleepTimer timer;
    timer.waiter = &self;
    timer.wakes = self.fiber;
    timer.bubble = bubble;
    timer.when = when;
    timer.callback = [](TimerNode& node) { ready(*static_cast<SleepTimer&>(node).waiter); };
    // Armed in the commit: it cannot fire before this fiber can be resumed.
    park(
        self, reason,
        [](void* p) {
            auto& t = *static_cast<SleepTimer*>(p);
            timer_arm(t, t.when);
            return true;
        },
        &timer);
}

/// yield_locked lets others run while the caller keeps its OS thread: in a bubble too no time passes by that.
WEIR_COLD void yield_locked() noexcept { sleep_till(mono_now() + 1, nullptr, WaitReason::LockedThread); }

} // namespace

void sleep_ns(std::int64_t ns) noexcept {
    if (ns <= 0) return;
    if (scheduler() == nullptr) { // a plain thread, no runtime
        timespec ts{ns / 1'000'000'000, ns % 1'000'000'000};
        while (nanosleep(&ts, &ts) != 0) {}
        return;
    }
    if (ns == INT64_MAX) {
        Waiter self;
        park(self, WaitReason::Sleep, [](void*) { return true; }, nullptr);
        return;
    }
    sleep_till(deadline_after(ns), current_bubble(), WaitReason::Sleep);
}

} // namespace weir::detail

namespace weir {

void yield() noexcept {
    detail::Worker* w = detail::this_worker();
    detail::Fiber* f = w != nullptr ? w->current : nullptr;
    if (f == nullptr) {
        sched_yield();
        return;
    }
    if (detail::locked_to(*f) != nullptr) {
        detail::yield_locked();
        return;
    }
    detail::Fiber* to = w->pick_local();
    if (to != nullptr) w->slices.store(w->slices.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    w->leaving = {f, detail::commit_requeue, f};
    detail::switch_away(w, to);
}

namespace this_fiber {

std::uint64_t id() noexcept {
    detail::Fiber* f = detail::current_fiber();
    return f != nullptr ? f->id.load(std::memory_order_relaxed) : 0;
}

std::string name() {
    detail::Fiber* f = detail::current_fiber();
    return f != nullptr && f->extra != nullptr ? f->extra->name : std::string();
}

Labels labels() {
    detail::Fiber* f = detail::current_fiber();
    return f != nullptr && f->extra != nullptr ? f->extra->labels : Labels();
}

} // namespace this_fiber

} // namespace weir
