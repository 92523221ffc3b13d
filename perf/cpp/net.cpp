// TCP on the loopback interface: 64 clients, each with a connection of its own to an echo server in the same process.
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include <weir/defer.h>
#include <weir/go.h>
#include <weir/net.h>

#include "workloads.h"

namespace perf {

namespace net = weir::net;

namespace {

using Message = std::array<char, 64>;

void echo(net::Conn conn) {
    const weir::defer close{[&] { conn.close(); }};
    std::array<char, 512> buf;
    for (;;) {
        auto [n, err] = conn.read(buf);
        if (err) return;
        if (conn.write(weir::ByteView(buf.data(), n)).second) return;
    }
}

void serve(net::Listener listener) {
    for (;;) {
        auto [conn, err] = listener.accept();
        if (err) return;
        weir::go(echo, conn);
    }
}

bool read_full(const net::Conn& conn, Message& message) {
    for (std::size_t got = 0; got < message.size();) {
        auto [n, err] = conn.read(weir::ByteSpan(message.data() + got, message.size() - got));
        if (err) return false;
        got += n;
    }
    return true;
}

/// ask sends n messages, each after the answer to the one before, and counts the right answers.
std::int64_t ask(const net::Conn& conn, std::int64_t n) {
    std::int64_t right = 0;
    Message sent{}, received{};
    for (std::int64_t i = 0; i < n; ++i) {
        std::memcpy(sent.data(), &i, sizeof i);
        if (conn.write(sent).second || !read_full(conn, received)) return right;
        right += sent == received;
    }
    return right;
}

} // namespace

/// tcp_echo_64: an operation is one message of 64 bytes there and back.
void tcp_echo_64(Bench& bench) {
    static constexpr std::int64_t kConns = 64;
    auto [listener, err] = net::listen("tcp", "127.0.0.1:0");
    if (err) return bench.expect("listen: " + err.message(), 1, 0);
    weir::WaitGroup serving;
    serving.go([listener = listener] { serve(listener); });
    std::vector<net::Conn> conns;
    for (std::int64_t i = 0; i < kConns; ++i) {
        auto [conn, dial_err] = net::dial("tcp", listener.addr().string());
        if (dial_err) return bench.expect("dial: " + dial_err.message(), 1, 0);
        conns.push_back(conn);
    }
    bench.per_op(bench.count(100'000, 640), [&](std::int64_t n) {
        together(kConns, n, [&](std::int64_t i, std::int64_t each) {
            bench.expect("right answers", ask(conns[static_cast<std::size_t>(i)], each), each);
        });
    });
    for (const net::Conn& conn : conns) conn.close();
    listener.close();
    serving.wait();
}

} // namespace perf
