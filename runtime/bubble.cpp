#include "bubble.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <tuple>
#include <utility>

#include <weir/go.h>
#include <weir/runtime.h>
#include "check.h"
#include "panic_context.h"
#include "scheduler.h"
#include "worker.h"

namespace weir::detail {

std::atomic<std::uint32_t> g_bubbles{0};

namespace {

struct Pool {
    RuntimeLock lock;
    Bubble* free = nullptr;             // guarded by lock
    std::uint32_t last_id = 0;          // guarded by lock
    std::atomic<Bubble*> all{nullptr};  // written under lock
};
Pool g_pool;

Fiber* current_fiber() noexcept {
    Worker* w = this_worker();
    return w != nullptr ? w->current : nullptr;
}

Bubble& open_bubble(Fiber& root) {
    std::lock_guard hold(g_pool.lock);
    Bubble* b = g_pool.free;
    if (b != nullptr) {
        g_pool.free = b->next_free;
    } else {
        b = new Bubble;
        b->next = g_pool.all.load(std::memory_order_relaxed);
        g_pool.all.store(b, std::memory_order_release); // release: pairs with the acquire in bubble_exists()
    }
    if (++g_pool.last_id == 0) ++g_pool.last_id;
    b->now = Bubble::kEpoch;
    b->running.store(1, std::memory_order_relaxed);
    b->root = &root;
    b->main = nullptr;
    b->main_done = false;
    b->waiter = nullptr;
    b->waiting.store(false, std::memory_order_relaxed);
    b->id.store(g_pool.last_id, std::memory_order_relaxed);
    g_bubbles.fetch_add(1, std::memory_order_relaxed);
    return *b;
}

void recycle(Bubble& b) noexcept {
    std::lock_guard hold(g_pool.lock);
    b.next_free = g_pool.free;
    g_pool.free = &b;
}

/// close_bubble ends it. With fibers left, which never run again, it is not used again before the end of the run.
void close_bubble(Bubble& b) noexcept {
    b.panic.reset();
    b.id.store(0, std::memory_order_relaxed);
    g_bubbles.fetch_sub(1, std::memory_order_relaxed);
    if (b.fibers == nullptr) recycle(b);
}

/// Root makes the calling fiber the root of a new bubble, for as long as the object lives.
struct Root {
    explicit Root(Fiber& f) : ties(ties_of(f)), bubble(open_bubble(f)) {
        ties.bubble = &bubble;
        ties.bubble_id = bubble.id.load(std::memory_order_relaxed);
    }
    ~Root() {
        ties.bubble = nullptr;
        ties.bubble_id = 0;
        close_bubble(bubble);
    }
    Ties& ties;
    Bubble& bubble;
};

void start_main(Bubble& b, void (*call)(void*), void* fn) {
    using Closure = std::tuple<void (*)(void*), void*>;
    SpawnSlot slot = spawn_begin(sizeof(Closure), alignof(Closure), nullptr);
    new (slot.closure) Closure(call, fn);
    b.main = slot.fiber;
    spawn_commit(slot.fiber, &closure_entry<Closure>, here());
}

/// rest parks the root until all fibers of the bubble are durably blocked.
void rest() noexcept {
    Waiter self;
    park(self, WaitReason::SynctestRun, [](void*) { return true; }, nullptr);
}

/// drive runs the timers and moves the clock on, until nothing in the bubble will ever happen again.
void drive(Bubble& b) noexcept {
    for (;;) {
        b.timers.run_due(b.now);
        rest();
        const std::int64_t next = b.timers.next();
        // Time ends with main. A panic ends it too: main may wait for what the dead fiber was to do, and go on waiting for ever.
        if (next == kNever || b.main_done || b.panic != nullptr) return;
        // Woken for a timer that has been stopped: whoever is in wait() comes before time goes on.
        if (next > b.now && b.waiter != nullptr) continue;
        b.now = std::max(b.now, next);
    }
}

/// run_on_fiber is test() on a fiber: it becomes the root.
void run_on_fiber(Fiber& self, void (*call)(void*), void* fn) {
    if (bubble_of(self) != nullptr) panic_runtime("synctest.Run called from within a synctest bubble");
    std::shared_ptr<PanicRecord> panic;
    const char* deadlock = nullptr;
    std::string left;
    {
        Root root(self);
        Bubble& b = root.bubble;
        start_main(b, call, fn);
        drive(b);
        while (b.timers.drop_all()) rest(); // what goes with a timer's function may have woken fibers
        panic = b.panic;
        if (panic == nullptr && b.fibers != nullptr) {
            deadlock = b.main_done ? "deadlock: main bubble goroutine has exited but blocked goroutines remain" : "deadlock: all goroutines in bubble are blocked";
            left = dump_bubble(b);
        }
    }
    if (panic != nullptr) std::rethrow_exception(Panic(panic).exception());
    if (deadlock != nullptr) throw_detailed(deadlock, std::move(left));
}

struct Call {
    void (*call)(void*);
    void* fn;
    std::optional<Panic> panic;

