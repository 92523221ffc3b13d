// The names users write: every form of the interface as the design and the README spell it, compiled and run. What each does is
// tested under its own name; here a name that is gone, or a form that no longer compiles, shows.
#include "fixture.h"

#include <cerrno>
#include <csignal>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include <weir/weir.h>

using namespace weir;

TEST_SUITE_BEGIN("api");

namespace {

struct UserKey {
    using Value = std::string;
};

struct QueryError {
    std::string table;
    std::string message() const { return "query of " + table; }
};

int old_library_call() { return 7; }

} // namespace

TEST_CASE("go.h, runtime.h, sleep.h") {
    CHECK(weir::run([] {}) == 0);
    CHECK(weir::run([] { return 3; }) == 3);
    CHECK(weir::run(Options{.max_procs = 4, .stack_max = 1_MiB, .panic_policy = PanicPolicy::Contain}, [] { return 4; }) == 4);
    each_workers([] {
        chan<std::string> out(3);
        go([](chan<std::string> c, const std::string& text, int) { c.send(text); }, out, "args", 1);
        CHECK(out.recv() == "args");
        go({.name = "flush", .stack_max = 8_MiB, .labels = {{"task", "sync_user"}}}, [out] {
            const auto labels = this_fiber::labels();
            out.send(std::string(this_fiber::name()) + " " + labels.at(0).first + "=" + labels.at(0).second);
        });
        CHECK(out.recv() == "flush task=sync_user");
        go([out] {
            defer d{[&] { out.send("left"); }};
            goexit();
        });
        CHECK(out.recv() == "left");
        yield();
        sleep(1ms);
        sleep_until(std::chrono::steady_clock::now() + 1ms);
        sleep_until(std::chrono::system_clock::now());
        CHECK(num_fibers() >= 1);
        const int procs = max_procs();
        CHECK(max_procs(procs) == procs);
        CHECK(this_fiber::id() != 0);
        CHECK(contains(this_fiber::stack(), "api_test.cpp"));
        fiber_local<int> v;
        v = 5;
        CHECK(*v == 5);
        const auto r = blocking([&] { return old_library_call(); });
        CHECK(r == 7);
        lock_os_thread();
        unlock_os_thread();
    });
}

TEST_CASE("panic.h, defer.h") {
    each_workers([] {
        std::string order;
        {
            defer d{[&] { order += "1"; }};
            WEIR_DEFER { order += "2"; };
        }
        CHECK(order == "21");
        frame([&] {
            defer d{[&] {
                if (std::optional<Panic> p = recover()) order += p->message();
            }};
            panic("text");
        });
        CHECK(order == "21text");
        std::optional<Panic> p = catch_panic([&] { panic(42); });
        REQUIRE(p);
        CHECK(*p->value<int>() == 42);
        CHECK(p->kind() == PanicKind::User);
        CHECK(p->fiber_id() == this_fiber::id());
        CHECK(contains(p->stack(), "api_test.cpp"));
        CHECK(p->exception() != nullptr);
        p = catch_panic([] { throw std::out_of_range("far"); });
        CHECK(contains(p->message(), "far"));
        CHECK_FALSE(recover());
    });
    set_panic_handler([](const PanicReport&) {});
    set_panic_handler(nullptr);
}

TEST_CASE("chan.h, select.h, ticker.h") {
    each_workers([] {
        chan<int> c(128);
        chan<int> unbuffered;
        chan<int> none = nil;
        CHECK(none == nil);
        send_chan<int> in = c;
        recv_chan<int> out = c;
        in.send(1);
        c << 2;
        CHECK(out.recv() == 1);
        int v = 0;
        CHECK(static_cast<bool>(c >> v));
        CHECK(v == 2);
        c.send(3);
        auto [three, ok] = c.recv_ok();
        CHECK((three == 3 && ok));
        CHECK(c.try_send(4));
        const auto four = c.try_recv();
        CHECK(four);
        CHECK(c.len() == 0);
        CHECK(c.cap() == 128);
        c.send(5);
        const std::optional<int> five = c.next();
        CHECK(five == 5);
        c.send(6);
        c.close();
        for (int& each : c) CHECK(each == 6);
        CHECK_FALSE(c.next());

        chan<void> done(1);
        done.send();
        CHECK(done.recv());
        done.close();
        CHECK_FALSE(done.next());
        chan<std::unique_ptr<int>> moved(1);
        moved.send(std::make_unique<int>(7));
        CHECK(*moved.recv() == 7);

        chan<int> a(1), b(1);
        const int y = 8;
        auto which = [&] {
            return select(recv(a, [&](int got) { v = got; }), send(b, y, [&] { v = -1; }), timeout(50ms, [&] { v = -2; }), otherwise([&] { v = -3; }));
        };
        CHECK(which() == 1);
        CHECK(which() == 3);
        a.send(9);
        CHECK(which() == 0);
        CHECK(v == 9);
        a.send(1);
        select(recv(a, [](int, bool) {}));
        a.send(2);
        select(recv(a, [] {}));
        a.send(3);
        bool still = false;
        select(recv(a, v, still));
        CHECK((v == 3 && still));
        a.send(4);
        select(recv(a, v));
        a.send(5);
        select(recv(a));
        select(recv(b));
        CHECK(select(send(b, y)) == 0);
        std::vector<SelectCase> cases;
        cases.push_back(recv(a));
        cases.push_back(recv(b, v));
        CHECK(select(std::span<SelectCase>{cases}) == 1);
        CHECK(v == y);

        recv_chan<time_point> later = after(1ms);
        later.recv();
        Timer t(1h);
        CHECK(t.c() != nil);
        CHECK(t.stop());
        CHECK_FALSE(t.reset(1ms));
        t.c().recv();
        Ticker ticker(1ms);
        ticker.c().recv();
        ticker.reset(2ms);
        ticker.stop();
        tick(1ms).recv();
        Timer called = after_func(1h, [] {});
        CHECK(called.stop());
    });
}

