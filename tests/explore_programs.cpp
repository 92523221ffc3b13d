#include "explore_programs.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <weir/chan.h>
#include <weir/cond.h>
#include <weir/context.h>
#include <weir/errgroup.h>
#include <weir/explore.h>
#include <weir/go.h>
#include <weir/map.h>
#include <weir/mutex.h>
#include <weir/once.h>
#include <weir/pool.h>
#include <weir/rwmutex.h>
#include <weir/select.h>
#include <weir/semaphore.h>
#include <weir/singleflight.h>
#include <weir/sleep.h>
#include <weir/ticker.h>
#include <weir/value.h>
#include <weir/waitgroup.h>

namespace weir_test {

using namespace std::chrono_literals;
using namespace weir;

namespace {

void ensure(bool holds, const char* what) {
    if (!holds) panic(what);
}

/// nobody_waits looks at a channel's own lists.
template <class T>
bool nobody_waits(const chan<T>& c) {
    const detail::ChanCore& core = *detail::ChanAccess::core(c);
    return core.senders.empty() && core.receivers.empty();
}

/// Section tells whether its holders may be in it together.
class Section {
public:
    void enter(bool alone) {
        ensure(!alone_ && (!alone || inside_ == 0), "two in a section for one");
        alone_ = alone;
        ++inside_;
        explore_point();
    }
    void leave() {
        alone_ = false;
        --inside_;
    }

private:
    int inside_ = 0;
    bool alone_ = false;
};

// ---- channels ----

/// exchange: two senders of two values each, two receivers of two each; every value arrives once, each sender's in order.
void exchange(chan<int> c) {
    WaitGroup wg;
    std::array<std::vector<int>, 2> got;
    for (int s = 0; s < 2; ++s) {
        wg.go([c, s] {
            c.send(10 * s);
            c.send(10 * s + 1);
        });
    }
    for (auto& mine : got) {
        wg.go([c, &mine] {
            mine.push_back(c.recv());
            mine.push_back(c.recv());
        });
    }
    wg.wait();
    std::vector<int> all;
    for (const auto& mine : got) {
        ensure(mine[0] / 10 != mine[1] / 10 || mine[0] < mine[1], "one sender's values overtook each other");
        all.insert(all.end(), mine.begin(), mine.end());
    }
    std::sort(all.begin(), all.end());
    ensure(all == std::vector{0, 1, 10, 11}, "a value was lost, or came twice");
    ensure(nobody_waits(c) && c.len() == 0, "somebody still waits");
}

void unbuffered() { exchange(chan<int>()); }
void buffered() { exchange(chan<int>(1)); }

/// making_room: a receive lets the sender in that waits for room, whether or not more are received.
void making_room() {
    chan<int> c(1);
    WaitGroup wg;
    for (int i = 0; i < 3; ++i) wg.go([c] { c.send(1); });
    ensure(c.recv() == 1 && c.recv() == 1, "another value than the one sent");
    wg.wait();
    ensure(c.len() == 1 && nobody_waits(c), "the last value is not in the channel");
}

/// meeting: an unbuffered send returns only once a receiver has come, and try_send succeeds only when one waits.
void meeting() {
    chan<int> c;
    bool came = false;
    WaitGroup wg;
    wg.go([&] {
        c.send(1);
        ensure(came, "a send returned before anybody received");
    });
    bool tried = false;
    wg.go([&] {
        tried = c.try_send(2);
        ensure(came || !tried, "a try_send succeeded before anybody received");
    });
    explore_point();
    came = true;
    const int first = c.recv();
    if (first == 2) ensure(c.recv() == 1, "another value than the one sent"); // the send still waits, or comes
    wg.wait();
    ensure(tried == (first == 2), "a try_send succeeded and nobody has its value");
}

void closing() {
    chan<int> c;
    WaitGroup wg;
    int got = 0;
    int ended = 0;
    for (int i = 0; i < 3; ++i) {
        wg.go([&] {
            auto [value, ok] = c.recv_ok();
            ++(ok ? got : ended);
            ensure(value == (ok ? 7 : 0), "a closed channel gave something else than zero");
        });
    }
    c.send(7);
    c.close();
    wg.wait();
    ensure(got == 1 && ended == 2, "close did not reach everyone");
    ensure(nobody_waits(c), "somebody still waits");
}

/// closing_buffered: what was sent before close arrives; a sender that waits panics, and its value does not arrive.
void closing_buffered() {
    chan<int> c(1);
    WaitGroup wg;
    int sent = 0;
    int received = 0;
    for (int i = 0; i < 2; ++i) {
        wg.go([&] {
            if (auto p = catch_panic([&] { c.send(1); })) {
                ensure(p->message() == "send on closed channel", "another panic than that of a closed channel");
            } else {
                ++sent;
            }
        });
    }
    wg.go([&] {
        while (c.next()) ++received;
    });
    wg.go([&] { c.close(); });
    wg.wait();
    ensure(sent == received, "sent and received differ");
}

// ---- select ----

void select_receives() {
    chan<int> a;
    chan<int> b(1);
    WaitGroup wg;
    int sum = 0;
    for (int i = 0; i < 2; ++i) {
        wg.go([&] {
            select(recv(a, [&](int v) { sum += v; }), recv(b, [&](int v) { sum += v; }));
            select(recv(b, [&](int v) { sum += v; }), recv(a, [&](int v) { sum += v; }));
        });
    }
    wg.go([&] {
        a.send(1);
        b.send(10);
    });
    b.send(100);
    a.send(1000);
    wg.wait();
    ensure(sum == 1111, "a value was lost, or came twice");
    ensure(nobody_waits(a) && nobody_waits(b), "somebody still waits");
}

/// select_meets: both offer to send and to receive; what one did the other did not.
void select_meets() {
    chan<int> there;
    chan<int> back;
    WaitGroup wg;
    int sends = 0;
    int receives = 0;
    wg.go([&] { select(send(there, 1, [&] { ++sends; }), recv(back, [&](int v) { receives += v; })); });
    wg.go([&] { select(recv(there, [&](int v) { receives += v; }), send(back, 1, [&] { ++sends; })); });
    wg.wait();
    ensure(sends == 1 && receives == 1, "the two selects did not meet once");
    ensure(nobody_waits(there) && nobody_waits(back), "somebody still waits");
}

/// select_leaves: the channel that lost knows nothing of the select afterwards, and what is sent there later arrives.
void select_leaves() {
    chan<int> lost;
    chan<int> won;
    chan<int> done;
    go([&] {
        select(recv(lost), recv(won));
        ensure(detail::ChanAccess::core(lost)->receivers.empty(), "a select is over and still waits");
        done.send(lost.recv());
    });
    won.send(1);
    lost.send(2);
    ensure(done.recv() == 2, "another value than the one sent");
}

void select_default_and_timeout() {
    chan<int> c;
    WaitGroup wg;
    bool sent = false;
    wg.go([&] { sent = select(send(c, 1), timeout(1h)) == 0; });
    wg.go([&] {
        int v = 0;
        if (select(recv(c, v), otherwise()) == 1) select(recv(c, v), timeout(1h));
        ensure(v == 1, "the value was not received");
    });
    wg.wait();
    ensure(sent, "a send timed out although somebody received");
}

// ---- sync ----

void mutex() {
    Mutex mu;
    Section section;
    WaitGroup wg;
    for (int i = 0; i < 3; ++i) {
        wg.go([&] {
            std::lock_guard lock(mu);
            section.enter(true);
            section.leave();
        });
    }
    if (mu.try_lock()) {
        section.enter(true);
        section.leave();
        mu.unlock();
    }
    wg.wait();
}

/// mutex_starves: a holder that sleeps makes waiters starve, so that the mutex is handed over.
void mutex_starves() {
    Mutex mu;
    Section section;
    WaitGroup wg;
    for (int i = 0; i < 3; ++i) {
        wg.go([&] {
            for (int round = 0; round < 2; ++round) {
                std::lock_guard lock(mu);
                section.enter(true);
                sleep(2ms);
                section.leave();
            }
        });
    }
    wg.wait();
}

void rwmutex() {
    RWMutex mu;
    Section section;
    WaitGroup wg;
    for (int i = 0; i < 2; ++i) {
        wg.go([&] {
            std::shared_lock lock(mu);
            section.enter(false);
            section.leave();
        });
        wg.go([&] {
            std::lock_guard lock(mu);
            section.enter(true);
            section.leave();
        });
    }
    if (mu.try_lock()) {
        section.enter(true);
        section.leave();
        mu.unlock();
    }
    wg.wait();
}

void waitgroup() {
    WaitGroup tasks;
    WaitGroup waiters;
    int done = 0;
    tasks.add(3);
    for (int i = 0; i < 3; ++i) {
        go([&] {
            ++done;
            tasks.done();
        });
    }
    waiters.go([&] {
        tasks.wait();
        ensure(done == 3, "a wait returned early");
    });
    tasks.wait();
    ensure(done == 3, "a wait returned early");
    waiters.wait();
    for (int round = 0; round < 2; ++round) {
        bool again = false;
        tasks.go([&] { again = true; });
        tasks.wait();
        ensure(again, "a wait of a group used again returned early");
    }
}

void once() {
    Once once;
    int begun = 0;
    int ended = 0;
    auto call = [&] {
        once.call([&] {
            ++begun;
            explore_point();
            ++ended;
        });
        ensure(begun == 1 && ended == 1, "a call returned before the first one had ended");
    };
    WaitGroup wg;
    for (int i = 0; i < 2; ++i) wg.go(call);
    call();
    wg.wait();
}

void cond_signal() {
    Mutex mu;
    Cond filled(mu);
    int items = 0;
    WaitGroup wg;
    for (int i = 0; i < 2; ++i) {
        wg.go([&] {
            std::lock_guard lock(mu);
            while (items == 0) filled.wait();
            --items;
        });
    }
    for (int i = 0; i < 2; ++i) {
        mu.lock();
        ++items;
        mu.unlock();
        filled.signal();
    }
    wg.wait();
    ensure(items == 0, "an item was taken twice, or not at all");
}

void cond_broadcast() {
    Mutex mu;
    Cond changed(mu);
    bool open = false;
    WaitGroup wg;
    for (int i = 0; i < 3; ++i) {
        wg.go([&] {
            std::lock_guard lock(mu);
            changed.wait([&] { return open; });
        });
    }
    {
        std::lock_guard lock(mu);
        open = true;
        changed.broadcast();
    }
    wg.wait();
}

/// semaphore: never more than there are, and strictly first come, first served.
void semaphore() {
    Semaphore s(3);
    WaitGroup wg;
    int held = 1;
    bool large_first = false;
    auto hold = [&](int n) {
        (void)s.acquire(background(), n);
        held += n;
        ensure(held <= 3, "more was taken than there is");
        explore_point();
        held -= n;
        s.release(n);
    };
    (void)s.acquire(background(), 1);
    wg.go([&] {
        (void)s.acquire(background(), 3);
        large_first = true;
        s.release(3);
    });
    while (s.try_acquire(1)) { // until the large request waits
        s.release(1);
        yield();
    }
    wg.go([&] {
        (void)s.acquire(background(), 1);
        ensure(large_first, "a small request went before a large one that waited");
        s.release(1);
    });
    explore_point();
    held = 0;
    s.release(1);
    wg.go([&] { hold(2); });
    hold(2);
    wg.wait();
    ensure(s.try_acquire(3), "something was not given back");
}

void semaphore_context() {
    Semaphore s(1);
    auto [ctx, cancel] = with_cancel(background());
    WaitGroup wg;
    for (int i = 0; i < 2; ++i) {
        wg.go([&s, &ctx = ctx] {
            if (!s.acquire(ctx, 1)) s.release(1);
        });
    }
    if (!s.acquire(ctx, 1)) {
        cancel();
        s.release(1);
    }
    wg.wait();
    ensure(s.try_acquire(1), "a waiter that gave up kept its unit");
}

// ---- what is built on them ----

void pool() {
    constexpr int kFibers = 3, kRounds = 2;
    struct Object {
        static void operator delete(void*) {} // where a bug is planted, one may be destroyed twice
        int holders = 0;
    };
    static Object all[kFibers * kRounds];
    std::fill(std::begin(all), std::end(all), Object());
    int made = 0;
    Pool<Object> objects([&] { return std::unique_ptr<Object>(&all[made++]); });
    WaitGroup wg;
    for (int i = 0; i < kFibers; ++i) {
        wg.go([&] {
            for (int round = 0; round < kRounds; ++round) {
                std::unique_ptr<Object> mine = objects.get();
                ensure(++mine->holders == 1, "one object with two holders");
                explore_point();
                --mine->holders;
                objects.put(std::move(mine));
            }
        });
    }
    wg.wait();
}

void map() {
    struct OneChain { // all keys collide
        std::size_t operator()(int) const { return 1; }
    };
    Map<int, int, OneChain> m;
    WaitGroup wg;
    int stored = 0;
    for (int i = 0; i < 3; ++i) {
        wg.go([&, i] {
            stored += !m.load_or_store(0, 0).second;
            for (;;) {
                const int seen = *m.load(0);
                if (m.compare_and_swap(0, seen, seen + 1)) break;
            }
            m.store(i + 1, i);
            ensure(m.load_and_delete(i + 1) == i, "a key of one fiber's own has another value");
        });
    }
    wg.wait();
    ensure(stored == 1, "load_or_store stored twice");
    ensure(m.load(0) == 3, "an update was lost");
    int keys = 0;
    m.range([&](int, int) { ++keys; });
    ensure(keys == 1, "an erased key is still there");
}

/// map_nodes: the keys share a branch that is there while two of them are; one fiber empties it again and again, the others store into it.
void map_nodes() {
    struct Near { // the top four bits are alike, the next are not
        std::size_t operator()(std::uint64_t key) const { return (key << 56) * 0xf1de83e19937733d; } // undoes HashTrie::spread
    };
    Map<std::uint64_t, int, Near> m;
    WaitGroup wg;
    for (std::uint64_t key : {1, 2}) m.store(key, 0);
    wg.go([&] {
        for (std::uint64_t key : {1, 2}) ensure(m.erase(key), "a key that was stored is not there");
    });
    for (std::uint64_t key : {3, 4}) {
        wg.go([&, key] {
            m.store(key, 1);
            ensure(m.load(key) == 1, "a value that was stored is not there");
            ensure(m.compare_and_swap(key, 1, 2), "a value that was stored is not there");
        });
    }
    wg.wait();
    for (std::uint64_t key : {3, 4}) ensure(m.load(key) == 2, "a store was lost");
    int keys = 0;
    m.range([&](std::uint64_t, int) { ++keys; });
    ensure(keys == 2, "an erased key is still there");
}

void value() {
    Value<int> v;
    v.store(0);
    WaitGroup wg;
    for (int i = 0; i < 3; ++i) {
        wg.go([&] {
            for (;;) {
                const int seen = *v.load();
                if (v.compare_and_swap(seen, seen + 1)) break;
            }
        });
    }
    wg.wait();
    ensure(v.load() == 3, "an update was lost");
}

void singleflight() {
    SingleFlight<int, int> flight;
    WaitGroup wg;
    int running = 0;
    int runs = 0;
    auto query = [&] {
        ensure(++running == 1, "two calls of one key at a time");
        ++runs;
        explore_point();
        --running;
        return runs;
    };
    for (int i = 0; i < 2; ++i) {
        wg.go([&] {
            auto [got, err, shared] = flight.run(1, query);
            ensure(!err && got >= 1 && got <= runs, "a result of no call");
        });
    }
    auto result = flight.run_chan(1, query);
    ensure(result.recv().value >= 1, "a result of no call");
    wg.wait();
}

void errgroup() {
    auto [g, ctx] = with_errgroup(background());
    g.set_limit(2);
    int running = 0;
    int failed = 0;
    const Error bad = errorf("bad");
    for (int i = 0; i < 3; ++i) {
        g.go([&, i, &ctx = ctx]() -> Error {
            ensure(++running <= 2, "more tasks than the limit");
            explore_point();
            --running;
            if (i == 1) return ++failed, bad;
            if (i == 2) ctx.done().recv();
            return {};
        });
    }
    ensure(g.wait().is(bad) && failed == 1, "another error than the first");
    ensure(!!ctx.err() && cause(ctx).is(bad), "the context has not ended, or for another reason");
}

/// errgroup_again: once wait has returned there is room for as many tasks as before, and the limit may be changed.
void errgroup_again() {
    ErrGroup g;
    g.set_limit(2);
    for (int round = 0; round < 2; ++round) {
        int ended = 0;
        auto task = [&] { return ++ended, Error(); };
        for (int i = 0; i < 2; ++i) ensure(g.try_go(task), "no room although wait has returned");
        ensure(!g.wait() && ended == 2, "wait returned early");
    }
    g.set_limit(1);
}

void context_tree() {
    auto [parent, cancel] = with_cancel(background());
    WaitGroup wg;
    wg.go([&parent = parent] {
        auto [child, cancel_child] = with_cancel(parent);
        auto [leaf, cancel_leaf] = with_cancel(child);
        leaf.done().recv();
        ensure(!!leaf.err() && !!parent.err(), "a context is done and has no error");
    });
    auto [child, cancel_child] = with_cancel(parent);
    wg.go([&cancel_child = cancel_child] { cancel_child(); });
    wg.go([&cancel = cancel, &child = child] {
        cancel();
        ensure(!!child.err(), "cancel returned and a child has not ended");
    });
    child.done().recv();
    wg.wait();
}

void context_after_func() {
    auto [ctx, cancel] = with_cancel(background());
    chan<void> ran(1);
    auto stop = after_func(ctx, [&] { ran.send(); });
    WaitGroup wg;
    wg.go([&cancel = cancel] { cancel(); });
    const bool stopped = stop();
    wg.wait();
    if (!stopped) ran.recv();
    ensure(!ran.try_recv(), "it ran twice, or although stopped");
}

void context_timeout() {
    auto [ctx, cancel] = with_timeout(background(), 1h);
    WaitGroup wg;
    wg.go([&ctx = ctx] {
        auto [child, cancel_child] = with_timeout(ctx, 2h);
        child.done().recv();
        ensure(child.err().is(kDeadlineExceeded), "another end than the deadline's");
    });
    sleep(1h);
    ctx.done().recv();
    wg.wait();
}

// ---- time ----

void timers() {
    chan<int> c;
    int order = 0;
    go([&] {
        sleep(2h);
        c.send(2);
    });
    go([&] {
        sleep(1h);
        c.send(1);
    });
    Timer never(3h);
    for (int i = 1; i <= 2; ++i) {
        select(recv(c, [&](int v) { order = 10 * order + v; }), recv(never.c(), [] { panic("three hours before two"); }));
    }
    ensure(order == 12, "sleepers woke in another order than that of their times");
    ensure(never.stop(), "a timer had fired early");
}

/// settled runs a program and sees to it that all its fibers end. Time moves on only once nobody can run.
template <void (*Run)()>
void settled() {
    Run();
    sleep(1h);
    ensure(num_fibers() == 1, "a fiber is left over");
}

constexpr Program kPrograms[] = {
    {"unbuffered channel", settled<unbuffered>},
    {"buffered channel", settled<buffered>},
    {"buffered channel, making room", settled<making_room>},
    {"unbuffered channel, meeting", settled<meeting>},
    {"close", settled<closing>},
    {"close, buffered", settled<closing_buffered>},
    {"select of receives", settled<select_receives>},
    {"select of send and receive", settled<select_meets>},
    {"select leaves the others", settled<select_leaves>},
    {"select with default and timeout", settled<select_default_and_timeout>},
    {"Mutex", settled<mutex>},
    {"Mutex, starving", settled<mutex_starves>},
    {"RWMutex", settled<rwmutex>},
    {"WaitGroup", settled<waitgroup>},
    {"Once", settled<once>},
    {"Cond, signal", settled<cond_signal>},
    {"Cond, broadcast", settled<cond_broadcast>},
    {"Semaphore", settled<semaphore>},
    {"Semaphore with a context", settled<semaphore_context>},
    {"Pool", settled<pool>},
    {"Map", settled<map>},
    {"Map, a branch that comes and goes", settled<map_nodes>},
    {"Value", settled<value>},
    {"SingleFlight", settled<singleflight>},
    {"ErrGroup", settled<errgroup>},
    {"ErrGroup, used again", settled<errgroup_again>},
    {"Context, a tree", settled<context_tree>},
    {"Context, after_func", settled<context_after_func>},
    {"Context, timeout", settled<context_timeout>},
    {"timers", settled<timers>},
};

} // namespace

std::span<const Program> explore_programs() { return kPrograms; }

const Program& explore_program(std::string_view name) {
    for (const Program& p : kPrograms) {
        if (p.name == name) return p;
    }
    throw std::logic_error("no such program: " + std::string(name));
}

} // namespace weir_test
