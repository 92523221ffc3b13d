// The HTTP server over time: panics, contexts, shutdown, limits of time, many clients.
#include "http_fixture.h"

#include <atomic>
#include <cstdio>
#include <stdexcept>
#include <string>

#include <sys/resource.h>
#include <unistd.h>

#include <weir/chan.h>

TEST_SUITE("http server") {

    TEST_CASE("a panicking handler loses its connection, is logged, and hurts nobody else") {
        const auto body = [] {
            Service s([](http::ResponseWriter& w, const http::Request& r) {
                w.write("half");
                if (r.path() == "/panic") weir::panic("poison");
                if (r.path() == "/abort") weir::panic(http::AbortHandler{});
                if (r.path() == "/throw") throw std::runtime_error("thrown");
                if (r.path() == "/exit") weir::goexit();
            });
            Reader other{s.dial()};
            other.conn.write(get("/"));
            other.response();
            CHECK(s.raw(get("/panic")).empty());
            CHECK(s.raw(get("/throw")).empty());
            CHECK(contains(s.log->text(), ": poison\n"));
            CHECK(contains(s.log->text(), "http: panic serving 127.0.0.1:"));
            CHECK(contains(s.log->text(), ": thrown\n"));
            const std::string before = s.log->text();
            CHECK(s.raw(get("/abort")).empty());
            CHECK(s.log->text() == before);
            s.raw(get("/exit"));
            // Answers that were complete before still go out.
            CHECK(body_of(s.raw(get("/") + get("/panic"))) == "half");
            other.conn.write(get("/"));
            CHECK(starts_with(other.response(), "HTTP/1.1 200 OK"));
        };
        weir::run(body); // printing a stack makes libdw open files, and keep them
        each_workers(body);
    }

    TEST_CASE("recovered answers 500 on a connection that goes on, or breaks off what has left already") {
        each_workers([] {
            const http::Handler h = http::recovered(
                [](http::ResponseWriter& w, const http::Request& r) {
                    w.write("half");
                    if (r.path() == "/streamed") w.flush();
                    if (r.path() != "/") weir::panic("poison");
                },
                [](const weir::Panic&, const http::Request&) {});
            Service s(h);
            Reader r{s.dial()};
            for (int i = 0; i < 30; ++i) {
                r.conn.write(i % 10 == 0 ? get("/poison") : get("/"));
                std::string body;
                const std::string head = r.response(&body);
                CHECK(starts_with(head, i % 10 == 0 ? "HTTP/1.1 500 Internal Server Error\r\n" : "HTTP/1.1 200 OK\r\n"));
                CHECK(body == (i % 10 == 0 ? "Internal Server Error\n" : "half"));
            }
            CHECK(!contains(s.raw(get("/streamed")), "\r\n0\r\n"));
        });
    }

    // In a child: abandoned fibers keep what they own.
    TEST_CASE("a handler that is abandoned is answered 500, or broken off, and holds nobody up: not shutdown either") {
        const Death child = dies([] {
            int wrong = 0;
            const auto expect = [&](bool right, const char* what) {
                if (!right) std::fprintf(stderr, "WRONG: %s\n", what), ++wrong;
            };
            for (int workers : {1, 2, 4}) {
                std::size_t fds = 0;
                weir::run(weir::Options{.max_procs = workers}, [&] {
                    std::atomic<bool> cancelled{false};
                    {
                        Service s([&](http::ResponseWriter& w, const http::Request& r) {
                            w.write("half");
                            if (r.path() == "/streamed") w.flush();
                            if (r.path() == "/watched") weir::go([&, ctx = r.context()] { ctx.done().recv(), cancelled = true; });
                            if (r.path() != "/") std::abort();
                        });
                        Reader other{s.dial()};
                        other.conn.write(get("/"));
                        other.response();
                        fds = open_fds();
                        for (const char* path : {"/abort", "/watched"}) {
                            const std::string got = s.raw(get(path));
                            expect(starts_with(got, "HTTP/1.1 500 ") && contains(got, "Connection: close\r\n") && !contains(got, "half"), "abort is not answered 500");
                        }
                        expect(eventually([&] { return cancelled.load(); }), "the request's context was not cancelled");
                        const std::string streamed = s.raw(get("/streamed"));
                        expect(starts_with(streamed, "HTTP/1.1 200 ") && !contains(streamed, "\r\n0\r\n"), "what has left already is not broken off");
                        const std::string both = s.raw(get("/") + get("/abort"));
                        expect(starts_with(both, "HTTP/1.1 200 ") && contains(both, "HTTP/1.1 500 "), "an earlier answer did not go out");
                        other.conn.write(get("/"));
                        expect(starts_with(other.response(), "HTTP/1.1 200 OK"), "another connection suffered");
                        expect(eventually([&] { return open_fds() <= fds + 8; }), "descriptors are left"); // the report's symbols keep some files open
                    }
                    expect(all_gone(), "fibers are left");

                    http::Server srv{.handler = [](http::ResponseWriter&, const http::Request&) { std::abort(); }};
                    auto ln = net::listen("tcp", "127.0.0.1:0").first;
                    weir::WaitGroup serving;
                    serving.go([&] { srv.serve(ln); });
                    net::Conn c = net::dial("tcp", ln.addr().string()).first;
                    const auto before = weir::abandoned_total();
                    c.write(get("/"));
                    expect(eventually([&] { return weir::abandoned_total() > before; }), "it was not abandoned");
                    auto [ctx, cancel] = weir::with_timeout(weir::background(), patience(60s));
                    expect(!srv.shutdown(ctx), "shutdown waits for an abandoned handler");
                    cancel();
                    serving.wait();
                });
            }
            return wrong;
        });
        CHECK_MESSAGE(child.status == 0, child.err.substr(0, 8000));
    }

    TEST_CASE("a request's context ends when the peer goes, when the handler returns and when the server is closed") {
        each_workers([] {
            weir::chan<weir::Context> seen(4);
            Service s([&](http::ResponseWriter& w, const http::Request& r) {
                weir::Context ctx = r.context();
                CHECK(ctx == r.context());
                CHECK(!ctx.err());
                seen.send(ctx);
                if (r.path() == "/wait") ctx.done().recv();
                w.write("done");
            });
            // The handler returns.
            Reader r{s.dial()};
            r.conn.write(get("/"));
            r.response();
            CHECK(eventually([&, ctx = seen.recv()] { return ctx.err() == weir::kCanceled; }));
            // And the connection is whole afterwards.
            r.conn.write(get("/") + get("/"));
            r.response();
            r.response();
            seen.recv();
            seen.recv();
            // The peer goes.
            net::Conn leaving = s.dial();
            leaving.write(get("/wait"));
            weir::Context ctx = seen.recv();
            leaving.close();
            ctx.done().recv();
            CHECK(ctx.err() == weir::kCanceled);
            // The server is closed.
            net::Conn staying = s.dial();
            staying.write(get("/wait"));
            ctx = seen.recv();
            s.srv.close();
            ctx.done().recv();
        });
    }

    TEST_CASE("a context asked for after its request is over is done, and a copy keeps no other request's context") {
        each_workers([] {
            weir::chan<http::Request> copies(2);
            Service s([&](http::ResponseWriter& w, const http::Request& r) {
                copies.send(r);
                w.write(r.path());
            });
            Reader r{s.dial()};
            r.conn.write(get("/a"));
            r.response();
            http::Request copy = copies.recv();
            CHECK(copy.path() == "/a");
            CHECK(copy.context().err() == weir::kCanceled);
            r.conn.write(get("/b"));
            r.response();
            CHECK(copies.recv().path() == "/b");
            CHECK(copy.context().err() == weir::kCanceled);
        });
    }

    TEST_CASE("shutdown waits for the requests in flight, closes idle connections and takes no more") {
        each_workers([] {
            weir::chan<void> started(1);
            weir::chan<void> release;
            http::Server srv{.handler = [&](http::ResponseWriter& w, const http::Request& r) {
                if (r.path() == "/slow") {
                    started.send();
                    release.recv();
                    CHECK(!r.context().err()); // a graceful shutdown cancels nothing
                }
                w.write("done");
            }};
            auto ln = net::listen("tcp", "127.0.0.1:0").first;
            const std::string address = ln.addr().string();
            weir::WaitGroup serving;
            serving.go([&] { CHECK(srv.serve(ln) == http::kServerClosed); });
            Reader idle{net::dial("tcp", address).first};
            idle.conn.write(get("/"));
            idle.response();
            Reader busy{net::dial("tcp", address).first};
            busy.conn.write(get("/slow"));
            started.recv();
            std::atomic<bool> down{false};
            weir::WaitGroup stopping;
            stopping.go([&] {
                CHECK(!srv.shutdown(weir::background()));
                down = true;
            });
            serving.wait(); // serve returns at once
            CHECK(idle.take(1).empty());
            CHECK(net::dial("tcp", address).second.is(std::errc::connection_refused));
            CHECK(!down);
            release.close();
            std::string body;
            CHECK(contains(busy.response(&body), "Connection: close\r\n"));
            CHECK(body == "done");
            stopping.wait();
            CHECK(srv.listen_and_serve() == http::kServerClosed);
            CHECK(!srv.shutdown(weir::background()));
        });
    }

    TEST_CASE("shutdown gives up when its context ends, and close ends what is left") {
        each_workers([] {
            weir::chan<void> started(1);
            http::Server srv{.handler = [&](http::ResponseWriter&, const http::Request& r) {
                const weir::Context ctx = r.context();
                started.send();
                ctx.done().recv();
            }};
            auto ln = net::listen("tcp", "127.0.0.1:0").first;
            weir::WaitGroup serving;
            serving.go([&] { srv.serve(ln); });
            net::Conn c = net::dial("tcp", ln.addr().string()).first;
            c.write(get("/"));
            started.recv();
            auto [ctx, cancel] = weir::with_timeout(weir::background(), 10ms);
            CHECK(srv.shutdown(ctx) == weir::kDeadlineExceeded);
            CHECK(!srv.close());
            serving.wait();
            cancel();
        });
    }

    TEST_CASE("a taken port and a bad address are errors of listen_and_serve") {
        each_workers([] {
            auto ln = net::listen("tcp", "127.0.0.1:0").first;
            const std::string address = ln.addr().string();
            http::Server srv{.addr = address, .handler = hello};
            CHECK(srv.listen_and_serve().message() == "listen tcp " + address + ": bind: address already in use");
            CHECK(http::listen_and_serve("nonsense", hello).message() == "listen tcp: address nonsense: missing port in address");
        });
    }

    TEST_CASE("(alone) a Server is left serving" * doctest::skip()) {
        http::Server srv{.handler = hello};
        weir::run([&] {
            auto ln = net::listen("tcp", "127.0.0.1:0").first;
            weir::go([&srv, ln] { srv.serve(ln); });
            CHECK(http::get("http://" + ln.addr().string() + "/").first.body == "hello\n");
        });
    }

    TEST_CASE("a Server may outlive its run while it serves") {
        // In a process of its own: what an abandoned fiber holds is leaked.
        const Death d = run_alone("(alone) a Server is left serving", {"ASAN_OPTIONS=detect_leaks=0"});
        CHECK_MESSAGE(d.status == 0, d.out, d.err);
    }

    TEST_CASE("time limits: header, body, idle and write") {
        each_workers([] {
            Service header(hello, [](http::Server& srv) { srv.read_header_timeout = 20ms; });
            CHECK(header.raw("GET / HTTP/1.1\r\nHost:").empty());
            CHECK(header.raw("").empty());
            Service body(hello, [](http::Server& srv) { srv.read_timeout = 20ms; });
            CHECK(in_some_try([&] { return starts_with(body.raw("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"), "HTTP/1.1 408 "); }));
            Service idle(hello, [](http::Server& srv) { srv.idle_timeout = 20ms; });
            CHECK(body_of(idle.raw(get("/"))) == "hello\n");
            weir::chan<Error> failed(1);
            Service slow(
                [&](http::ResponseWriter& w, const http::Request&) {
                    const std::string block(1 << 20, 'x');
                    for (;;) {
                        if (Error err = w.write(block).second) return failed.send(err);
                    }
                },
                [](http::Server& srv) { srv.write_timeout = 30ms; });
            net::Conn unread = slow.dial();
            unread.write(get("/"));
            CHECK(failed.recv().timeout());
        });
    }

    TEST_CASE("a handler that reads nothing more still gets the connection back from its watcher") {
        each_workers([] {
            Service s([](http::ResponseWriter& w, const http::Request& r) {
                r.context();
                weir::yield();
                w.write("x");
            });
            Reader r{s.dial()};
            for (std::size_t i = 0; i < stress(500); ++i) {
                r.conn.write(get("/"));
                CHECK(starts_with(r.response(), "HTTP/1.1 200 OK"));
            }
        });
    }

    TEST_CASE("a request that its predecessor's watcher has seen coming is read") {
        each_workers([] {
            weir::chan<void> running, go_on;
            Service s([=](http::ResponseWriter& w, const http::Request& r) mutable {
                if (r.path() == "/first") {
                    r.context();
                    weir::sleep(100us); // the watcher waits
                    running.send();
                    go_on.recv();
                    weir::sleep(1ms); // and has probably seen the second
                }
                w.write(r.path());
            });
            Reader r{s.dial()};
            for (std::size_t i = 0; i < stress(50); ++i) {
                r.conn.write(get("/first"));
                running.recv();
                r.conn.write(get("/second"));
                go_on.send();
                for (const char* path : {"/first", "/second"}) {
                    std::string body;
                    r.response(&body);
                    CHECK(body == path);
                }
            }
        });
    }

    TEST_CASE("many clients at once, one poison request in ten, leave no fiber and no descriptor behind") {
        each_workers([] {
            const std::size_t before = open_fds();
            {
                http::Mux mux;
                mux.handle("GET /orders/{id}", [](http::ResponseWriter& w, const http::Request& r) {
                    if (r.path_value("id") == "0") weir::panic("poison");
                    w.write(r.path_value("id"));
                });
                Service s(http::recovered(mux, [](const weir::Panic&, const http::Request&) {}));
                std::atomic<std::size_t> good{0};
                std::atomic<std::size_t> bad{0};
                const std::size_t rounds = stress(100);
                weir::WaitGroup wg;
                for (int c = 0; c < 20; ++c) {
                    wg.go([&] {
                        Reader r{s.dial()};
                        for (std::size_t i = 0; i < rounds; ++i) {
                            const std::string id = std::to_string(i % 10);
                            r.conn.write(get("/orders/" + id));
                            std::string body;
                            const std::string head = r.response(&body);
                            if (id != "0" && body == id) ++good;
                            if (id == "0" && starts_with(head, "HTTP/1.1 500")) ++bad;
                        }
                    });
                }
                wg.wait();
                CHECK(good + bad == 20 * rounds);
            }
            CHECK(eventually([&] { return open_fds() == before; }));
        });
    }

    TEST_CASE("an accept that fails for want of descriptors is retried") {
        with_workers(2, [] {
            Service s(hello);
            const int next = ::dup(0); // the lowest free number
            ::close(next);
            rlimit old{};
            ::getrlimit(RLIMIT_NOFILE, &old);
            rlimit tight = old;
            tight.rlim_cur = static_cast<rlim_t>(next) + 1;
            ::setrlimit(RLIMIT_NOFILE, &tight);
            Reader r{s.dial()}; // takes the last one
            CHECK(eventually([&] {
                return contains(s.log->text(), "http: Accept error: accept tcp " + s.address + ": accept4: too many open files");
            }));
            ::setrlimit(RLIMIT_NOFILE, &old);
            r.conn.write(get("/"));
            CHECK(starts_with(r.response(), "HTTP/1.1 200 OK"));
        });
    }

} // TEST_SUITE
