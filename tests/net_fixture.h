// What the tests of sockets share: connections, and reading to the end.
#pragma once

#include <string>

#include <unistd.h>

#include "fixture.h"

#include <weir/net.h>
#include <weir/waitgroup.h>

namespace weir_test {

namespace net = weir::net;
using weir::Error;

struct Ends {
    net::Conn client;
    net::Conn server;
};

inline std::string unix_path() { return "@weir-net-test-" + std::to_string(::getpid()); }

inline net::Listener listen_on(const std::string& network) {
    const std::string address = network == "unix" ? unix_path() : network == "tcp6" ? "[::1]:0" : "127.0.0.1:0";
    auto [ln, err] = net::listen(network, address);
    CHECK_MESSAGE(!err, err.message());
    return ln;
}

/// connect makes a connection and gives both ends.
inline Ends connect(const std::string& network = "tcp") {
    net::Listener ln = listen_on(network);
    auto [client, dial_error] = net::dial(network, ln.addr().string());
    CHECK_MESSAGE(!dial_error, dial_error.message());
    auto [server, accept_error] = ln.accept();
    CHECK_MESSAGE(!accept_error, accept_error.message());
    ln.close();
    return {client, server};
}

/// read_all reads to the end.
inline std::string read_all(const net::Conn& c) {
    std::string all;
    char buf[4096];
    for (;;) {
        auto [n, err] = c.read(buf);
        all.append(buf, n);
        if (err) {
            CHECK_MESSAGE(err == weir::kEof, err.message());
            return all;
        }
    }
}

/// read_n reads exactly n bytes, or what came before an error.
inline std::string read_n(const net::Conn& c, std::size_t n) {
    std::string all(n, '\0');
    std::size_t have = 0;
    while (have < n) {
        auto [got, err] = c.read(weir::ByteSpan(all.data() + have, n - have));
        have += got;
        if (err) break;
    }
    all.resize(have);
    return all;
}

inline Clock::time_point past() { return Clock::now() - 1s; }

} // namespace weir_test
