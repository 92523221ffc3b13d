// Sockets at the net stress sizes of behaviours.md.
#include "net_fixture.h"

#include <array>
#include <atomic>
#include <string>

TEST_SUITE("net stress") {

    TEST_CASE("1 MiB in 1 KiB chunks arrives whole") {
        each_workers([] {
            Ends e = connect();
            std::string sent(1 << 20, '\0');
            for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>(i * 2654435761u >> 24);
            weir::WaitGroup wg;
            wg.go([&] {
                for (std::size_t at = 0; at < sent.size(); at += 1024)
                    CHECK(e.client.write(weir::ByteView(sent.data() + at, 1024)).first == 1024);
                e.client.close();
            });
            CHECK((read_all(e.server) == sent));
            wg.wait();
        });
    }

    TEST_CASE("1000 rounds of ping-pong") {
        each_workers([] {
            Ends e = connect();
            const int rounds = static_cast<int>(stress(1000));
            weir::WaitGroup wg;
            wg.go([&] {
                for (int i = 0; i < rounds; ++i) e.server.write(read_n(e.server, 8));
            });
            for (int i = 0; i < rounds; ++i) {
                std::string text = std::to_string(10000000 + i);
                e.client.write(text);
                CHECK(read_n(e.client, 8) == text);
            }
            wg.wait();
        });
    }

    TEST_CASE("racy reads and writes with deadlines of 1 ms") {
        each_workers([] {
            Ends e = connect();
            weir::WaitGroup echo;
            echo.go([&] {
                net::copy(e.server, e.server);
                e.server.close();
            });
            weir::WaitGroup wg;
            for (int i = 0; i < 10; ++i) {
                wg.go([&] {
                    std::array<char, 1> buf{'x'};
                    for (std::size_t k = 0; k < stress(100); ++k) {
                        e.client.set_read_deadline(Clock::now() + 1ms);
                        const Error err = e.client.read(buf).second;
                        CHECK((!err || err.timeout()));
                    }
                });
                wg.go([&] {
                    for (std::size_t k = 0; k < stress(100); ++k) {
                        e.client.set_write_deadline(Clock::now() + 1ms);
                        const Error err = e.client.write("x").second;
                        CHECK((!err || err.timeout()));
                    }
                });
            }
            wg.wait();
            e.client.close();
            echo.wait();
        });
    }

    TEST_CASE("deadlines of 2 us set from another fiber never lose a wake-up") {
        each_workers([] {
            Ends e = connect();
            const std::size_t rounds = stress(1000);
            weir::WaitGroup wg;
            wg.go([&] {
                for (std::size_t i = 0; i < rounds; ++i) e.client.set_read_deadline(Clock::now() + 2us);
                e.client.set_read_deadline(past());
            });
            std::array<char, 1> buf{};
            for (std::size_t i = 0; i < rounds; ++i) CHECK(e.client.read(buf).second.timeout());
            wg.wait();
        });
    }

    TEST_CASE("10 acceptors take 100 dials") {
        each_workers([] {
            net::Listener ln = listen_on("tcp");
            std::atomic<int> accepted{0};
            weir::WaitGroup acceptors;
            for (int i = 0; i < 10; ++i) {
                acceptors.go([&] {
                    for (;;) {
                        auto [conn, err] = ln.accept();
                        if (err) {
                            CHECK(err.is(net::kClosed));
                            return;
                        }
                        ++accepted;
                        conn.write("hi");
                    }
                });
            }
            weir::WaitGroup dialers;
            for (int i = 0; i < 100; ++i) {
                dialers.go([&] {
                    auto [conn, err] = net::dial("tcp", ln.addr().string());
                    CHECK_MESSAGE(!err, err.message());
                    CHECK(read_all(conn) == "hi");
                });
            }
            dialers.wait();
            ln.close();
            acceptors.wait();
            CHECK(accepted == 100);
        });
    }

    TEST_CASE("opening and closing many connections at once leaves no descriptor behind") {
        each_workers([] {
            net::Listener ln = listen_on("tcp");
            const std::size_t before = open_fds();
            weir::WaitGroup wg;
            for (int i = 0; i < 50; ++i) {
                wg.go([&] {
                    for (std::size_t k = 0; k < stress(20); ++k) {
                        auto [client, err] = net::dial("tcp", ln.addr().string());
                        auto server = ln.accept().first;
                        weir::go([client = client] { client.close(); });
                        server.read(std::array<char, 1>{});
                    }
                });
            }
            wg.wait();
            CHECK(eventually([&] { return open_fds() == before; }));
        });
    }

} // TEST_SUITE
