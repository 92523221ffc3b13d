// synctest: tests of concurrent code with a clock that stands still until it is waited for. Go's testing/synctest.
//
//     weir::synctest::test([] {
//         auto [ctx, cancel] = weir::with_timeout(weir::background(), 5s);
//         weir::sleep(5s - 1ns);               // takes no time, and exactly that long
//         weir::synctest::wait();              // all other fibers of the bubble are blocked now
//         CHECK(!ctx.err());
//         weir::sleep(1ns);
//         weir::synctest::wait();
//         CHECK(ctx.err() == weir::kDeadlineExceeded);
//         cancel();
//     });
//
// test() runs its function in a bubble: the fibers it starts, and those that they start, with a clock of their own. weir::now() begins at midnight UTC
// 2000-01-01; sleeps, timers, tickers, select's timeouts and contexts' deadlines go by it. Take the time from weir::now(), not from std::chrono.
//
// A fiber of the bubble is durably blocked while it waits for what only the bubble's fibers and clock can bring about:
//   - a send to or receive from a channel made in the bubble, or a select of such channels only (and of nil ones, and a timeout);
//   - sleep, Cond::wait, WaitGroup::wait if its count was raised in the bubble, Semaphore::acquire.
// A Mutex, a socket, blocking(), a channel from outside: those are not, because something outside may end the wait. When all fibers of the bubble
// are durably blocked, wait() returns if there is one in it; else time goes on to the next timer, if main, the fiber of test()'s function, has not
// ended; else the bubble is over. As long as one is not, nothing of that happens.
//
// Timers due at the same moment fire in the order in which they were armed (a ticker's next tick is armed by the one before), and with one worker what they
// wake or start runs in that order. Go draws lots, so that no test comes to rest on it: so does explore(), for each run.
//
// The bubble is a closed world. A channel made in it panics when used from outside ("send on synctest channel from outside bubble", and receive, close,
// select), a timer too ("stop of synctest timer from outside bubble", reset). Waking its fibers from outside by a Cond or a Semaphore is fatal
// ("semaphore wake of synctest goroutine from outside bubble"), as is ending a context made in it. Sockets may be used; their deadlines, given by the
// bubble's clock, last as long on the real one.
//
// Thread safety: any number of bubbles may run at the same time.
#pragma once

#include <memory>
#include <type_traits>

#include <weir/context.h>
#include <weir/defer.h>
#include <weir/detail/bubble.h>
#include <weir/detail/config.h>
#include <weir/explore.h>

namespace weir::synctest {

/// test runs fn in a new bubble, on a fiber of its own, and returns when all fibers of the bubble have ended ("synctest.Run"). fn takes nothing, or a
/// Context that ends when fn does, for the fibers that it leaves behind. May be called from a fiber, from a plain OS thread while a runtime is
/// running, and with none: then it runs one.
///
/// A panic that nobody in the bubble recovers is test()'s panic, with its value and stack. It panics "deadlock: all goroutines in bubble are blocked" when
/// that is so and no timer is pending, and "deadlock: main bubble goroutine has exited but blocked goroutines remain", with their stacks in what()
/// and Panic::stack(). In these three cases the fibers that are blocked are left so for ever, without unwinding. Panics "synctest.Run called from
/// within a synctest bubble".
template <class F>
    requires std::is_invocable_v<F&> || std::is_invocable_v<F&, const Context&>
void test(F&& fn) {
    auto call = [&fn] {
        if constexpr (std::is_invocable_v<F&>) {
            fn();
        } else {
            auto [ctx, cancel] = with_cancel(background());
            defer ended{cancel};
            fn(ctx);
        }
    };
    detail::synctest_run([](void* p) { (*static_cast<decltype(call)*>(p))(); }, &call);
}

/// wait blocks until all other fibers of the bubble are durably blocked ("synctest.Wait"). What they did before that is visible to the caller. Panics
/// "goroutine is not in a bubble", and "wait already in progress" when another fiber of the bubble is in it.
inline void wait() { detail::synctest_wait(); }

} // namespace weir::synctest
