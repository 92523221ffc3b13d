// Crash containment: every way to crash, at 1, 2 and 4 workers, plainly, in a deferred call and after moving to another thread, beside
// healthy fibers that must not notice; then many crashes in a row, reports, policies, and what is not contained.
#include "fixture.h"

#include <alloca.h>
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include <weir/chan.h>
#include <weir/debug.h>
#include <weir/defer.h>
#include <weir/errgroup.h>
#include <weir/detail/park.h>
#include <weir/on_abandon.h>
#include <weir/panic_report.h>
#include <weir/waitgroup.h>
#include <weir/workerpool.h>

#include "crash_kinds.h"

TEST_SUITE_BEGIN("crash");

namespace {

/// The torture runs in child processes: what it abandons is not this one's.
template <typename Fn>
void in_child(Fn fn) {
    const Death death = dies([&] { return fn(); }, 110s);
    CHECK_MESSAGE(death.status == 0, death.status, "\n", death.err.substr(0, 4000), "\n...\n", death.err.size() > 4000 ? death.err.substr(death.err.size() - 4000) : "");
}

enum class Place { Plain, Deferred, Moved };

/// move_on yields until the fiber is on another thread, if there is one.
void move_on() {
    const auto here = std::this_thread::get_id();
    for (int i = 0; i < 1000 && std::this_thread::get_id() == here; ++i) weir::yield();
}

void crash_at(Place place, const CrashKind& kind) {
    switch (place) {
    case Place::Plain: kind.crash(); break;
    case Place::Deferred: {
        weir::defer d{[&] { kind.crash(); }};
        weir::panic("the first");
    }
    case Place::Moved:
        move_on();
        kind.crash();
        break;
    }
}

/// Victim is one fiber that crashes, and what became of it. Leaked: an abandoned fiber may still refer to it.
struct Victim {
    const CrashKind* kind;
    Place place;
    std::atomic<bool> began{false};
    std::atomic<bool> deferred{false};
    std::atomic<bool> ended{false};
    weir::PanicKind panic_kind{};
    std::string text;
    std::string stack;
};

void be_victim(Victim& v) {
    v.began = true;
    auto p = weir::catch_panic([&] {
        weir::defer d{[&] { v.deferred = true; }};
        crash_at(v.place, *v.kind);
    });
    if (p) {
        v.panic_kind = p->kind();
        v.text = p->message();
    }
    v.ended = true;
}

/// verdict is empty when the crash came to what it should.
std::string verdict(const Victim& v) {
    if (!v.ended) return v.kind->comes == Comes::Panic ? "abandoned instead of panicking" : "";
    if (v.kind->comes == Comes::Abandoned) return "went on instead of being abandoned: " + v.text;
    if (!v.deferred) return "its defer did not run";
    if (v.panic_kind != v.kind->kind) return "wrong kind: " + std::string(weir::to_string(v.panic_kind)) + ": " + v.text;
    if (!contains(v.text, v.kind->text)) return "wrong text: " + v.text;
    return "";
}

/// Healthy pairs hand messages to and fro while others crash.
struct Healthy {
    explicit Healthy(std::size_t pairs, int messages) : expected(pairs) {
        for (std::size_t i = 0; i < pairs; ++i) {
            weir::chan<int> there, back;
            weir::go([=] {
                for (int n : there) back.send(n + 1);
            });
            weir::go([=, this] {
                bool right = true;
                for (int n = 0; n < messages; ++n) {
                    there.send(n);
                    right = back.recv() == n + 1 && right;
                }
                there.close();
                if (right) ++done;
            });
        }
    }
    bool all_done() { return eventually([&] { return done == expected; }, 60s); }