    void run() {
        panic = catch_panic([this] { run_on_fiber(*current_fiber(), call, fn); });
    }
    void finish() const {
        if (panic) std::rethrow_exception(panic->exception());
    }
};

/// run_from_thread is test() on a plain OS thread while a runtime is running: a fiber does it, and the thread waits.
void run_from_thread(Call& c) {
    Waiter thread;
    go([&c, &thread] {
        c.run();
        ready(thread);
    });
    park(thread, WaitReason::SynctestRun, [](void*) { return true; }, nullptr);
}

} // namespace

// ---- the fibers of a bubble ----

void Bubble::join(Fiber& f) {
    Ties& t = ties_of(f);
    t.fiber = &f;
    t.bubble = this;
    t.bubble_id = id.load(std::memory_order_relaxed);
    running.fetch_add(1, std::memory_order_relaxed); // by a running fiber of the bubble: not from zero
    std::lock_guard hold(lock);
    t.next = fibers;
    t.place = &fibers;
    if (fibers != nullptr) fibers->place = &t.next;
    fibers = &t;
}

void Bubble::leave(Fiber& f) noexcept {
    Ties& t = *f.ties;
    {
        std::lock_guard hold(lock);
        *t.place = t.next;
        if (t.next != nullptr) t.next->place = t.place;
        if (&f == main) main_done = true;
    }
    t.bubble = nullptr;
    t.bubble_id = 0;
    blocked();
}

bool Bubble::take(const std::shared_ptr<PanicRecord>& record) {
    std::lock_guard hold(lock);
    if (panic != nullptr) return false;
    panic = record;
    return true;
}

void Bubble::blocked() noexcept {
    // acq_rel: whoever takes it to zero has seen what all the others did, and passes it on to the one it wakes.
    if (running.fetch_sub(1, std::memory_order_acq_rel) == 1) all_blocked();
}

void Bubble::all_blocked() noexcept {
    Fiber* next = root;
    const bool due = timers.first.load(std::memory_order_relaxed) <= now;
    if (waiter != nullptr && !due && panic == nullptr) next = waiter;
    next->ties->durable = false;
    running.store(1, std::memory_order_relaxed);
    make_runnable(next, true);
}

bool Bubble::resume(Ties& t) noexcept {
    if (id.load(std::memory_order_relaxed) == 0) return false;
    Fiber* waker = current_fiber();
    if (waker == nullptr || bubble_of(*waker) != this) fatal("semaphore wake of synctest goroutine from outside bubble");
    t.durable = false;
    running.fetch_add(1, std::memory_order_relaxed); // by a running fiber of the bubble: not from zero
    return true;
}

void cut_ties(Fiber& f) noexcept {
    if (f.ties == nullptr) return;
    if (Bubble* b = f.ties->bubble) b->leave(f);
    delete std::exchange(f.ties, nullptr);
}

bool is_durable(WaitReason reason) noexcept {
    switch (reason) {
    case WaitReason::ChanReceiveNil:
    case WaitReason::ChanSendNil:
    case WaitReason::SelectNoCases:
    case WaitReason::Sleep:
    case WaitReason::CondWait:
    case WaitReason::SemaphoreAcquire:
    case WaitReason::SynctestRun:
    case WaitReason::SynctestWait:
    case WaitReason::SynctestChanReceive:
    case WaitReason::SynctestChanSend:
    case WaitReason::SynctestSelect:
    case WaitReason::SynctestWaitGroupWait: return true;
    default: return false;
    }
}

void forget_bubbles() noexcept {
    std::lock_guard hold(g_pool.lock);
    g_pool.free = nullptr;
    for (Bubble* b = g_pool.all.load(std::memory_order_relaxed); b != nullptr; b = b->next) {
        b->timers.forget_all();
        b->fibers = nullptr;
        b->panic.reset();
        b->id.store(0, std::memory_order_relaxed);
        b->next_free = g_pool.free;
        g_pool.free = b;
    }
    g_bubbles.store(0, std::memory_order_relaxed);
}

// ---- for the other modules ----

Bubble* find_bubble() noexcept {
    Fiber* f = current_fiber();
    return f != nullptr ? bubble_of(*f) : nullptr;
}

std::uint32_t find_bubble_id() noexcept {
    Fiber* f = current_fiber();
    return f != nullptr && f->ties != nullptr ? f->ties->bubble_id : 0;
}

bool bubble_exists(std::uint32_t id) noexcept {
    for (Bubble* b = g_pool.all.load(std::memory_order_acquire); b != nullptr; b = b->next) {
        if (b->id.load(std::memory_order_relaxed) == id) return true;
    }
    return false;
}

std::int64_t clock_now() noexcept {
    Bubble* b = current_bubble();
    return b != nullptr ? b->now : mono_now();
}

void synctest_run(void (*call)(void*), void* fn) {
    if (Fiber* self = current_fiber()) return run_on_fiber(*self, call, fn);
    Call c{call, fn, {}};
    if (scheduler() != nullptr) {
        run_from_thread(c);
    } else {
        weir::run([&c] { c.run(); });
    }
    c.finish();
}

void synctest_wait() {
    Fiber* self = current_fiber();
    Bubble* b = self != nullptr ? bubble_of(*self) : nullptr;
    if (b == nullptr) panic_runtime("goroutine is not in a bubble");
    if (b->waiting.exchange(true, std::memory_order_relaxed)) panic_runtime("wait already in progress");
    b->waiter = self;
    Waiter waiter;
    park(waiter, WaitReason::SynctestWait, [](void*) { return true; }, nullptr);
    b->waiter = nullptr;
    b->waiting.store(false, std::memory_order_relaxed);
}

} // namespace weir::detail
