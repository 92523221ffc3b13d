// net::pipe: Go's net.Pipe. The cases follow those of net/pipe_test.go and nettest.
#include "synctest_fixture.h"

#include <algorithm>
#include <array>
#include <string>
#include <thread>
#include <tuple>

#include <weir/net.h>
#include <weir/waitgroup.h>

namespace net = weir::net;
using weir::Error;

namespace {

std::string read_once(const net::Conn& c, std::size_t size = 64) {
    std::string buf(size, '\0');
    auto [n, err] = c.read(buf);
    CHECK_MESSAGE(!err, err.message());
    buf.resize(n);
    return buf;
}

} // namespace

TEST_SUITE_BEGIN("pipe");

TEST_CASE("after close of one end its operations and the other's writes fail, and the other reads kEof [b123]") {
    each_workers([] {
        auto [c1, c2] = net::pipe();
        CHECK(!c1.close());
        std::array<char, 4> buf{};
        const std::string text = "io: read/write on closed pipe";
        for (int i = 0; i < 2; ++i) {
            CHECK(c1.read(buf) == std::pair(std::size_t{0}, net::kClosedPipe));
            CHECK(c1.write("x") == std::pair(std::size_t{0}, net::kClosedPipe));
            CHECK(c2.write("x") == std::pair(std::size_t{0}, net::kClosedPipe));
            CHECK(c2.read(buf) == std::pair(std::size_t{0}, weir::kEof));
            CHECK(c1.set_deadline({}).message() == text);
            CHECK(c2.set_read_deadline({}).message() == text);
            CHECK(c1.write("x").second.message() == text);
            CHECK(!c1.close()); // again is no error
        }
        CHECK(!c2.close());
        CHECK(c2.read(buf).second == net::kClosedPipe);
    });
}

TEST_CASE("close wakes whoever is blocked at either end [b123]") {
    bubble([] {
        std::array<char, 4> buf{};
        for (const bool own : {true, false}) {
            auto [c1, c2] = net::pipe();
            Error read, write;
            weir::go([&, c1 = c1] { read = c1.read(buf).second; });
            weir::go([&, c1 = c1] { write = c1.write("nobody reads this").second; });
            wait();
            CHECK(!read);
            CHECK(!write);
            (own ? c1 : c2).close();
            wait();
            CHECK(read == (own ? net::kClosedPipe : weir::kEof));
            CHECK(write == net::kClosedPipe);
        }
    });
}

TEST_CASE("the last handle to go closes its end") {
    each_workers([] {
        auto [c1, c2] = net::pipe();
        {
            const net::Conn copy = c1;
            CHECK(copy == c1);
            CHECK(c1 != c2);
            c1 = {};
            weir::WaitGroup wg;
            wg.go([&] { copy.write("x"); });
            CHECK(read_once(c2) == "x");
            wg.wait();
        }
        CHECK(c2.read(std::array<char, 4>{}).second == weir::kEof);
    });
}

TEST_CASE("a write returns when all its bytes have been read, and not before") {
    bubble([] {
        auto [c1, c2] = net::pipe();
        std::size_t written = 0;
        weir::go([&, c1 = c1] { written = c1.write("hello, world").first; });
        wait();
        CHECK(read_once(c2, 5) == "hello");
        CHECK(read_once(c2, 0) == "");
        wait();
        CHECK(written == 0);
        CHECK(read_once(c2) == ", world");
        wait();
        CHECK(written == 12);
        bool empty = false;
        weir::go([&, c1 = c1] { empty = c1.write("") == std::pair(std::size_t{0}, Error()); });
        wait();
        CHECK(!empty); // no bytes want a reader too
        CHECK(read_once(c2) == "");
        wait();
        CHECK(empty);
    });
}

TEST_CASE("a write that is cut short tells how much was read") {
    bubble([] {
        auto [c1, c2] = net::pipe();
        std::pair<std::size_t, Error> result;
        c1.set_write_deadline(weir::now() + 1s);
        weir::go([&, c1 = c1] { result = c1.write("abcdef"); });
        CHECK(read_once(c2, 4) == "abcd");
        weir::sleep(1s);
        wait();
        CHECK(result.first == 4);
        CHECK(result.second.timeout());
        CHECK(result.second.message() == "write pipe: i/o timeout");
    });
}

