// WaitGroup: wait until a number of tasks are done, Go's sync.WaitGroup.
//
//     weir::WaitGroup wg;
//     for (auto& url : urls) wg.go([&] { fetch(url); });  // or wg.add(1) before go, and defer d{[&] { wg.done(); }}; inside
//     wg.wait();
//
// add() that starts from zero must happen before wait(). It may be reused once all wait() calls of the last round have returned,
// and destroyed once the wait() that saw zero has. Works on fibers and on plain OS threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <type_traits>
#include <utility>

#include <weir/defer.h>
#include <weir/detail/bubble.h>
#include <weir/detail/config.h>
#include <weir/detail/contention.h>
#include <weir/detail/park.h>
#include <weir/detail/sched_point.h>
#include <weir/detail/spinlock.h>
#include <weir/go.h>

namespace weir {

class WEIR_API WaitGroup {
public:
    constexpr WaitGroup() noexcept = default;
    WaitGroup(const WaitGroup&) = delete;
    WaitGroup& operator=(const WaitGroup&) = delete;

    /// add changes the counter by n, which may be negative; at zero every waiter is woken. Panics "sync: negative WaitGroup
    /// counter", and "sync: WaitGroup misuse: Add called concurrently with Wait" when a round starts before the waiters of the
    /// last one are released. In a bubble (synctest.h) all add() of a round must come from it: else "sync: WaitGroup.Add called from
    /// inside and outside synctest bubble", "sync: WaitGroup.Add called from multiple synctest bubbles".
    void add(int n) {
        detail::sched_point();
        if (n > 0 && detail::g_bubbles.load(std::memory_order_relaxed) != 0) [[unlikely]] join_bubble();
        // acq_rel: the one that reaches zero has seen what all the others did, and passes it on to wait().
        std::uint64_t s = state_.load(std::memory_order_relaxed);
        if (turns_.wanted() || !state_.compare_exchange_strong(s, s + pack(n), std::memory_order_acq_rel, std::memory_order_relaxed)) [[unlikely]]
            s = add_contended(n);
        s += pack(n);
        const std::int32_t count = counter(s);
        if (count < 0 || (waiters(s) != 0 && (count == 0 || (n > 0 && count == n)))) [[unlikely]]
            add_slow(count);
    }

    /// done takes one off the counter.
    void done() { add(-1); }

    /// wait blocks until the counter is zero ("sync.WaitGroup.Wait"); at zero it returns at once.
    void wait() noexcept {
        // acquire: pairs with the release in add().
        if (counter(state_.load(std::memory_order_acquire)) != 0) wait_slow();
    }

    /// go runs fn(args...) on a new fiber and counts it: add(1), and done() when fn has ended, by a panic too, or its fiber was abandoned.
    template <class F, class... A>
        requires std::is_invocable_v<std::decay_t<F>, std::decay_t<A>...>
    WEIR_ALWAYS_INLINE void go(F&& fn, A&&... args) {
        if (detail::is_null_function<std::decay_t<F>>(fn)) detail::go_nil_function();
        add(1);
        Uncount uncount{this};
        weir::go(Counted{this}, std::forward<F>(fn), std::forward<A>(args)...);
        uncount.group = nullptr;
    }

private:
    // state_:  | counter (signed) | waiters |
    //             63..32             31..0
    static constexpr std::uint64_t pack(int n) noexcept { return static_cast<std::uint64_t>(static_cast<std::int64_t>(n)) << 32; }
    static constexpr std::int32_t counter(std::uint64_t s) noexcept { return static_cast<std::int32_t>(s >> 32); }
    static constexpr std::uint32_t waiters(std::uint64_t s) noexcept { return static_cast<std::uint32_t>(s); }

    /// Counted is the function of a fiber that go() counts.
    struct Counted {
        WaitGroup* group;

        template <class F, class... A>
        void operator()(F&& fn, A&&... args) {
            defer d{[this] { leave(); }};
            std::invoke(std::decay_t<F>(std::forward<F>(fn)), std::decay_t<A>(std::forward<A>(args))...);
        }
        void abandoned(const Panic&) { leave(); }
        void leave() {
            if (WaitGroup* g = std::exchange(group, nullptr)) g->done();
        }
    };

    /// Uncount takes the fiber off again when it could not be started.
    struct Uncount {
        WaitGroup* group;
        ~Uncount() {
            if (group != nullptr) group->done();
        }
    };

    WEIR_NOINLINE std::uint64_t add_contended(int n) noexcept;
    WEIR_NOINLINE void add_slow(std::int32_t count);
    WEIR_NOINLINE void join_bubble();
    WEIR_NOINLINE void wait_slow() noexcept;

    std::atomic<std::uint64_t> state_{0};
    detail::SpinLock lock_;
    detail::Turns turns_; // at state_
    std::atomic<std::uint32_t> bubble_id_{0}; // the bubble that this round's first add() was called in; 0: none
    detail::WaitList list_; // guarded by lock_, as are changes of the waiters in state_: its length
};

} // namespace weir
