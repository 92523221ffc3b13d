// Sockets: Go's rules 117 to 122.
#include "net_fixture.h"

#include <array>
#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

/// fill writes until the kernel takes no more. For unix sockets: TCP's buffers go on growing.
void fill(const net::Conn& c) {
    c.control([](int fd) {
        const std::string block(64 << 10, 'x');
        while (::send(fd, block.data(), block.size(), MSG_DONTWAIT) > 0) {
        }
    });
}

/// fill_backlog dials until further connections hang, and returns those that stand, not accepted yet.
std::vector<net::Conn> fill_backlog(const net::Listener& ln) {
    ln.control([](int fd) { ::listen(fd, 0); });
    std::vector<net::Conn> queue;
    for (;;) {
        auto [conn, err] = net::dial_timeout("tcp", ln.addr().string(), 100ms);
        if (err) {
            CHECK(err.timeout());
            CHECK(err.message() == "dial tcp " + ln.addr().string() + ": i/o timeout");
            return queue;
        }
        queue.push_back(conn);
    }
}

void reset_on_close(const net::Conn& c) {
    c.control([](int fd) {
        const linger option{1, 0};
        ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &option, sizeof option);
    });
    c.close();
}

} // namespace

TEST_SUITE("net") {

    TEST_CASE("every network carries bytes both ways and ends with kEof") {
        for (const char* network : {"tcp", "tcp4", "tcp6", "unix"}) {
            CAPTURE(network);
            each_workers([=] {
                Ends e = connect(network);
                CHECK(e.client.write("ping").first == 4);
                CHECK(read_n(e.server, 4) == "ping");
                weir::go([server = e.server] {
                    server.write("pong");
                    server.close();
                });
                CHECK(read_all(e.client) == "pong");
                e.client.close();
            });
        }
    }

    TEST_CASE("addresses are printed as Go prints them") {
        each_workers([] {
            Ends e = connect("tcp");
            CHECK(e.client.remote_addr() == e.server.local_addr());
            CHECK(e.client.local_addr().string() == "127.0.0.1:" + std::to_string(e.client.local_addr().port()));
            CHECK(e.client.local_addr().host() == "127.0.0.1");
            CHECK(e.client.local_addr().network() == "tcp");
            Ends six = connect("tcp6");
            CHECK(starts_with(six.client.remote_addr().string(), "[::1]:"));
            CHECK(six.client.remote_addr().host() == "::1");
            Ends u = connect("unix");
            CHECK(u.client.remote_addr().string() == unix_path());
            CHECK(u.server.remote_addr().string() == "@");
        });
    }

    TEST_CASE("a wildcard listener takes both IP versions and prints an IPv4 peer as IPv4") {
        each_workers([] {
            auto [ln, err] = net::listen("tcp", ":0");
            REQUIRE_MESSAGE(!err, err.message());
            const std::string port = std::to_string(ln.addr().port());
            for (const char* host : {"127.0.0.1", "::1", ""}) {
                auto [client, dial_error] = net::dial("tcp", net::join_host_port(host, port));
                REQUIRE_MESSAGE(!dial_error, dial_error.message());
                auto server = ln.accept().first;
                CHECK(server.remote_addr().string() == client.local_addr().string());
            }
        });
    }

    TEST_CASE("a past deadline fails read, write and accept at once, even with data, until it is cleared [b117]") {
        each_workers([] {
            Ends e = connect();
            e.server.write("data");
            char buf[16];
            e.client.set_deadline(past());
            for (int i = 0; i < 3; ++i) {
                auto [n, err] = e.client.read(buf);
                CHECK(n == 0);
                CHECK(err.timeout());
                CHECK(err.is(net::kTimeout));
                CHECK(contains(err.message(), ": i/o timeout"));
                auto [written, write_error] = e.client.write("x");
                CHECK(written == 0);
                CHECK(write_error.timeout());
                CHECK(contains(write_error.message(), ": i/o timeout"));
            }
            e.client.set_deadline({});
            CHECK(read_n(e.client, 4) == "data");

            net::Listener ln = listen_on("tcp");
            auto [waiting, dial_error] = net::dial("tcp", ln.addr().string());
            CHECK(!dial_error);
            ln.set_deadline(past());
            for (int i = 0; i < 3; ++i) {
                auto [conn, err] = ln.accept();
                CHECK(!conn);
                CHECK(err.timeout());
                CHECK(err.message() == "accept tcp " + ln.addr().string() + ": i/o timeout");
            }
            ln.set_deadline({});
            CHECK(!ln.accept().second);
        });
    }

    TEST_CASE("read and write deadlines are independent and never early [b118]") {
        each_workers([] {
            Ends e = connect();
            char buf[1];
            e.client.set_read_deadline(past());
            CHECK(!e.client.write("x").second);
            e.client.set_read_deadline({});
            e.client.set_write_deadline(past());
            e.server.write("y");
            CHECK(!e.client.read(buf).second);
            e.client.set_write_deadline({});
            CHECK(!e.client.write("z").second);
            for (auto d : {1ms, 5ms, 20ms}) {
                const auto until = Clock::now() + d;
                e.client.set_read_deadline(until);
                CHECK(e.client.read(buf).second.timeout());
                CHECK(Clock::now() >= until);
            }
            e.client.set_read_deadline(std::chrono::system_clock::now() + 5ms);
            CHECK(e.client.read(buf).second.timeout());
            Ends full = connect("unix");
            fill(full.client);
            const auto until = Clock::now() + 5ms;
            full.client.set_write_deadline(until);
            CHECK(full.client.write("x").second.timeout());
            CHECK(Clock::now() >= until);
        });
    }

    TEST_CASE("a deadline that was cleared before the call makes it wait [b118]") {
        each_workers([] {
            Ends e = connect();
            e.client.set_read_deadline(past());
            e.client.set_read_deadline(Clock::time_point{});
            weir::WaitGroup wg;
            std::atomic<bool> read{false};
            wg.go([&] {
                CHECK(read_n(e.client, 1) == "x");
                read = true;
            });
            weir::sleep(10ms);
            CHECK(!read);
            e.server.write("x");
            wg.wait();
        });
    }

    TEST_CASE("a deadline set while a call is blocked wakes it, and a later one prolongs it") {
        each_workers([] {
            Ends full = connect("unix");
            fill(full.server);
            weir::WaitGroup wg;
            wg.go([&] { CHECK(full.server.write("x").second.timeout()); });
            CHECK(come_to_wait(1, "IO wait"));
            full.server.set_write_deadline(past());
            wg.wait();
            CHECK(in_some_try([&] { // when the machine holds us up the first deadline passes before there is a second one
                Ends idle = connect();
                Error err;
                idle.client.set_read_deadline(Clock::now() + 50ms);
                wg.go([&] { err = idle.client.read(std::array<char, 1>{}).second; });
                weir::sleep(5ms);
                idle.client.set_read_deadline(Clock::now() + patience(60s));
                weir::sleep(60ms);
                idle.server.write("z");
                wg.wait();
                return !err;
            }));
        });
    }

    TEST_CASE("a zero-byte read gives (0, nil) [b121]") {
        each_workers([] {
            Ends e = connect();
            auto [n, err] = e.client.read(weir::ByteSpan());
            CHECK(n == 0);
            CHECK(!err);
            CHECK(e.client.write("").first == 0);
            e.server.close();
            CHECK(!e.client.read(weir::ByteSpan()).second);
        });
    }

    TEST_CASE("a reset is an error, neither kEof nor a time-out [b121]") {
        each_workers([] {
            Ends e = connect();
            char buf[8];
            weir::WaitGroup wg;
            wg.go([&] {
                const Error err = e.client.read(buf).second;
                CHECK(err);
                CHECK(!err.is(weir::kEof));
                CHECK(!err.timeout());
                CHECK(err.is(std::errc::connection_reset));
                CHECK(contains(err.message(), ": read: connection reset by peer"));
                CHECK(starts_with(err.message(),
                                  "read tcp " + e.client.local_addr().string() + "->" + e.client.remote_addr().string()));
            });
            CHECK(come_to_wait(1, "IO wait"));
            reset_on_close(e.server);
            wg.wait();
            CHECK(e.client.write("x").second.is(std::errc::broken_pipe));
        });
    }

    TEST_CASE("close wakes blocked readers, writers and accepts, and a second close is kClosed") {
        each_workers([] {
            Ends e = connect("unix");
            net::Listener ln = listen_on("tcp");
            fill(e.client);
            weir::WaitGroup wg;
            for (int i = 0; i < 3; ++i) {
                wg.go([&] { CHECK(e.client.read(std::array<char, 4>{}).second.is(net::kClosed)); });
                wg.go([&] { CHECK(e.client.write("x").second.is(net::kClosed)); });
                wg.go([&] {
                    const Error err = ln.accept().second;
                    CHECK(err.is(net::kClosed));
                    CHECK(err.message() == "accept tcp " + ln.addr().string() + ": use of closed network connection");
                });
            }
            CHECK(come_to_wait(3, "IO wait"));         // one of each kind,
            CHECK(come_to_wait(6, "sync.Mutex.Lock")); // and those behind it
            CHECK(!e.client.close());
            CHECK(!ln.close());
            wg.wait();
            CHECK(e.client.close().is(net::kClosed));
            CHECK(ln.close().is(net::kClosed));
            CHECK(e.client.set_deadline(past()).is(net::kClosed));
            CHECK(e.client.close_write().is(net::kClosed));
        });
    }

    TEST_CASE("the port is free as soon as close has returned") {
        each_workers([] {
            net::Listener ln = listen_on("tcp");
            const std::string address = ln.addr().string();
            for (int i = 0; i < 20; ++i) {
                weir::WaitGroup wg;
                wg.go([&] { ln.accept(); });
                CHECK(come_to_wait(1, "IO wait"));
                ln.close();
                auto [again, err] = net::listen("tcp", address);
                CHECK_MESSAGE(!err, err.message());
                wg.wait();
                ln = again;
            }
        });
    }

    TEST_CASE("close_write ends the peer's input and leaves the other direction open") {
        each_workers([] {
            Ends e = connect();
            weir::WaitGroup wg;
            wg.go([&] {
                const std::string got = read_all(e.server);
                e.server.write("got " + got);
                e.server.close();
            });
            e.client.write("all");
            e.client.close_write();
            CHECK(read_all(e.client) == "got all");
            wg.wait();
        });
    }

    TEST_CASE("copies share the socket and the last handle closes it") {
        each_workers([] {
            const std::size_t before = open_fds();
            {
                Ends e = connect();
                {
                    net::Conn copy = e.client;
                    CHECK(copy == e.client);
                    copy.write("x");
                }
                CHECK(read_n(e.server, 1) == "x");
                e.client = net::Conn();
                CHECK(read_all(e.server).empty());
            }
            CHECK(open_fds() == before);
        });
    }

    TEST_CASE("an empty handle fails with invalid argument") {
        each_workers([] {
            net::Conn c;
            net::Listener ln;
            CHECK(c.read(std::array<char, 1>{}).second.is(std::errc::invalid_argument));
            CHECK(c.write("x").second.is(std::errc::invalid_argument));
            CHECK(c.close().is(std::errc::invalid_argument));
            CHECK(ln.accept().second.is(std::errc::invalid_argument));
            CHECK(ln.addr().string().empty());
            CHECK(!c);
        });
    }

    TEST_CASE("listen and dial word their errors as Go does") {
        each_workers([] {
            net::Listener ln = listen_on("tcp");
            const std::string used = ln.addr().string();
            CHECK(net::listen("tcp", used).second.message() == "listen tcp " + used + ": bind: address already in use");
            ln.close();
            const Error refused = net::dial("tcp", used).second;
            CHECK(refused.message() == "dial tcp " + used + ": connect: connection refused");
            CHECK(refused.is(std::errc::connection_refused));
            const auto* op = refused.as<net::OpError>();
            REQUIRE(op != nullptr);
            CHECK(op->op == "dial");
            CHECK(op->addr == used);
            CHECK(net::dial("tcp", "127.0.0.1").second.message() == "dial tcp: address 127.0.0.1: missing port in address");
            CHECK(net::listen("tcp", "127.0.0.1:99999").second.message() == "listen tcp: address 99999: invalid port");
            CHECK(net::dial("ip", "127.0.0.1").second.message() == "dial ip 127.0.0.1: unknown network ip");
            CHECK(net::dial("unix", "/nonexistent/x").second.message() ==
                  "dial unix /nonexistent/x: connect: no such file or directory");
            CHECK(net::dial("tcp", "no-such-host.invalid:80").second.message().find("dial tcp: lookup no-such-host.invalid") ==
                  0);
        });
    }

    TEST_CASE("a unix listener's file goes with it") {
        each_workers([] {
            const std::string path = "/tmp/weir-net-test-" + std::to_string(::getpid());
            auto [ln, err] = net::listen("unix", path);
            REQUIRE_MESSAGE(!err, err.message());
            CHECK(::access(path.c_str(), F_OK) == 0);
            CHECK(net::listen("unix", path).second.is(std::errc::address_in_use));
            auto [client, dial_error] = net::dial("unix", path);
            CHECK(!dial_error);
            ln.close();
            CHECK(::access(path.c_str(), F_OK) != 0);
            CHECK(net::listen("unix", std::string(200, 'x')).second);
        });
    }

    TEST_CASE("dial with a past deadline times out at once, and cancelling after success does no harm [b122]") {
        each_workers([] {
            net::Listener ln = listen_on("tcp");
            auto [late, cancel_late] = weir::with_deadline(weir::background(), past());
            auto [none, err] = net::dial(late, "tcp", ln.addr().string());
            CHECK(!none);
            CHECK(err.timeout());
            CHECK(err.is(weir::kDeadlineExceeded));
            CHECK(err.message() == "dial tcp " + ln.addr().string() + ": i/o timeout");
            cancel_late();
            auto [ctx, cancel] = weir::with_cancel(weir::background());
            auto [client, dial_error] = net::dial(ctx, "tcp", ln.addr().string());
            REQUIRE(!dial_error);
            auto server = ln.accept().first;
            cancel();
            CHECK(eventually([] { return weir::num_fibers() == 1; })); // whoever minded the context has seen its end
            client.write("x");
            CHECK(read_n(server, 1) == "x");
            CHECK(net::dial(ctx, "tcp", ln.addr().string()).second.is(weir::kCanceled));
        });
    }

    // A connection to this machine stands at once as a rule. Here it has to wait for the second SYN, a second later, with the context being watched.
    TEST_CASE("cancelling does no harm either to a connection that dial had to wait for [b122]") {
        each_workers([] {
            net::Listener ln = listen_on("tcp");
            std::vector<net::Conn> queue = fill_backlog(ln);
            auto [ctx, cancel] = weir::with_cancel(weir::background());
            net::Conn client;
            weir::WaitGroup dialling;
            dialling.go([&, ctx = ctx] {
                auto [conn, err] = net::dial(ctx, "tcp", ln.addr().string());
                CHECK_MESSAGE(!err, err.message());
                client = conn;
            });
            weir::sleep(100ms); // the first SYN has been dropped
            net::Conn server;
            for (std::size_t i = 0; i <= queue.size(); ++i) server = ln.accept().first;
            dialling.wait();
            cancel();
            CHECK(eventually([] { return weir::num_fibers() == 1; }));
            CHECK(!client.write("x").second);
            CHECK(read_n(server, 1) == "x");
        });
    }

    TEST_CASE("dial is cut short by its context's cancellation and deadline") {
        each_workers([] {
            net::Listener ln = listen_on("tcp");
            std::vector<net::Conn> queue = fill_backlog(ln);
            Error err;
            while (!err) { // what filled the backlog may have timed out because the machine held it up: then there still is room
                auto [ctx, cancel] = weir::with_cancel(weir::background());
                weir::go([cancel = cancel] {
                    weir::sleep(5ms);
                    cancel();
                });
                auto [conn, dial_error] = net::dial(ctx, "tcp", ln.addr().string());
                queue.push_back(conn);
                err = dial_error;
            }
            CHECK(err.is(weir::kCanceled));
            CHECK(err.message() == "dial tcp " + ln.addr().string() + ": operation was canceled");
        });
    }

    TEST_CASE("an accept without descriptors fails with that error, and works again with them") {
        with_workers(2, [] {
            net::Listener ln = listen_on("tcp");
            auto [client, dial_error] = net::dial("tcp", ln.addr().string());
            REQUIRE(!dial_error);
            rlimit old{};
            ::getrlimit(RLIMIT_NOFILE, &old);
            rlimit none = old;
            none.rlim_cur = 3;
            ::setrlimit(RLIMIT_NOFILE, &none);
            const Error err = ln.accept().second;
            ::setrlimit(RLIMIT_NOFILE, &old);
            CHECK(err.is(std::errc::too_many_files_open));
            CHECK(!err.timeout());
            CHECK(!ln.accept().second);
        });
    }

    TEST_CASE("names are looked up, and a cancelled lookup does not wait") {
        each_workers([] {
            auto [addrs, err] = net::lookup_host(weir::background(), "localhost");
            CHECK(!err);
            CHECK(!addrs.empty());
            CHECK(net::lookup_host(weir::background(), "127.0.0.1").first == std::vector<std::string>{"127.0.0.1"});
            net::Listener ln = listen_on("tcp4");
            CHECK(!net::dial("tcp4", "localhost:" + std::to_string(ln.addr().port())).second);
            auto [ctx, cancel] = weir::with_cancel(weir::background());
            cancel();
            CHECK(net::lookup_host(ctx, "localhost").second.is(weir::kCanceled));
            CHECK(all_gone()); // the lookup itself runs on
        });
    }

    TEST_CASE("a socket may outlive its run") {
        for (int i = 0; i < 3; ++i) {
            const std::size_t before = open_fds();
            {
                Ends e;
                weir::run([&] {
                    e = connect();
                    e.client.set_deadline(Clock::now() + 1h);
                });
                CHECK(!e.client.close());
                CHECK(e.client.close().is(net::kClosed));
            }
            CHECK(open_fds() == before);
        }
    }

    TEST_CASE("a socket works on in a later run, with its deadline") {
        Ends e;
        weir::run([&] {
            e = connect();
            e.server.set_read_deadline(Clock::now() + 20ms);
        });
        weir::run([&] {
            std::string bytes(8, ' ');
            CHECK(e.server.read(bytes).second.timeout());
            e.server.set_read_deadline({});
            weir::go([&] {
                weir::sleep(1ms);
                e.client.write("later");
            });
            CHECK(read_n(e.server, 5) == "later");
            e.client.close();
            e.server.close();
        });
    }

    TEST_CASE("(alone) a reader is abandoned in a socket" * doctest::skip()) {
        net::Listener ln;
        weir::run([&] {
            ln = listen_on("tcp");
            weir::go([ln] { ln.accept(); });
            CHECK(come_to_wait(1, "IO wait"));
        });
        CHECK(!ln.close());
    }

    TEST_CASE("closing a socket whose reader was abandoned with its run does not wait for it") {
        // In a process of its own: what an abandoned fiber holds is leaked.
        const Death d = run_alone("(alone) a reader is abandoned in a socket", {"ASAN_OPTIONS=detect_leaks=0"});
        CHECK_MESSAGE(d.status == 0, d.out, d.err);
    }

    TEST_CASE("split_host_port and join_host_port follow Go") {
        CHECK(net::split_host_port("a:1").host == "a");
        CHECK(net::split_host_port("[::1]:80").host == "::1");
        CHECK(net::split_host_port("[::1]:80").port == "80");
        CHECK(net::split_host_port(":http").port == "http");
        CHECK(net::split_host_port("::1:80").err.message() == "address ::1:80: too many colons in address");
        CHECK(net::split_host_port("[::1]").err.message() == "address [::1]: missing port in address");
        CHECK(net::split_host_port("[::1").err);
        CHECK(net::split_host_port("").err.message() == "address : missing port in address");
        CHECK(net::join_host_port("::1", "80") == "[::1]:80");
        CHECK(net::join_host_port("a", "80") == "a:80");
    }

    TEST_CASE("plain OS threads read and write while a runtime runs") {
        each_workers([] {
            Ends e = connect();
            weir::chan<std::string> got;
            std::thread t([&] {
                got.send(read_n(e.server, 5));
                e.server.write("thread");
            });
            weir::sleep(5ms);
            e.client.write("hello");
            CHECK(got.recv() == "hello");
            CHECK(read_n(e.client, 6) == "thread");
            t.join();
        });
    }

    TEST_CASE("concurrent writes are not interleaved") {
        each_workers([] {
            Ends e = connect("unix");
            constexpr int kWriters = 4;
            const std::size_t block = 256 << 10; // more than the kernel takes at once
            weir::WaitGroup wg;
            for (int i = 0; i < kWriters; ++i) {
                wg.go([&, i] { CHECK(e.client.write(std::string(block, static_cast<char>('a' + i))).first == block); });
            }
            for (int i = 0; i < kWriters; ++i) {
                const std::string got = read_n(e.server, block);
                CHECK(got == std::string(block, got.empty() ? '?' : got[0]));
            }
            wg.wait();
        });
    }

} // TEST_SUITE