    std::atomic<std::size_t> done{0};
    const std::size_t expected;
};

/// TSan's runtime works on the fiber's stack and holds locks of its own there: a stack that overflows in it leaves them locked.
constexpr bool kOverflows = !WEIR_TSAN;

/// unfit for sanitizers: their allocators end the process when memory is out, and TSan reports a thread that nobody joins.
bool unfit(const CrashKind& kind) {
    const std::string name = kind.name;
    return (slow_build() && name == "out of memory") || (WEIR_TSAN && name == "joinable thread destroyed") ||
           (!kOverflows && kind.kind == weir::PanicKind::StackOverflow);
}

/// torture crashes fibers of all kinds at once at `place`, among healthy ones; returns 0 if all came to what it should.
int torture(int workers, Place place) {
    int wrong = 0;
    const int status = weir::run(weir::Options{.max_procs = workers}, [&] {
        const auto abandoned_before = weir::abandoned_total();
        auto& healthy = *new Healthy(stress(500), 20); // leaked, like the victims
        std::vector<Victim*> victims;
        for (const CrashKind& kind : crash_kinds()) {
            if (unfit(kind)) continue;
            auto* v = victims.emplace_back(new Victim{&kind, place});
            weir::go({.name = kind.name}, [v] { be_victim(*v); });
        }
        const auto over = [&] {
            std::size_t ended = weir::abandoned_total() - abandoned_before;
            for (const Victim* v : victims) ended += v->ended;
            return ended == victims.size();
        };
        if (!eventually(over, 60s)) std::fprintf(stderr, "WRONG: some neither ended nor were abandoned\n"), ++wrong;
        for (const Victim* v : victims) {
            const std::string what = verdict(*v);
            if (!what.empty()) std::fprintf(stderr, "WRONG: %s at %d workers: %s\n", v->kind->name, workers, what.c_str()), ++wrong;
        }
        if (!healthy.all_done()) std::fprintf(stderr, "WRONG: healthy fibers did not finish\n"), ++wrong;
        if (!all_gone()) std::fprintf(stderr, "WRONG: %zu fibers left\n", weir::num_fibers() - 1), ++wrong;
    });
    return wrong + status;
}

void torture_at_all_workers(Place place) {
    in_child([place] {
        int wrong = 0;
        for (int workers : {1, 2, 4}) wrong += torture(workers, place);
        return wrong != 0;
    });
}

} // namespace

TEST_CASE("every crash ends its own fiber and no other") { torture_at_all_workers(Place::Plain); }
TEST_CASE("every crash in a deferred call ends its own fiber and no other") { torture_at_all_workers(Place::Deferred); }
TEST_CASE("every crash after moving to another thread ends its own fiber and no other") { torture_at_all_workers(Place::Moved); }

// ---- many in a row ----

namespace {

volatile bool g_true = true;
volatile int* volatile g_null = nullptr;
constexpr bool kUnwinds = WEIR_TEST_UNWINDS; // this file is built with -fnon-call-exceptions: faults and overflows can be recovered

__attribute__((noinline)) int recurse(int n) {
    volatile char frame[100];
    frame[n % 100] = 1;
    return g_true ? recurse(n + 1) + frame[n % 100] : 0;
}
__attribute__((noinline)) int null_read() { return *g_null; }

/// grows_by runs fn so often, and returns by how many bytes the process has grown since the first thousand.
template <typename Fn>
std::size_t grows_by(std::size_t times, Fn fn) {
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < std::min<std::size_t>(times, 1000); ++i) wrong += !weir::catch_panic(fn);
    const std::size_t before = resident_bytes();
    for (std::size_t i = 0; i < times; ++i) wrong += !weir::catch_panic(fn);
    CHECK(wrong == 0);
    const std::size_t after = resident_bytes();
    return after > before ? after - before : 0;
}

/// share is one of three worker counts' part of n, or what takes a sanitizer some seconds.
std::size_t share(std::size_t n) { return slow_build() ? n / 200 : n / 3 + 1; }

/// A sanitizer keeps freed memory back for a while: what grows there shows nothing.
const std::size_t kNoGrowth = slow_build() ? std::size_t{1} << 40 : 2 << 20;

} // namespace

TEST_CASE("a million recovered panics do not grow the process") {
    each_workers([] { CHECK(grows_by(share(1'000'000), [] { weir::panic("again"); }) <= kNoGrowth); });
}

