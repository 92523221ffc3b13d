#include <weir/signal.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <string>
#include <vector>

#include <sched.h>

#include <weir/detail/wake_source.h>
#include <weir/panic.h>

namespace weir {

namespace {

constexpr int kSignals = 65;

struct Subscription {
    chan<int> c = nil;
    int signal = 0;
};

struct State {
    std::mutex mutex;
    std::vector<Subscription> subscriptions; // guarded by mutex
    struct sigaction old[kSignals] = {};     // guarded by mutex
    int users[kSignals] = {};                // guarded by mutex
    std::atomic<int> pending[kSignals] = {};
    std::atomic<int> delivering{0}; // calls of deliver() that have copied the subscriptions; rises under mutex
};

State& state() {
    static auto* s = new State; // leaked: a signal may arrive at any time
    return *s;
}

void on_signal(int signal) {
    int saved = errno;
    state().pending[signal].fetch_add(1, std::memory_order_release); // release: pairs with the exchange in deliver()
    detail::wake_source_signal();
    errno = saved;
}

/// deliver runs on a worker after a signal has come.
void deliver() {
    std::vector<Subscription> to;
    {
        std::lock_guard hold(state().mutex);
        to = state().subscriptions;
        state().delivering.fetch_add(1, std::memory_order_relaxed);
    }
    for (int signal = 1; signal < kSignals; ++signal) {
        if (state().pending[signal].load(std::memory_order_relaxed) == 0) continue;
        for (int n = state().pending[signal].exchange(0, std::memory_order_acquire); n > 0; --n) {
            for (Subscription& s : to) {
                if (s.signal != signal) continue;
                detail::ChanCore* core = detail::ChanAccess::core(s.c);
                if (core->is_foreign()) {
                    // Signals come from outside. There is nobody to panic; of a bubble that has ended nobody waits.
                    if (detail::bubble_exists(core->bubble_id)) detail::fatal("send on synctest channel from outside bubble");
                    continue;
                }
                int value = signal;
                detail::chan_try_send(core, &value); // a closed or full channel misses it, as in Go
            }
        }
    }
    state().delivering.fetch_sub(1, std::memory_order_release); // release: pairs with the acquire in signal_stop()
}

/// install and uninstall want the mutex held.
void install(int signal) {
    State& s = state();
    if (s.users[signal]++ > 0) return;
    struct sigaction sa {};
    sa.sa_handler = on_signal;
    sa.sa_flags = SA_ONSTACK | SA_RESTART;
    sigemptyset(&sa.sa_mask);
    if (sigaction(signal, &sa, &s.old[signal]) != 0) {
        --s.users[signal];
        detail::panic_runtime("signal_notify: signal " + std::to_string(signal) + " cannot be caught");
    }
    detail::wake_source_add(deliver);
}

void uninstall(int signal) {
    State& s = state();
    if (--s.users[signal] > 0) return;
    sigaction(signal, &s.old[signal], nullptr);
    detail::wake_source_remove();
}

void stop_all() {
    std::vector<Subscription> gone;
    std::lock_guard hold(state().mutex);
    gone.swap(state().subscriptions);
    for (const Subscription& s : gone) uninstall(s.signal);
}

} // namespace

void detail::signal_notify(const chan<int>& c, std::initializer_list<int> signals) {
    if (c == nil) panic("os/signal: Notify using nil channel");
    detail::at_run_end(stop_all);
    for (int signal : signals) {
        if (signal < 1 || signal >= kSignals) panic_runtime("signal_notify: " + std::to_string(signal) + " is not a signal");
        std::lock_guard hold(state().mutex);
        auto& all = state().subscriptions;
        if (std::any_of(all.begin(), all.end(), [&](const Subscription& s) { return s.signal == signal && s.c == c; })) continue;
        install(signal);
        all.push_back({c, signal});
    }
}

void signal_stop(const chan<int>& c) {
    {
        std::vector<Subscription> gone; // let go of outside the mutex
        std::lock_guard hold(state().mutex);
        auto& all = state().subscriptions;
        for (std::size_t i = all.size(); i-- > 0;) {
            if (!(all[i].c == c)) continue;
            uninstall(all[i].signal);
            gone.push_back(std::move(all[i]));
            all.erase(all.begin() + static_cast<std::ptrdiff_t>(i));
        }
    }
    // A delivery that began before may still send to c: for some microseconds, on another thread. Acquire: pairs with the release there.
    while (state().delivering.load(std::memory_order_acquire) != 0) ::sched_yield();
}

} // namespace weir
