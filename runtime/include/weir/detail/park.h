// park and ready: the one way to block.
//
// Everything that blocks (channels, select, sync, timers, sockets) puts a Waiter on the blocked stack, publishes it where
// the waker will look, and calls park(). The waker takes the Waiter off that place and calls ready() exactly once.
//
//     Waiter self;                       // stands for this fiber, or for this plain OS thread
//     lock.lock();
//     if (must_wait) {
//         queue.push(self);
//         park_unlock(self, WaitReason::CondWait, lock);   // unlocks once this context can be resumed
//     }
//
// Invariants:
//   - A Waiter is readied exactly once for each park. When several wakers race (select, cancellation), claim() elects one.
//   - `commit` runs after the context has been saved, on another stack, and must not block, allocate or throw. Until it has released
//     the lock (or published the Waiter) nobody can ready the Waiter; afterwards the Waiter may already be gone.
//   - ready() is called with no runtime lock held.
#pragma once

#include <atomic>
#include <cstdint>

#include <weir/detail/biased_lock.h>
#include <weir/detail/config.h>
#include <weir/detail/spinlock.h>

namespace weir::detail {

struct Fiber;

/// WaitReason says why a fiber is parked; to_string gives Go's words, as dumps and deadlock reports print them.
enum class WaitReason : std::uint8_t {
    None,
    ChanReceive,
    ChanSend,
    ChanReceiveNil,
    ChanSendNil,
    Select,
    SelectNoCases,
    Sleep,
    IoWait,
    MutexLock,
    RWMutexRLock,
    RWMutexLock,
    CondWait,
    WaitGroupWait,
    SemaphoreAcquire,
    OnceDo,
    MainWait,
    Blocking,
    LockedThread,
    SynctestRun,
    SynctestWait,
    // The same as above, where only the fibers of the caller's bubble can end it.
    SynctestChanReceive,
    SynctestChanSend,
    SynctestSelect,
    SynctestWaitGroupWait,
};

WEIR_API const char* to_string(WaitReason reason) noexcept;

/// Waiter stands for one blocked fiber or plain OS thread. It lives on the blocked stack and is linked into at most one WaitList.
struct WEIR_API Waiter {
    struct Unbound {};

    Waiter() noexcept; ///< Stands for the calling fiber, or the calling thread when it runs no fiber.
    explicit Waiter(Unbound) noexcept {} ///< Stands for nobody until stand_for().
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

    Waiter* next = nullptr; // guarded by the lock of the list that holds it
    Waiter* prev = nullptr; // likewise
    Fiber* fiber = nullptr; // null for a plain OS thread
    std::atomic<std::uint32_t> word{0};         // plain threads: whether readied, or asleep (futex)
    std::atomic<std::uint32_t>* signal = &word; // the word that the thread sleeps on

    /// Shared "already won" word when several wakers race for this waiter (one word for all cases of a select); null when only one can.
    std::atomic<std::uint32_t>* won = nullptr;

    /// stand_for makes this waiter one more for the party that `other` stands for: readying either wakes it.
    void stand_for(Waiter& other) noexcept {
        fiber = other.fiber;
        signal = other.signal;
    }

    /// claim elects this waker among several; true for exactly one caller per park. Always true when `won` is null.
    bool claim() noexcept {
        // acq_rel: pairs with the other claimers; the loser must not touch the waiter.
        return won == nullptr || won->exchange(1, std::memory_order_acq_rel) == 0;
    }
};

/// ParkCommit runs once the parking context is saved. Returning false means "do not block after all": the waiter is made ready at once.
using ParkCommit = bool (*)(void* arg);

/// park blocks the caller until ready(self). Blocks; never panics; allocates nothing.
WEIR_API void park(Waiter& self, WaitReason reason, ParkCommit commit, void* arg) noexcept;

/// park_unlock parks and then releases `lock`, under which self was published.
WEIR_API void park_unlock(Waiter& self, WaitReason reason, SpinLock& lock) noexcept;
WEIR_API void park_unlock(Waiter& self, WaitReason reason, BiasedLock& lock) noexcept;

/// ready makes a parked waiter runnable. Never blocks. The waiter must not be touched afterwards.
WEIR_API void ready(Waiter& waiter) noexcept;

/// park_forever parks with nobody to wake it: nil channels and empty selects.
[[noreturn]] WEIR_API void park_forever(WaitReason reason) noexcept;

/// on_fiber tells whether the caller runs on a fiber.
WEIR_API bool on_fiber() noexcept;

/// WaitList is a FIFO of waiters, intrusive, guarded by its owner's lock.
class WaitList {
public:
    /// empty may also be asked without the lock: then it is a hint.
    bool empty() const noexcept { return front() == nullptr; }
    Waiter* front() const noexcept { return head_.load(std::memory_order_relaxed); }

    void push_back(Waiter& w) noexcept {
        w.next = nullptr;
        w.prev = tail_;
        link(tail_, &w);
        tail_ = &w;
    }
    void push_front(Waiter& w) noexcept {
        w.prev = nullptr;
        w.next = front();
        (w.next ? w.next->prev : tail_) = &w;
        link(nullptr, &w);
    }
    Waiter* pop_front() noexcept {
        Waiter* w = front();
        if (w != nullptr) remove(*w);
        return w;
    }
    /// remove unlinks w; a waiter that is not in the list is left alone.
    void remove(Waiter& w) noexcept {
        if (w.prev == nullptr && front() != &w) return;
        link(w.prev, w.next);
        (w.next ? w.next->prev : tail_) = w.prev;
        w.next = w.prev = nullptr;
    }
    /// take_all empties the list and returns its first waiter; follow `next`.
    Waiter* take_all() noexcept {
        Waiter* first = front();
        link(nullptr, nullptr);
        tail_ = nullptr;
        return first;
    }

private:
    /// link makes w the one after `before`, or the first.
    void link(Waiter* before, Waiter* w) noexcept {
        if (before != nullptr) {
            before->next = w;
        } else {
            head_.store(w, std::memory_order_relaxed);
        }
    }

    std::atomic<Waiter*> head_{nullptr}; // atomic for empty()
    Waiter* tail_ = nullptr;
};

} // namespace weir::detail