TEST_CASE("sync: one header each") {
    each_workers([] {
        Mutex mu;
        { std::lock_guard lock(mu); }
        { std::unique_lock lock(mu); }
        CHECK(mu.try_lock());
        mu.unlock();
        RWMutex rw;
        { std::shared_lock lock(rw); }
        { std::lock_guard lock(rw); }
        rw.lock_shared();
        CHECK(rw.try_lock_shared());
        rw.unlock_shared();
        rw.unlock_shared();

        WaitGroup wg;
        wg.add(1);
        go([&] { wg.done(); });
        wg.go([] {});
        wg.wait();

        Once once;
        int runs = 0;
        once.call([&] { ++runs; });
        once.call([&] { ++runs; });
        auto f = once_func([&] { ++runs; });
        f();
        f();
        CHECK(runs == 2);
        auto value = once_value([] { return 42; });
        CHECK(value() == 42);
        auto values = once_values([] { return std::pair{1, std::string("two")}; });
        auto [one, two] = values();
        CHECK((one == 1 && two == "two"));

        Cond cond(mu);
        bool ready = false;
        wg.go([&] {
            std::lock_guard lock(mu);
            ready = true;
            cond.signal();
            cond.broadcast();
        });
        {
            std::unique_lock lock(mu);
            while (!ready) cond.wait();
            cond.wait([&] { return ready; });
        }
        wg.wait();

        Pool<std::string> pool([] { return std::make_unique<std::string>("fresh"); });
        auto p = pool.get();
        CHECK(*p == "fresh");
        pool.put(std::move(p));

        Map<std::string, int> map;
        map.store("a", 1);
        CHECK(map.load("a") == 1);
        auto [stored, loaded] = map.load_or_store("b", 2);
        CHECK((stored == 2 && !loaded));
        CHECK(map.load_and_delete("b") == 2);
        CHECK(map.swap("a", 3) == 1);
        CHECK(map.compare_and_swap("a", 3, 4));
        CHECK(map.compare_and_delete("a", 4));
        CHECK_FALSE(map.erase("a"));
        map.range([](const std::string&, int) { return true; });
        map.clear();

        Value<std::string> config;
        config.store("new");
        CHECK(config.load() == "new");
    });
}

TEST_CASE("sync: Semaphore, SingleFlight, ErrGroup") {
    each_workers([] {
        const Context ctx = background();
        Semaphore s(3);
        Error err = s.acquire(ctx, 2);
        CHECK_FALSE(err);
        CHECK_FALSE(s.try_acquire(2));
        s.release(2);

        SingleFlight<std::string, int> flight;
        auto result = flight.run("key", [] { return 1; });
        CHECK(result.value == 1);
        CHECK_FALSE(result.err);
        CHECK_FALSE(result.shared);
        CHECK(flight.run_chan("key", [] { return 2; }).recv().value == 2);
        flight.forget("key");

        ErrGroup g;
        g.set_limit(2);
        g.go([] { return Error(); });
        CHECK(g.try_go([] { return errorf("failed"); }));
        CHECK(g.wait().message() == "failed");

        auto [group, group_ctx] = with_errgroup(ctx);
        group.go([]() -> Error { panic("task"); });
        err = group.wait();
        REQUIRE(err.as<PanicError>() != nullptr);
        CHECK(group_ctx.err() == kCanceled);
    });
}