TEST_CASE("deadlines: past ones at once, on the dot in a bubble, independent, and gone when cleared [b117, b118]") {
    bubble([] {
        auto [c1, c2] = net::pipe();
        std::array<char, 4> buf{};
        weir::go([c2 = c2] { c2.write("data"); });
        wait();
        c1.set_read_deadline(weir::now() - 1s);
        for (int i = 0; i < 3; ++i) {
            auto [n, err] = c1.read(buf);
            CHECK(n == 0);
            CHECK(err.timeout());
            CHECK(err.is(net::kTimeout));
            CHECK(err.message() == "read pipe: i/o timeout");
        }
        c1.set_read_deadline({});
        CHECK(read_once(c1) == "data");

        const Watch watch;
        c1.set_read_deadline(weir::now() + 2s);
        CHECK(c1.read(buf).second.timeout());
        CHECK(watch.elapsed() == 2s);
        weir::go([c2 = c2] { CHECK(read_once(c2) == "x"); });
        CHECK(c1.write("x").first == 1); // the other direction knows nothing of it
        c1.set_deadline(weir::now() + 1s);
        CHECK(c1.write("x").second.timeout());
        CHECK(c1.read(buf).second.timeout());
        CHECK(watch.elapsed() == 3s);

        // Set while somebody waits: a later one prolongs, an earlier one shortens.
        for (const auto d : {5s, 1s}) {
            c1.set_read_deadline(weir::now() + 3s);
            const Watch here;
            weir::go([&, c1 = c1] {
                CHECK(c1.read(buf).second.timeout());
                CHECK(here.elapsed() == d);
            });
            wait();
            c1.set_read_deadline(weir::now() + d);
            weir::sleep(5s);
            wait();
        }
    });
}

TEST_CASE("its addresses are \"pipe\", and it has no descriptor") {
    each_workers([] {
        auto [c1, c2] = net::pipe();
        CHECK(c1);
        CHECK(c1.local_addr().network() == "pipe");
        CHECK(c1.local_addr().string() == "pipe");
        CHECK(c2.remote_addr().string() == "pipe");
        CHECK(c1.close_write().is(std::errc::invalid_argument));
        CHECK(c1.control([](int) { FAIL("a descriptor"); }).is(std::errc::invalid_argument));
    });
}

TEST_CASE("fibers and plain threads write at once: each write comes in one piece [stress]") {
    each_workers([] {
        auto [c1, c2] = net::pipe();
        constexpr int kWriters = 4;
        const std::size_t rounds = stress(500);
        auto work = [&, c1 = c1](char letter) {
            for (std::size_t i = 0; i < rounds; ++i) CHECK(c1.write(std::string(100, letter)).first == 100);
        };
        std::thread plain(work, 'z');
        weir::WaitGroup wg;
        for (int i = 1; i < kWriters; ++i) wg.go(work, static_cast<char>('a' + i));
        for (std::size_t i = 0; i < kWriters * rounds; ++i) {
            std::string whole;
            while (whole.size() < 100) whole += read_once(c2, std::min<std::size_t>(100 - whole.size(), 7 + i % 90));
            CHECK(whole == std::string(100, whole[0]));
        }
        wg.wait();
        weir::blocking([&] { plain.join(); });
    });
}

TEST_CASE("copy through a pipe ends with its end") {
    each_workers([] {
        auto [c1, c2] = net::pipe();
        auto [d1, d2] = net::pipe();
        weir::WaitGroup wg;
        wg.go([&, c2 = c2, d1 = d1] {
            CHECK(net::copy(d1, c2) == std::pair(std::uint64_t{300'000}, Error()));
            d1.close();
        });
        wg.go([c1 = c1] {
            for (int i = 0; i < 3; ++i) c1.write(std::string(100'000, 'x'));
            c1.close();
        });
        std::size_t got = 0;
        std::string buf(10'000, '\0');
        for (;;) {
            auto [n, err] = d2.read(buf);
            got += n;
            if (err) {
                CHECK(err == weir::kEof);
                break;
            }
        }
        CHECK(got == 300'000);
        wg.wait();
    });
}

TEST_CASE("reads, writes, deadlines and close race, and nobody is left behind [stress]") {
    each_workers([] {
        for (std::size_t round = 0; round < stress(200); ++round) {
            auto [c1, c2] = net::pipe();
            weir::WaitGroup wg;
            for (int i = 0; i < 3; ++i) {
                wg.go([c1 = c1] {
                    std::array<char, 3> buf{};
                    for (;;) {
                        const Error err = c1.read(buf).second;
                        CHECK((!err || err.timeout() || err == weir::kEof || err == net::kClosedPipe));
                        if (err && !err.timeout()) return;
                        c1.set_deadline(weir::now() + 20us);
                    }
                });
                wg.go([c2 = c2] {
                    for (;;) {
                        const Error err = c2.write("four").second;
                        CHECK((!err || err == net::kClosedPipe));
                        if (err) return;
                        weir::yield();
                    }
                });
            }
            weir::sleep(50us);
            (round % 2 == 0 ? c1 : c2).close();
            wg.wait();
        }
    });
}

TEST_CASE("a pipe may outlive its bubble and its run") {
    net::Conn kept, other;
    with_workers(2, [&] {
        weir::synctest::test([&] {
            std::tie(kept, other) = net::pipe();
            kept.set_deadline(weir::now() + 1h);
        });
    });
    kept = {};
    with_workers(2, [&] {
        std::tie(kept, other) = net::pipe();
        kept.set_deadline(weir::now() + 1h);
    });
    CHECK(!kept.close());
    CHECK(other.read(std::array<char, 1>{}).second == weir::kEof);
}

TEST_SUITE_END();
