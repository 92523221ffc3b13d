// What the tests of HTTP share: a server on a free port, and a reader of what it says.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "fixture.h"

#include <weir/http.h>
#include <weir/mutex.h>
#include <weir/net.h>
#include <weir/waitgroup.h>

namespace weir_test {

namespace net = weir::net;
namespace http = weir::http;
using weir::Error;

inline void hello(http::ResponseWriter& w, const http::Request&) { w.write("hello\n"); }

/// Log collects error_log lines.
struct Log {
    weir::Mutex lock;
    std::vector<std::string> lines;

    std::string text() {
        std::lock_guard hold(lock);
        std::string all;
        for (const auto& l : lines) all += l + "\n";
        return all;
    }
};

/// Service is a Server running on a free port; destroying it shuts it down.
struct Service {
    http::Server srv;
    std::shared_ptr<Log> log = std::make_shared<Log>();
    std::string address;
    Error result;
    weir::WaitGroup serving;

    explicit Service(http::Handler handler, const std::function<void(http::Server&)>& configure = {}) {
        srv.handler = std::move(handler);
        srv.error_log = [log = log](std::string_view line) {
            std::lock_guard hold(log->lock);
            log->lines.emplace_back(line);
        };
        if (configure) configure(srv);
        auto [ln, err] = net::listen("tcp", "127.0.0.1:0");
        CHECK_MESSAGE(!err, err.message());
        address = ln.addr().string();
        serving.go([this, ln = ln] { result = srv.serve(ln); });
    }
    ~Service() {
        auto [ctx, cancel] = weir::with_timeout(weir::background(), patience(60s));
        const Error err = srv.shutdown(ctx);
        CHECK_MESSAGE(!err, err.message());
        serving.wait();
        CHECK(result == http::kServerClosed);
        cancel();
    }

    net::Conn dial() const {
        auto [conn, err] = net::dial("tcp", address);
        CHECK_MESSAGE(!err, err.message());
        conn.set_deadline(Clock::now() + patience(60s));
        return conn;
    }
    std::string url(const std::string& path) const { return "http://" + address + path; }

    /// raw sends text as it is and reads until the server closes. Where the machine holds this up for longer than the server waits for us to read its
    /// last words (half a second, as Go's), they are lost in a reset: then once more.
    std::string raw(const std::string& text) const {
        std::pair<std::string, Error> got;
        in_some_try([&] {
            got = exchange(text);
            return !got.second.is(std::errc::connection_reset);
        });
        CHECK_MESSAGE(got.second == weir::kEof, got.second.message());
        return got.first;
    }
    /// exchange does it once, and also gives the error that ended it.
    std::pair<std::string, Error> exchange(const std::string& text) const {
        net::Conn conn = dial();
        conn.write(text);
        std::string all;
        char buf[4096];
        for (;;) {
            auto [n, err] = conn.read(buf);
            all.append(buf, n);
            if (err) return {all, err};
        }
    }
};

/// Reader cuts responses out of a connection's bytes: only as much as the tests need.
struct Reader {
    net::Conn conn;
    std::string have = {};

    bool more() {
        char buf[8192];
        auto [n, err] = conn.read(buf);
        have.append(buf, n);
        return !err;
    }
    std::string take(std::size_t n) {
        while (have.size() < n && more()) {
        }
        std::string out = have.substr(0, n);
        have.erase(0, n);
        return out;
    }
    std::string until(const std::string& mark) {
        while (have.find(mark) == std::string::npos) {
            if (!more()) return std::exchange(have, "");
        }
        return take(have.find(mark) + mark.size());
    }
    /// response is the next header, and its body in `body`.
    std::string response(std::string* body = nullptr) {
        const std::string head = until("\r\n\r\n");
        std::string content;
        const std::size_t length = head.find("Content-Length: ");
        if (length != std::string::npos) {
            content = take(std::stoul(head.substr(length + 16)));
        } else if (contains(head, "Transfer-Encoding: chunked")) {
            for (;;) {
                const std::size_t size = std::stoul(until("\r\n"), nullptr, 16);
                content += take(size);
                take(2);
                if (size == 0) break;
            }
        }
        if (body != nullptr) *body = content;
        return head;
    }
};

inline std::string body_of(const std::string& response) {
    const std::size_t end = response.find("\r\n\r\n");
    return end == std::string::npos ? "(no header)" : response.substr(end + 4);
}

inline std::string get(const std::string& path, const std::string& more = "") {
    return "GET " + path + " HTTP/1.1\r\nHost: x\r\n" + more + "\r\n";
}
inline const std::string kClose = "Connection: close\r\n";

} // namespace weir_test