TEST_CASE("a hundred thousand recovered faults do not grow the process") {
    if (!kUnwinds) return;
    const auto abandoned = weir::abandoned_total();
    each_workers([] { CHECK(grows_by(share(100'000), [] { null_read(); }) <= kNoGrowth); });
    CHECK(weir::abandoned_total() == abandoned);
}

TEST_CASE("ten thousand recovered overflows do not grow the process") {
    if (!kUnwinds || !kOverflows) return;
    const auto abandoned = weir::abandoned_total();
    each_workers([] { CHECK(grows_by(share(10'000), [] { recurse(0); }) <= kNoGrowth); });
    CHECK(weir::abandoned_total() == abandoned);
}

TEST_CASE("a stack can overflow again, after catch (...) and while an overflow unwinds") {
    if (!kUnwinds || !kOverflows) return;
    each_workers([] {
        const auto abandoned = weir::abandoned_total();
        for (int i = 0; i < 20; ++i) {
            bool caught = false;
            try {
                recurse(0);
            } catch (...) {
                caught = true;
            }
            CHECK(caught);
            const auto p = weir::catch_panic([] {
                weir::defer d{[] { recurse(0); }};
                recurse(0);
            });
            CHECK(p->kind() == weir::PanicKind::StackOverflow);
            CHECK(p->replaced().size() == 1);
        }
        CHECK(weir::abandoned_total() == abandoned);
    });
}

TEST_CASE("a recovered fault has Go's text, the faulting line, and a signal line when it is reported") {
    if (!kUnwinds) return;
    each_workers([] {
        const auto p = weir::catch_panic([] { null_read(); });
        REQUIRE(p);
        CHECK(p->kind() == weir::PanicKind::Fault);
        CHECK(p->value<weir::RuntimeError>()->message() == "runtime error: invalid memory address or nil pointer dereference");
        CHECK_MESSAGE(starts_with(p->stack(), "(anonymous namespace)::null_read()\n\t"), p->stack());
        CHECK(contains(p->stack(), "crash_test.cpp:"));
    });
    const auto child = dies([] { return weir::run(weir::Options{.drain = true}, [] { weir::go([] { null_read(); }); }); });
    CHECK(child.status == 0);
    CHECK_MESSAGE(starts_with(child.err, "panic: runtime error: invalid memory address or nil pointer dereference\n"
                                         "[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x"), child.err);
}

TEST_CASE("a fault and an exception in flight on many fibers: each keeps its own") {
    if (!kUnwinds) return;
    each_workers([] {
        std::atomic<int> right{0};
        for (int i = 0; i < 100; ++i) {
            weir::go([&, i] {
                weir::frame([&] {
                    weir::defer d{[&] {
                        weir::yield(); // while the panic unwinds
                        const bool in_flight = std::uncaught_exceptions() == 1;
                        const auto p = weir::recover();
                        weir::yield();
                        if (in_flight && p && (p->kind() == weir::PanicKind::Fault) == (i % 2 == 0)) ++right;
                    }};
                    if (i % 2 == 0) null_read();
                    throw std::runtime_error("mine");
                });
            });
        }
        CHECK(eventually([&] { return right == 100; }));
    });
}

// ---- policies, handlers of others, what is not contained ----

namespace {

/// crash_of runs fn on a fiber under Crash, with a defer in main.
template <typename Fn>
Death under_crash(Fn fn) {
    return dies([&] {
        return weir::run(weir::Options{.max_procs = 2, .panic_policy = weir::PanicPolicy::Crash}, [&] {
            weir::defer d{[] { std::fputs("main's defer\n", stderr); }};
            weir::go([&] { fn(); });
            weir::sleep(60s);
        });
    });
}

std::atomic<int> g_handled{0};

} // namespace

TEST_CASE("under the crash policy a fault, an overflow and an abort end the process with status 2 and one report") {
    for (auto* fn : {+[] { null_read(); }, +[] { if (kOverflows) recurse(0); else null_read(); }, +[] { std::abort(); }, +[] { std::terminate(); }}) {
        const auto child = under_crash(fn);
        CHECK(child.status == 2);
        CHECK_MESSAGE(starts_with(child.err, "panic: "), child.err);
        CHECK(count_of(child.err, "panic: ") == 1);
        CHECK(contains(child.err, "created by "));
        CHECK_FALSE(contains(child.err, "main's defer"));
    }
}

TEST_CASE("an abandoned main fiber makes run return 2") {
    const auto child = dies([] { return weir::run([] { std::abort(); }) == 2 ? 0 : 1; });
    CHECK_MESSAGE(child.status == 0, child.err);
}

TEST_CASE("WEIR_CORE=1 leaves faults and aborts to the default action") {
    if (slow_build()) return; // the sanitizers' own handlers come first there
    for (auto* fn : {+[] { null_read(); }, +[] { std::abort(); }}) {
        const auto child = dies([fn] {
            ::setenv("WEIR_CORE", "1", 1);
            return weir::run([fn] {
                weir::go([fn] { fn(); });
                weir::sleep(60s);
            });
        });
        CHECK_MESSAGE((child.status == 128 + SIGSEGV || child.status == 128 + SIGABRT), child.status, child.err);
    }
}

TEST_CASE("a fault of a thread outside the runtime goes to the handler that was there before") {
    const auto child = dies([] {
        struct sigaction action = {};
        action.sa_handler = [](int) { ::_exit(77); };
        ::sigaction(SIGSEGV, &action, nullptr);
        return weir::run([] {
            std::thread([] { null_read(); }).join();
        });
    });
    CHECK_MESSAGE(child.status == 77, child.status, child.err);
}

TEST_CASE("a signal that somebody sends is no crash of a fiber") {
    const auto child = dies([] {
        struct sigaction action = {};
        action.sa_handler = [](int) { ++g_handled; };
        ::sigaction(SIGSEGV, &action, nullptr);
        return weir::run([] {
            ::raise(SIGSEGV);
            return g_handled == 1 ? 0 : 1;
        });
    });
    CHECK_MESSAGE(child.status == 0, child.err);
}

TEST_CASE("after a run the handlers and the terminate handler are the old ones") {
    struct sigaction before[NSIG];
    const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGURG};
    for (int sig : signals) ::sigaction(sig, nullptr, &before[sig]);
    const auto terminate = std::get_terminate();
    each_workers([] {});
    for (int sig : signals) {
        struct sigaction now;
        ::sigaction(sig, nullptr, &now);
        CHECK((now.sa_sigaction == before[sig].sa_sigaction));
    }
    CHECK((std::get_terminate() == terminate));
}

TEST_CASE("a fault in the runtime's own code ends the process, with every fiber's stack") {
    if (slow_build()) return;
    const auto child = dies([] {
        return weir::run([] {
            weir::chan<int> c;
            weir::go([c] { c.recv(); });
            come_to_wait(1, "chan receive");
            weir::detail::Waiter w;
            w.fiber = reinterpret_cast<weir::detail::Fiber*>(0x10);
            weir::detail::ready(w);
        });
    });
    CHECK_MESSAGE(child.status == 128 + SIGSEGV, child.status, child.err);
    CHECK_MESSAGE(starts_with(child.err, "fatal error: fault in the runtime"), child.err);
    CHECK_MESSAGE(contains(child.err, "[chan receive]:\n"), child.err);
}

// ---- OnAbandon ----

TEST_CASE("OnAbandon: an abandoned fiber's functions run on another, last one first, past one that panics or is abandoned itself") {
    const auto child = dies([] {
        int wrong = 0;
        for (int workers : {1, 2, 4}) {
            wrong += weir::run(weir::Options{.max_procs = workers}, [] {
                weir::chan<int> ran(8);
                const auto self = std::make_shared<std::atomic<std::uint64_t>>(0);
                weir::go([=] {
                    *self = weir::this_fiber::id();
                    weir::OnAbandon first{[=] { ran << (weir::this_fiber::id() != *self && weir::this_fiber::name() == "on_abandon" ? 1 : -1); }};
                    { weir::OnAbandon over{[=] { ran << -2; }}; }
                    weir::OnAbandon second{[=] {
                        ran << 2;
                        std::abort();
                    }};
                    weir::OnAbandon third{[=] {
                        weir::sleep(1ms); // it may block
                        ran << 3;
                        weir::panic("in the third");
                    }};
                    std::abort();
                });
                bool right = ran.recv() == 3;
                right = ran.recv() == 2 && right;
                right = ran.recv() == 1 && right;
                if (!all_gone()) return 2;
                return right && ran.len() == 0 ? 0 : 1;
            });
        }
        return wrong;
    });
    CHECK_MESSAGE(child.status == 0, child.status, child.err);
    CHECK(count_of(child.err, "weir: panic in an OnAbandon function: in the third\n") == 3);
}

namespace {

/// ruined panics with the frame pointer, which leads to its caller's frame, overwritten.
[[gnu::noinline]] void ruined() {
    *static_cast<std::uintptr_t volatile*>(__builtin_frame_address(0)) = 0x1000;
    weir::panic(7);
}

[[gnu::noinline]] void ruined_caller() {
    volatile std::size_t size = 100;
    auto* room = static_cast<volatile char*>(alloca(size)); // its frame is found by the frame pointer
    room[0] = 1;
    ruined();
    room[1] = 1;
}

} // namespace

TEST_CASE("a panic on a stack that cannot be unwound: its fiber is abandoned") {
    if (slow_build()) return; // sanitizers stop at the fault themselves
    const auto child = dies([] {
        return weir::run([] {
            weir::go([] { ruined_caller(); });
            return eventually([] { return weir::abandoned_total() == 1; }) ? 0 : 1;
        });
    });
    CHECK_MESSAGE(child.status == 0, child.status, child.err);
}

TEST_CASE("who counts on an abandoned fiber goes on: WaitGroup::go, ErrGroup, WorkerPool") {
    const auto child = dies([] {
        int wrong = 0;
        for (int workers : {1, 2, 4}) {
            wrong += weir::run(weir::Options{.max_procs = workers}, [] {
                weir::WaitGroup wg;
                wg.go([](const std::string&) { std::abort(); }, std::string(100, 'x'));
                wg.go([] {});
                wg.wait();

                auto [group, ctx] = weir::with_errgroup(weir::background());
                group.go([]() -> weir::Error { std::abort(); });
                group.go([ctx = ctx]() -> weir::Error {
                    ctx.done().next();
                    return {};
                });
                const weir::Error err = group.wait();
                const bool told = err.as<weir::PanicError>() != nullptr && err.as<weir::PanicError>()->panic.kind() == weir::PanicKind::Fatal;

                weir::WorkerPool pool({.workers = 1, .queue = 2});
                std::atomic<int> ran{0};
                pool.submit(weir::background(), [] { std::abort(); });
                pool.submit(weir::background(), [&] { ++ran; });
                pool.close();
                return told && ran == 1 && pool.stats().panicked == 1 ? 0 : 1;
            });
        }
        return wrong;
    });
    CHECK_MESSAGE(child.status == 0, child.status, child.err);
}

TEST_CASE("OnAbandon: what ends by itself, by a panic or by goexit runs none; on a plain thread it does nothing") {
    each_workers([] {
        std::atomic<int> ran{0};
        const auto body = [&](auto end) {
            weir::OnAbandon gone{[&] { ++ran; }};
            end();
        };
        weir::catch_panic([&] { body([] { weir::panic("recovered"); }); });
        weir::go([&] { body([] { weir::goexit(); }); });
        weir::go([&] { body([] {}); });
        std::thread([&] { body([] {}); }).join();
        CHECK(all_gone());
        CHECK(ran == 0);
    });
}

// ---- reports ----

namespace {

/// Collected reports, copied by the handler.
struct Collected {
    std::mutex mutex;
    std::vector<weir::PanicReport> reports;
    std::size_t size() {
        std::lock_guard hold(mutex);
        return reports.size();
    }
};

} // namespace

TEST_CASE("the panic handler gets message, kind, type, stacks, fiber, name, labels and time") {
    static Collected got;
    weir::set_panic_handler([](const weir::PanicReport& r) {
        std::lock_guard hold(got.mutex);
        got.reports.push_back(r);
    });
    each_workers([] {
        got.reports.clear();
        const auto since = std::chrono::system_clock::now();
        weir::go({.name = "buyer", .labels = {{"order", "a \"quoted\"\nlabel"}}}, [] {
            weir::sleep(1ms);
            weir::panic(std::out_of_range("no such order"));
        });
        REQUIRE(eventually([] { return got.size() == 1; }));
        const weir::PanicReport& r = got.reports[0];
        CHECK(r.message == "no such order");
        CHECK(r.kind == weir::PanicKind::User);
        CHECK(r.type_name == "std::out_of_range");
        CHECK(contains(r.stack, "crash_test.cpp:"));
        CHECK(starts_with(r.created_by, "created by "));
        CHECK(r.fiber_id > 0);
        CHECK(r.fiber_name == "buyer");
        CHECK(r.labels.size() == 1);
        CHECK(r.time >= since);
        CHECK(r.last_wait == "sleep");
        CHECK(r.last_wait_ago >= 0ms);
        CHECK(r.last_wait_ago < patience(30s));
        CHECK(r.unwinding_wait.empty());
        CHECK_FALSE(r.locked_to_thread);
        CHECK_FALSE(r.abandoned);
        CHECK(starts_with(r.text(), "panic: no such order\n\ngoroutine " + std::to_string(r.fiber_id) +
                                        " [running labels:{\"name\": \"buyer\", \"order\": \"a \\\"quoted\\\"\\nlabel\"}]:\n"));
        CHECK(contains(r.text(), "\nlast waited for: sleep, begun "));
        CHECK_FALSE(contains(r.text(), "waited while it unwound"));
        const std::string json = r.json();
        CHECK(count_of(json, "\n") == 0);
        CHECK_MESSAGE(starts_with(json, "{\"time\":\"2"), json);
        CHECK_MESSAGE(contains(json, "\"message\":\"no such order\""), json);
        CHECK_MESSAGE(contains(json, "\"labels\":{\"order\":\"a \\\"quoted\\\"\\nlabel\"}"), json);
        CHECK(json.back() == '}');
    });
    weir::set_panic_handler(nullptr);
}

TEST_CASE("a report tells what the fiber waited for before it panicked, and since; and that it was locked to its thread") {
    static Collected got;
    weir::set_panic_handler([](const weir::PanicReport& r) {
        std::lock_guard hold(got.mutex);
        got.reports.push_back(r);
    });
    each_workers([] {
        got.reports.clear();
        const auto report_of = [](auto fn) {
            const std::size_t before = got.size();
            weir::go(fn);
            return eventually([&] { return got.size() == before + 1; }) ? got.reports.back() : weir::PanicReport();
        };
        weir::chan<int> c;
        weir::go([c]() mutable {
            come_to_wait(1, "chan send");
            c.close();
        });
        const weir::PanicReport in_park = report_of([c] { c.send(1); });
        CHECK(in_park.message == "send on closed channel");
        CHECK(in_park.last_wait == "chan send");
        CHECK(in_park.unwinding_wait.empty());

        const weir::PanicReport deferred = report_of([] {
            weir::lock_os_thread();
            weir::defer logs{[] { weir::sleep(30ms); }}; // longer than the clock of such waits takes for a step
            weir::panic("at once");
        });
        CHECK(deferred.last_wait.empty());
        CHECK(deferred.unwinding_wait == "sleep");
        CHECK(deferred.locked_to_thread);
        CHECK(contains(deferred.text(), " [running, locked to thread]:\n"));
        CHECK(contains(deferred.text(), "\nwaited while it unwound: sleep\n"));
        CHECK(contains(deferred.json(), "\"last_wait\":\"\",\"last_wait_ms_ago\":0,\"unwinding_wait\":\"sleep\",\"locked_to_thread\":true,"));

        const weir::PanicReport neither = report_of([] { weir::panic("straight away"); });
        CHECK(neither.last_wait.empty());
        CHECK(neither.unwinding_wait.empty());
        CHECK_FALSE(contains(neither.text(), "waited"));
    });
    weir::set_panic_handler(nullptr);
}

TEST_CASE("dumps name fibers and their labels as Go does, while such fibers come and go") {
    each_workers([] {
        weir::chan<void> stop;
        weir::go({.name = "flush", .labels = {{"task", "sync_user"}, {"n", "\"1\""}}}, [=] { stop.recv(); });
        weir::go({.labels = {{"task", "b"}}}, [=] {
            weir::lock_os_thread();
            stop.recv();
        });
        weir::go([=] { stop.recv(); });
        std::atomic<bool> go_on{true};
        weir::WaitGroup spawner;
        spawner.go([&] {
            while (go_on) {
                weir::go({.name = "mayfly", .labels = {{"a label that is", "longer than a string keeps in itself"}}}, [] { weir::yield(); });
                weir::yield();
            }
        });
        const auto dumped = [](const char* header) {
            return eventually([&] {
                std::ostringstream out;
                weir::debug::dump_fibers(out);
                return contains(out.str(), header);
            });
        };
        CHECK(dumped(" [chan receive labels:{\"name\": \"flush\", \"task\": \"sync_user\", \"n\": \"\\\"1\\\"\"}]:\n"));
        CHECK(dumped(" [chan receive, locked to thread labels:{\"task\": \"b\"}]:\n"));
        CHECK(dumped(" [chan receive]:\n"));
        CHECK(dumped(" labels:{\"name\": \"mayfly\", \"a label that is\": \"longer than a string keeps in itself\"}]:\n"));
        go_on = false;
        spawner.wait();
        stop.close();
    });
}

TEST_CASE("the handler is told of an abandoned fiber, and may itself panic, throw or fault") {
    if (!kUnwinds) return;
    const auto child = dies([] {
        static std::atomic<int> calls{0};
        weir::set_panic_handler([](const weir::PanicReport& r) {
            if (r.kind == weir::PanicKind::Fatal && !r.abandoned) ::_exit(9);
            ++calls;
            if (calls == 1) weir::panic("handler panics");
            if (calls == 2) throw 5;
            if (calls == 3) null_read();
        });
        const int status = weir::run(weir::Options{.max_procs = 2}, [] {
            for (int i = 0; i < 4; ++i) {
                weir::go([] { std::abort(); });
                eventually([&] { return calls == i + 1; });
            }
        });
        return calls == 4 ? status : 1;
    });
    CHECK_MESSAGE(child.status == 0, child.status, child.err);
    CHECK(count_of(child.err, "weir: panic in the panic handler: ") == 3);
}

TEST_CASE("a handler that aborts is replaced by the next report") {
    const auto child = dies([] {
        static std::atomic<int> calls{0};
        const auto before = weir::abandoned_total(); // the parent's, if it had any
        weir::set_panic_handler([](const weir::PanicReport&) {
            if (++calls == 1) std::abort();
        });
        const int status = weir::run(weir::Options{.max_procs = 2}, [&] {
            for (int i = 0; i < 3; ++i) {
                weir::go([] { weir::panic("once more"); });
                eventually([&] { return calls == i + 1; });
                eventually([&] { return weir::abandoned_total() == before + 1; });
            }
        });
        return calls == 3 ? status : 1;
    });
    CHECK_MESSAGE(child.status == 0, child.status, child.err);
}

TEST_CASE("avalanche: 10,000 panics against a stuck handler slow nobody; what is too much is dropped and counted") {
    const auto child = dies([] {
        static std::atomic<bool> stuck{false};
        weir::set_panic_handler([](const weir::PanicReport&) {
            stuck = true;
            weir::sleep(60s);
        });
        return weir::run(weir::Options{.max_procs = 2}, [] {
            const auto uncaught = weir::panics_total();
            constexpr std::size_t kPanics = 10'000;
            weir::chan<int> requests, replies;
            weir::go([=] {
                for (int n : requests) replies.send(n);
            });
            for (std::size_t i = 0; i < kPanics; ++i) {
                weir::go([i] { weir::panic("number " + std::to_string(i % 3000)); });
                requests.send(1);
                replies.recv();
            }
            if (!eventually([&] { return weir::panics_total() - uncaught == kPanics; })) return 3;
            if (!eventually([] { return stuck.load(); })) return 4;
            if (!eventually([] { return weir::num_fibers() == 2; })) return 5;
            return weir::reports_dropped_total() > 0 ? 0 : 6;
        });
    });
    CHECK_MESSAGE(child.status == 0, child.status, ": ", child.err.substr(child.err.size() - std::min<std::size_t>(child.err.size(), 4000)));
}

TEST_CASE("identical reports are limited; the next one tells how many were left out") {
    const auto child = dies([] {
        return weir::run(weir::Options{.max_procs = 1, .drain = true}, [] {
            const auto burst = [] {
                for (int i = 0; i < 50; ++i) weir::go([] { weir::panic("the same"); });
            };
            burst();
            weir::sleep(1100ms);
            burst();
        });
    });
    CHECK(child.status == 0);
    CHECK_MESSAGE(count_of(child.err, "panic: the same\n") < 100, child.err); // 20, if no burst takes longer than a second
    CHECK(contains(child.err, " identical reports suppressed]\n"));
}

TEST_CASE("panics that are recovered and not looked at are counted") {
    each_workers([] {
        const auto recovered = weir::panics_recovered_total();
        const auto ignored = weir::panics_ignored_total();
        weir::catch_panic([] { weir::panic("ignored"); });
        weir::frame([] {
            weir::defer d{[] { weir::recover(); }};
            weir::panic("ignored too");
        });
        CHECK(panic_text([] { weir::panic("read"); }) == "read");
        CHECK(weir::panics_recovered_total() == recovered + 3);
        CHECK(weir::panics_ignored_total() == ignored + 2);
    });
}

TEST_SUITE_END();