TEST_CASE("context.h") {
    each_workers([] {
        Context ctx = background();
        CHECK(todo().string() == "context.TODO");
        const Error reason("reason");
        auto [c1, cancel1] = with_cancel(ctx);
        auto [c2, cancel2] = with_timeout(c1, 1h);
        auto [c3, cancel3] = with_deadline(c1, std::chrono::steady_clock::now() + 1h);
        auto [c4, cancel4] = with_cancel_cause(c1);
        auto [c5, cancel5] = with_timeout_cause(c1, 1h, reason);
        auto [c6, cancel6] = with_deadline_cause(c1, std::chrono::system_clock::now() + 1h, reason);
        const Context user = with_value<UserKey>(c4, "ann");
        CHECK(*user.value<UserKey>() == "ann");
        const Context free = without_cancel(user);
        chan<void> called(1);
        auto stop = after_func(user, [called] { called.send(); });
        recv_chan<void> done = user.done();
        cancel4(reason);
        done.recv();
        called.recv();
        CHECK_FALSE(stop());
        CHECK(user.err() == kCanceled);
        CHECK(cause(user) == reason);
        CHECK_FALSE(free.err());
        CHECK(c2.deadline());
        select(recv(c4.done(), [] {}), timeout(1h, [] {}));
        defer d{cancel1};
        cancel2();
        cancel3();
        cancel5();
        cancel6();

        chan<int> signals(1);
        signal_notify(signals, SIGUSR1, SIGUSR2);
        signal_stop(signals);
        auto [sctx, sstop] = signal_notify_context(ctx, SIGUSR1);
        sstop();
        CHECK(sctx.err() == kCanceled);
    });
}

TEST_CASE("error.h") {
    each_workers([] {
        Error nil_error;
        CHECK_FALSE(nil_error);
        const Error inner("no such table");
        Error err = errorf("read {}: {}", "orders", wrap(inner));
        CHECK(err.message() == "read orders: no such table");
        CHECK(err.is(inner));
        CHECK(err.unwrap() == inner);
        const Error typed = QueryError{"orders"};
        REQUIRE(typed.as<QueryError>() != nullptr);
        CHECK(typed.as<QueryError>()->table == "orders");
        CHECK(join(inner, typed).message() == "no such table\nquery of orders");
        CHECK(Error(std::error_code(ENOENT, std::generic_category())).is(std::make_error_code(std::errc::no_such_file_or_directory)));
        CHECK(contains(Error(std::make_exception_ptr(std::runtime_error("thrown"))).message(), "thrown"));
        CHECK(contains(Error(*catch_panic([] { panic("p"); })).message(), "p"));
        CHECK(kCanceled.message() == "context canceled");
        CHECK(kDeadlineExceeded.message() == "context deadline exceeded");
        CHECK(kEof.message() == "EOF");
        CHECK(contains(net::kClosed.message(), "use of closed network connection"));
    });
}

TEST_CASE("net.h, http.h, debug.h") {
    each_workers([] {
        auto [ln, err] = net::listen("tcp", "127.0.0.1:0");
        REQUIRE_FALSE(err);
        const std::string addr = ln.addr().string();
        go([ln = ln] {
            auto [conn, accept_err] = ln.accept();
            if (accept_err) return;
            char buf[16];
            auto [n, read_err] = conn.read(buf);
            conn.write(std::string_view(buf, n));
            conn.close();
        });
        auto [conn, dial_err] = net::dial(background(), "tcp", addr);
        REQUIRE_FALSE(dial_err);
        conn.set_deadline(std::chrono::steady_clock::now() + 1min);
        conn.set_read_deadline(std::chrono::steady_clock::now() + 1min);
        conn.set_write_deadline(std::chrono::steady_clock::now() + 1min);
        conn.write(std::string_view("echo"));
        char buf[16];
        auto [n, read_err] = conn.read(buf);
        CHECK(std::string_view(buf, n) == "echo");
        conn.close();
        ln.close();
        auto [hosts, lookup_err] = net::lookup_host(background(), "localhost");
        CHECK_FALSE(lookup_err);

        std::ostringstream out;
        debug::dump_fibers(out);
        CHECK(starts_with(out.str(), "goroutine "));

        http::Mux mux;
        mux.handle("GET /orders/{id}", [](http::ResponseWriter& w, const http::Request& r) { w.write(r.path_value("id")); });
        http::Server srv{.addr = "127.0.0.1:0", .handler = http::recovered(mux)};
        auto [web, web_err] = net::listen("tcp", "127.0.0.1:0");
        const std::string url = "http://" + web.addr().string() + "/orders/7";
        WaitGroup wg;
        wg.go([&, web = web] { CHECK(srv.serve(web) == http::kServerClosed); });
        {
            auto [resp, get_err] = http::get(url);
            CHECK_FALSE(get_err);
            CHECK(resp.body == "7");
        }
        CHECK_FALSE(srv.shutdown(background()));
        wg.wait();
    });
}

TEST_SUITE_END();
