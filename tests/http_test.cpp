// HTTP: routing by Go 1.22's patterns, the server against raw sockets, limits, shutdown, and the client.
#include "fixture.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

#include <weir/http.h>
#include <weir/mutex.h>
#include <weir/net.h>
#include <weir/waitgroup.h>

namespace net = weir::net;
namespace http = weir::http;
using weir::Error;

namespace {

/// mux_of makes a mux whose handlers answer with their own pattern and the named path values.
http::Mux mux_of(const std::vector<std::string>& patterns) {
    http::Mux mux;
    for (const std::string& p : patterns) {
        mux.handle(p, [](http::ResponseWriter& w, const http::Request& r) {
            std::string text = r.pattern();
            for (const char* name : {"id", "x", "y", "rest"}) {
                if (!r.path_value(name).empty()) text += " " + std::string(name) + "=" + r.path_value(name);
            }
            w.write(text);
        });
    }
    return mux;
}

/// ask sends a request to a handler without a network: the body, or the code when it is not 200, with the Location.
std::string ask(const http::Handler& h, std::string_view method, std::string_view url) {
    http::Recorder rec;
    h(rec, http::Request(method, url));
    if (rec.code() == 200) return rec.body();
    std::string text = std::to_string(rec.code());
    for (const char* name : {"Location", "Allow"}) {
        if (rec.header().has(name)) text += " " + std::string(rec.header().get(name));
    }
    return text;
}

void hello(http::ResponseWriter& w, const http::Request&) { w.write("hello\n"); }

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

std::string body_of(const std::string& response) {
    const std::size_t end = response.find("\r\n\r\n");
    return end == std::string::npos ? "(no header)" : response.substr(end + 4);
}

std::string get(const std::string& path, const std::string& more = "") {
    return "GET " + path + " HTTP/1.1\r\nHost: x\r\n" + more + "\r\n";
}
const std::string kClose = "Connection: close\r\n";

} // namespace

TEST_SUITE("http mux") {

    TEST_CASE("the most specific pattern wins, whatever the order") {
        std::vector<std::string> patterns = {
            "/",          "GET /orders/{id}", "GET /orders/latest", "/orders/{id}/items/{x}", "POST /orders",
            "/static/",   "/static/{$}",      "/files/{rest...}",   "example.com/",           "GET /head",
            "HEAD /head", "/a/{x}/c",         "/a/b/{y}/d"};
        const auto check = [](const http::Mux& m) {
            CHECK(ask(m, "GET", "/orders/7") == "GET /orders/{id} id=7");
            CHECK(ask(m, "HEAD", "/orders/7") == "GET /orders/{id} id=7");
            CHECK(ask(m, "GET", "/orders/latest") == "GET /orders/latest");
            CHECK(ask(m, "PUT", "/orders/7") == "/");
            CHECK(ask(m, "GET", "/orders/7/items/9") == "/orders/{id}/items/{x} id=7 x=9");
            CHECK(ask(m, "POST", "/orders") == "POST /orders");
            CHECK(ask(m, "GET", "/static/") == "/static/{$}");
            CHECK(ask(m, "GET", "/static/a/b.css") == "/static/");
            CHECK(ask(m, "GET", "/files/a/b/c") == "/files/{rest...} rest=a/b/c");
            CHECK(ask(m, "GET", "/files/") == "/files/{rest...}");
            CHECK(ask(m, "HEAD", "/head") == "HEAD /head");
            CHECK(ask(m, "GET", "/a/b/c") == "/a/{x}/c x=b");
            CHECK(ask(m, "GET", "/a/b/c/d") == "/a/b/{y}/d y=c");
            CHECK(ask(m, "GET", "/nothing/here") == "/");
            CHECK(ask(m, "GET", "http://example.com/orders/7") == "example.com/");
            CHECK(ask(m, "GET", "http://example.com:8080/") == "example.com/");
        };
        check(mux_of(patterns));
        std::reverse(patterns.begin(), patterns.end());
        check(mux_of(patterns));
    }

    TEST_CASE("no match is 404, a match for another method 405 with Allow") {
        const http::Mux m = mux_of({"GET /a", "POST /a", "DELETE /b/{id}"});
        CHECK(ask(m, "GET", "/none") == "404");
        CHECK(ask(m, "PUT", "/a") == "405 GET, HEAD, POST");
        CHECK(ask(m, "GET", "/b/1") == "405 DELETE");
        CHECK(ask(m, "GET", "/b/") == "404");
        CHECK(ask(m, "OPTIONS", "*") == "400");
    }

    TEST_CASE("paths are cleaned and a missing slash is added by a redirect") {
        const http::Mux m = mux_of({"/tree/", "/a/b", "/only/{$}"});
        CHECK(ask(m, "GET", "/tree") == "307 /tree/");
        CHECK(ask(m, "GET", "/tree?q=1") == "307 /tree/?q=1");
        CHECK(ask(m, "GET", "/a//b") == "307 /a/b");
        CHECK(ask(m, "GET", "/a/../a/./b?x=y") == "307 /a/b?x=y");
        CHECK(ask(m, "GET", "/../../etc") == "307 /etc");
        CHECK(ask(m, "GET", "/only") == "307 /only/");
        CHECK(ask(m, "GET", "/only/x") == "404");
    }

    TEST_CASE("path values are decoded and an escaped slash does not cut a segment") {
        const http::Mux m = mux_of({"/v/{id}", "/sp%20ace/{x}", "/r/{rest...}"});
        CHECK(ask(m, "GET", "/v/a%20b") == "/v/{id} id=a b");
        CHECK(ask(m, "GET", "/v/a%2Fb") == "/v/{id} id=a/b");
        CHECK(ask(m, "GET", "/sp%20ace/1") == "/sp%20ace/{x} x=1");
        CHECK(ask(m, "GET", "/r/a%2Fb/c") == "/r/{rest...} rest=a/b/c");
    }

    TEST_CASE("conflicting patterns panic as Go's do") {
        const auto conflict = [](const std::string& first, const std::string& second) {
            http::Mux m;
            m.handle(first, hello);
            const std::string text = panic_text([&] { m.handle(second, hello); });
            CHECK(contains(text, "pattern \"" + second + "\" (registered at "));
            CHECK(contains(text, ") conflicts with pattern \"" + first + "\" (registered at "));
            return text.substr(text.find('\n') + 1);
        };
        CHECK(conflict("/a/{x}", "/a/{y}") == "/a/{y} matches the same requests as /a/{x}");
        CHECK(conflict("/posts/{id}", "/{resource}/latest") ==
              "/{resource}/latest and /posts/{id} both match some paths, like \"/posts/latest\".\nBut neither is more specific "
              "than the other.\n"
              "/{resource}/latest matches \"/resource/latest\", but /posts/{id} doesn't.\n"
              "/posts/{id} matches \"/posts/id\", but /{resource}/latest doesn't.");
        CHECK(conflict("GET /", "/a") == "/a matches more methods than GET /, but has a more specific path pattern");
        CHECK(conflict("/a", "GET /") == "GET / matches fewer methods than /a, but has a more general path pattern");
    }

    TEST_CASE("patterns that do not conflict can stand together") {
        const http::Mux m = mux_of({"/", "/{x}", "POST /{x}", "a.com/", "/a/{x}/b", "/a/b/{$}", "/a/"});
        CHECK(ask(m, "GET", "/q") == "/{x} x=q");
    }

    TEST_CASE("malformed patterns panic as Go's do") {
        const auto text = [](const std::string& pattern) { return panic_text([&] { http::Mux().handle(pattern, hello); }); };
        CHECK(text("") == "http: invalid pattern");
        CHECK(text("GET") == "parsing \"GET\": at offset 0: host/path missing /");
        CHECK(text("G@T /") == "parsing \"G@T /\": at offset 0: invalid method \"G@T\"");
        CHECK(text("GET /{") == "parsing \"GET /{\": at offset 5: bad wildcard segment (must end with '}')");
        CHECK(text("/a{x}") == "parsing \"/a{x}\": at offset 1: bad wildcard segment (must start with '{')");
        CHECK(text("/{x}/{x}") == "parsing \"/{x}/{x}\": at offset 5: duplicate wildcard name \"x\"");
        CHECK(text("/{}") == "parsing \"/{}\": at offset 1: empty wildcard");
        CHECK(text("/{x...}/a") == "parsing \"/{x...}/a\": at offset 1: {...} wildcard not at end");
        CHECK(text("/{$}/a") == "parsing \"/{$}/a\": at offset 1: {$} not at end");
        CHECK(text("/{1x}") == "parsing \"/{1x}\": at offset 1: bad wildcard name \"1x\"");
        CHECK(text("{h}/") == "parsing \"{h}/\": at offset 0: host contains '{' (missing initial '/'?)");
        CHECK(text("GET //a") == "parsing \"GET //a\": at offset 4: non-CONNECT pattern with unclean path can never match");
        CHECK(panic_text([] { http::Mux().handle("/", nullptr); }) == "http: nil handler");
    }

    TEST_CASE("strip_prefix, error, not_found and redirect") {
        http::Mux m;
        m.handle("/api/", http::strip_prefix("/api", mux_of({"/v1/{id}"})));
        m.handle("/old/thing", [](http::ResponseWriter& w, const http::Request& r) { http::redirect(w, r, "new?a=b", 302); });
        CHECK(ask(m, "GET", "/api/v1/3?q=1") == "/v1/{id} id=3");
        CHECK(ask(m, "GET", "/api/v2") == "404");
        CHECK(ask(m, "GET", "/old/thing") == "302 /old/new?a=b");
        http::Recorder rec;
        http::error(rec, "no", 418);
        CHECK(rec.code() == 418);
        CHECK(rec.body() == "no\n");
        CHECK(rec.header().get("content-type") == "text/plain; charset=utf-8");
    }

    TEST_CASE("recovered answers 500, and 503 when the request's context is done") {
        each_workers([] {
            std::string seen;
            const http::Handler h = http::recovered(
                [](http::ResponseWriter& w, const http::Request&) {
                    w.header().set("X-Half", "1");
                    w.write("half");
                    weir::panic("poison");
                },
                [&](const weir::Panic& p, const http::Request& r) { seen = r.path() + ": " + p.message(); });
            http::Recorder rec;
            h(rec, http::Request("GET", "/p"));
            CHECK(rec.code() == 500);
            CHECK(rec.body() == "Internal Server Error\n");
            CHECK(!rec.header().has("X-Half"));
            CHECK(seen == "/p: poison");
            auto [ctx, cancel] = weir::with_cancel(weir::background());
            cancel();
            http::Recorder late;
            h(late, http::Request("GET", "/p").with_context(ctx));
            CHECK(late.code() == 503);
        });
        const Death child = dies([] {
            return weir::run([] {
                const http::Handler h = http::recovered([](http::ResponseWriter&, const http::Request&) { weir::panic("poison"); });
                for (int i = 0; i < 1000; ++i) {
                    http::Recorder rec;
                    h(rec, http::Request("GET", "/p"));
                }
            });
        });
        CHECK_MESSAGE(contains(child.err, ": GET /p: poison\n"), child.err);
        CHECK(count_of(child.err, ": GET /p: poison\n") < 500); // ten a second
    }

    TEST_CASE("query, form and header access") {
        http::Request r("POST", "/p%41th?a=1&b=two+words&a=3&bad=%zz&e%3D=%26", "f=1&a=body");
        CHECK(r.path() == "/pAth");
        CHECK(r.escaped_path() == "/p%41th");
        CHECK(r.query("a") == "1");
        CHECK(r.query("b") == "two words");
        CHECK(r.query("e=") == "&");
        CHECK(r.query("none") == "");
        CHECK(!r.has_query("bad"));
        CHECK(r.query_values().size() == 4);
        CHECK(r.form_value("f") == "");
        r.header().set("content-TYPE", "application/x-www-form-urlencoded; charset=utf-8");
        CHECK(r.form_value("f") == "1");
        CHECK(r.form_value("a") == "body");
        CHECK(r.form_value("b") == "two words");
        CHECK((*r.header().begin()).first == "Content-Type");
        r.header().add("X-Y", "1");
        r.header().add("x-y", "2\r\nEvil: 1");
        r.header().add("not valid", "x");
        CHECK(r.header().values("X-Y") == std::vector<std::string_view>{"1", "2  Evil: 1"});
        r.header().set("X-Y", r.header().get("X-Y"));
        CHECK(r.header().size() == 2);
        r.header().erase("x-Y");
        CHECK(!r.header().has("X-Y"));
    }

    TEST_CASE("content types are guessed") {
        CHECK(http::detect_content_type("hello") == "text/plain; charset=utf-8");
        CHECK(http::detect_content_type(" \n<HTML>") == "text/html; charset=utf-8");
        CHECK(http::detect_content_type("<!-- x") == "text/html; charset=utf-8");
        CHECK(http::detect_content_type("<?xml v") == "text/xml; charset=utf-8");
        CHECK(http::detect_content_type("\x89PNG\r\n\x1a\n...") == "image/png");
        CHECK(http::detect_content_type(std::string_view("a\0b", 3)) == "application/octet-stream");
    }

} // TEST_SUITE

TEST_SUITE("http server") {

    TEST_CASE("a small answer has its length, a date and a guessed type, and the connection stays open") {
        each_workers([] {
            Service s(hello);
            Reader r{s.dial()};
            for (int i = 0; i < 3; ++i) {
                r.conn.write(get("/"));
                std::string body;
                const std::string head = r.response(&body);
                CHECK(starts_with(head, "HTTP/1.1 200 OK\r\n"));
                CHECK(contains(head, "\r\nContent-Length: 6\r\n"));
                CHECK(contains(head, "\r\nContent-Type: text/plain; charset=utf-8\r\n"));
                CHECK(contains(head, "\r\nDate: "));
                CHECK(contains(head, " GMT\r\n"));
                CHECK(!contains(head, "Connection:"));
                CHECK(body == "hello\n");
            }
        });
    }

    TEST_CASE("handlers see the request as it was sent") {
        each_workers([] {
            Service s([](http::ResponseWriter& w, const http::Request& r) {
                w.header().set("X-Port", net::split_host_port(r.remote_addr()).host);
                w.write(r.method() + " " + r.path() + " " + std::string(r.raw_query()) + " " + r.host() + " " +
                        std::string(r.proto()) + " " + std::string(r.header("x-in")) + " " + r.body());
            });
            const std::string got =
                s.raw("POST /a%20b?q=1 HTTP/1.1\r\nHost: h:1\r\nX-In:  v \r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody");
            CHECK(body_of(got) == "POST /a b q=1 h:1 HTTP/1.1 v body");
            CHECK(contains(got, "X-Port: 127.0.0.1\r\n"));
            CHECK(contains(got, "Connection: close\r\n"));
            CHECK(body_of(s.raw("GET http://other:80/z?y HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")) ==
                  "GET /z y other:80 HTTP/1.1  ");
        });
    }

    TEST_CASE("pipelined requests are answered in order, however the bytes are cut") {
        each_workers([] {
            Service s([](http::ResponseWriter& w, const http::Request& r) { w.write(r.path() + r.body()); });
            std::string all;
            for (int i = 0; i < 20; ++i) {
                all += "\r\nPOST /" + std::to_string(i) +
                       " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=\"1\"\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: "
                       "x\r\n\r\n";
                all += "POST /n HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345";
            }
            for (std::size_t cut : {all.size(), std::size_t{1000}, std::size_t{7}}) {
                Reader r{s.dial()};
                weir::WaitGroup wg;
                wg.go([&] {
                    for (std::size_t at = 0; at < all.size(); at += cut) r.conn.write(all.substr(at, cut));
                });
                for (int i = 0; i < 20; ++i) {
                    std::string body;
                    r.response(&body);
                    CHECK(body == "/" + std::to_string(i) + "abcde");
                    r.response(&body);
                    CHECK(body == "/n12345");
                }
                wg.wait();
            }
        });
    }

    TEST_CASE("malformed requests are answered 400 and the connection is closed") {
        each_workers([] {
            std::atomic<int> handled{0};
            Service s([&](http::ResponseWriter& w, const http::Request&) {
                ++handled;
                w.write("x");
            });
            const std::vector<std::string> bad = {
                "GARBAGE\r\n\r\n",
                "GET\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: x\r\nBad Name: 1\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: x\r\nName : 1\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: x\nX: 1\r\n\r\n",
                "GET / HTTP/1.1\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
                "GET noslash HTTP/1.1\r\nHost: x\r\n\r\n",
                "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
                "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n0\r\n\r\n",
                std::string("GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n", 28),
                "\x16\x03\x01\x02\x01garbage of a TLS client",
            };
            for (const std::string& text : bad) {
                const std::string got = s.raw(text);
                CHECK_MESSAGE(starts_with(got, "HTTP/1.1 400 Bad Request\r\n"), text << " -> " << got);
                CHECK(contains(got, "Connection: close\r\n"));
                CHECK(starts_with(body_of(got), "400 Bad Request"));
            }
            CHECK(starts_with(s.raw("GET / HTTP/2.0\r\nHost: x\r\n\r\n"), "HTTP/1.1 505 "));
            CHECK(starts_with(s.raw("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n"), "HTTP/1.1 501 "));
            CHECK(starts_with(s.raw(get("/", "Expect: something\r\n")), "HTTP/1.1 417 "));
            CHECK(handled == 0);
            // An answer to a good request still goes out before the refusal of a bad one behind it.
            const std::string both = s.raw(get("/") + "BAD\r\n\r\n");
            CHECK(starts_with(both, "HTTP/1.1 200 OK"));
            CHECK(contains(both, "HTTP/1.1 400 Bad Request"));
            CHECK(handled == 1);
        });
    }

    TEST_CASE("requests with random damage are answered or dropped, and hurt nobody") {
        each_workers([] {
            Service s([](http::ResponseWriter& w, const http::Request& r) { w.write(r.body()); });
            const std::string good =
                "POST /a/b?c=d HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\nTransfer-Encoding: chunked\r\n\r\n"
                "5;x=\"y\"\r\nhello\r\nA\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n"
                "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc";
            std::uint32_t seed = 12345;
            const auto random = [&](std::size_t n) {
                seed = seed * 1664525 + 1013904223;
                return (seed >> 8) % n;
            };
            const std::string_view spice("\r\n \t:;,0fF\"%/\0\x80", 15);
            for (std::size_t i = 0; i < stress(600); ++i) {
                std::string text = good;
                for (std::size_t k = 0; k <= random(3); ++k) {
                    const std::size_t at = random(text.size());
                    if (random(3) == 0)
                        text.erase(at, 1 + random(8));
                    else if (random(2) == 0)
                        text.insert(at, 1 + random(3), spice[random(spice.size())]);
                    else
                        text[at] = spice[random(spice.size())];
                }
                net::Conn c = s.dial();
                const std::size_t cut = random(text.size());
                c.write(text.substr(0, cut));
                if (random(4) == 0) weir::yield();
                c.write(text.substr(cut));
                c.close_write();
                char buf[4096];
                std::string got;
                for (;;) {
                    auto [n, err] = c.read(buf);
                    got.append(buf, n);
                    if (!err) continue;
                    CHECK_MESSAGE(!err.timeout(), text);
                    break;
                }
                CHECK_MESSAGE((got.empty() || starts_with(got, "HTTP/1.")), text << " -> " << got);
            }
            Reader r{s.dial()};
            r.conn.write(get("/"));
            CHECK(starts_with(r.response(), "HTTP/1.1 200 OK"));
        });
    }

    TEST_CASE("a header over the limit is 431 and a body over the limit 413") {
        each_workers([] {
            Service s([](http::ResponseWriter& w, const http::Request& r) { w.write(std::to_string(r.body().size())); },
                      [](http::Server& srv) {
                          srv.max_header_bytes = 4096;
                          srv.max_body_bytes = 1000;
                      });
            CHECK(body_of(s.raw(get("/", "X: " + std::string(3000, 'a') + "\r\n" + kClose))) == "0");
            CHECK(starts_with(s.raw(get("/", "X: " + std::string(4100, 'a') + "\r\n")), "HTTP/1.1 431 "));
            CHECK(starts_with(s.raw("GET /" + std::string(100000, 'a')), "HTTP/1.1 431 "));
            // Many small fields, sent one by one, must not add up unseen.
            CHECK(in_some_try([&] {
                net::Conn slow = s.dial();
                slow.write("GET / HTTP/1.1\r\nHost: x\r\n");
                while (!slow.write("X-Field: " + std::string(90, 'b') + "\r\n").second) {
                    slow.set_read_deadline(Clock::now() + 1ms);
                    std::array<char, 256> buf{};
                    auto [n, err] = slow.read(buf);
                    if (n > 0) return starts_with(std::string(buf.data(), n), "HTTP/1.1 431 ");
                    if (!err.timeout()) return false; // reset, as in raw()
                }
                return false;
            }));
            const std::string post = "POST / HTTP/1.1\r\nHost: x\r\n" + kClose;
            CHECK(body_of(s.raw(post + "Content-Length: 1000\r\n\r\n" + std::string(1000, 'x'))) == "1000");
            CHECK(starts_with(s.raw(post + "Content-Length: 1001\r\n\r\n" + std::string(1001, 'x')), "HTTP/1.1 413 "));
            CHECK(starts_with(s.raw(post + "Content-Length: 99999999999\r\n\r\n"), "HTTP/1.1 413 "));
            CHECK(
                starts_with(s.raw(post + "Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + std::string(1001, 'x')), "HTTP/1.1 413 "));
            std::string chunks;
            for (int i = 0; i < 20; ++i) chunks += "64\r\n" + std::string(100, 'x') + "\r\n";
            CHECK(starts_with(s.raw(post + "Transfer-Encoding: chunked\r\n\r\n" + chunks), "HTTP/1.1 413 "));
            CHECK(starts_with(s.raw(post + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(5000, 'e')), "HTTP/1.1 400 "));
            CHECK(starts_with(s.raw(post + "Transfer-Encoding: chunked\r\n\r\n0\r\nT: " + std::string(5000, 'e')),
                              "HTTP/1.1 400 "));
        });
    }

    TEST_CASE("a body of a megabyte arrives whole, whole or in chunks") {
        each_workers([] {
            Service s([](http::ResponseWriter& w, const http::Request& r) { w.write(r.body()); });
            std::string big(1 << 20, '\0');
            for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>('a' + i * 31 % 26);
            auto [resp, err] = http::post(s.url("/"), "text/plain", big);
            CHECK_MESSAGE(!err, err.message());
            CHECK((resp.body == big));
            Reader r{s.dial()};
            weir::WaitGroup wg;
            wg.go([&] {
                r.conn.write("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
                for (std::size_t at = 0; at < big.size(); at += 4096) r.conn.write("1000\r\n" + big.substr(at, 4096) + "\r\n");
                r.conn.write("0\r\n\r\n");
            });
            std::string body;
            CHECK(contains(r.response(&body), "Transfer-Encoding: chunked"));
            CHECK((body == big));
            wg.wait();
        });
    }

    TEST_CASE("Expect: 100-continue is answered before the body, and not for one that is too large") {
        each_workers([] {
            Service s([](http::ResponseWriter& w, const http::Request& r) { w.write(r.body()); },
                      [](http::Server& srv) { srv.max_body_bytes = 10; });
            Reader r{s.dial()};
            r.conn.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
            CHECK(r.until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
            r.conn.write("body");
            std::string body;
            r.response(&body);
            CHECK(body == "body");
            CHECK(starts_with(s.raw("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n"),
                              "HTTP/1.1 413 "));
        });
    }

    TEST_CASE("HEAD has the header of GET and no body") {
        each_workers([] {
            Service s(hello);
            const std::string got = s.raw("HEAD / HTTP/1.1\r\nHost: x\r\n" + kClose + "\r\n");
            CHECK(contains(got, "Content-Length: 6\r\n"));
            CHECK(body_of(got).empty());
        });
    }

    TEST_CASE("HTTP/1.0 closes unless it asked to keep the connection, and gets no chunks") {
        each_workers([] {
            Service s([](http::ResponseWriter& w, const http::Request& r) {
                w.write("a");
                if (r.path() == "/stream") w.flush();
                w.write("b");
            });
            const std::string plain = s.raw("GET / HTTP/1.0\r\n\r\n");
            CHECK(starts_with(plain, "HTTP/1.0 200 OK\r\n"));
            CHECK(contains(plain, "Connection: close"));
            CHECK(body_of(plain) == "ab");
            const std::string stream = s.raw("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
            CHECK(!contains(stream, "chunked"));
            CHECK(body_of(stream) == "ab");
            Reader r{s.dial()};
            for (int i = 0; i < 2; ++i) {
                r.conn.write("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
                CHECK(contains(r.response(), "Connection: keep-alive"));
            }
        });
    }

    TEST_CASE("large and flushed bodies go out in chunks, a declared length is kept") {
        each_workers([] {
            const std::string big(100000, 'x');
            Service s([&](http::ResponseWriter& w, const http::Request& r) {
                if (r.path() == "/declared") w.header().set("Content-Length", std::to_string(big.size()));
                if (r.path() == "/flushed") {
                    w.write("first");
                    w.flush();
                    w.write("second");
                    return;
                }
                CHECK(w.write(big).first == big.size());
            });
            Reader r{s.dial()};
            std::string body;
            r.conn.write(get("/"));
            CHECK(contains(r.response(&body), "Transfer-Encoding: chunked"));
            CHECK((body == big));
            r.conn.write(get("/declared"));
            CHECK(contains(r.response(&body), "Content-Length: 100000\r\n"));
            CHECK((body == big));
            r.conn.write(get("/flushed"));
            CHECK(contains(r.response(&body), "Transfer-Encoding: chunked"));
            CHECK(body == "firstsecond");
        });
    }

    TEST_CASE("a response's misuse is caught") {
        each_workers([] {
            Service s([](http::ResponseWriter& w, const http::Request& r) {
                if (r.path() == "/none") {
                    w.write_header(204);
                    CHECK(w.write("x").second == http::kBodyNotAllowed);
                } else if (r.path() == "/more") {
                    w.header().set("Content-Length", "1");
                    CHECK(w.write("xy").second == http::kContentLength);
                    w.write("x");
                } else if (r.path() == "/less") {
                    w.header().set("Content-Length", "10");
                    w.write("x");
                } else if (r.path() == "/twice") {
                    w.write_header(201);
                    w.write_header(202);
                } else if (r.path() == "/code") {
                    CHECK(panic_text([&] { w.write_header(99); }) == "invalid WriteHeader code 99");
                } else if (r.path() == "/split") {
                    w.header().set("X-A", "1\r\nX-B: 2");
                } else if (r.path() == "/hints") {
                    w.header().set("Link", "</s.css>");
                    w.write_header(103);
                    w.write("done");
                }
            });
            CHECK(!contains(s.raw(get("/none", kClose)), "Content-Length"));
            CHECK(body_of(s.raw(get("/more", kClose))) == "x");
            CHECK(body_of(s.raw(get("/less"))) == "x"); // closed: the promise was broken
            CHECK(starts_with(s.raw(get("/twice", kClose)), "HTTP/1.1 201 Created\r\n"));
            CHECK(contains(s.log->text(), "http: superfluous response.WriteHeader call"));
            CHECK(starts_with(s.raw(get("/code", kClose)), "HTTP/1.1 200 OK\r\n"));
            CHECK(contains(s.raw(get("/split", kClose)), "X-A: 1  X-B: 2\r\n"));
            const std::string hints = s.raw(get("/hints", kClose));
            CHECK(starts_with(hints, "HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\nHTTP/1.1 200 OK\r\n"));
        });
    }

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

TEST_SUITE("http client") {

    TEST_CASE("get, post and do_request") {
        each_workers([] {
            Service s([](http::ResponseWriter& w, const http::Request& r) {
                w.header().set("X-Method", r.method());
                if (r.path() == "/missing") return http::not_found(w, r);
                if (r.path() == "/chunked") w.flush();
                if (r.path() == "/hints") w.write_header(103);
                w.write(std::string(r.header("Content-Type")) + "|" + r.body() + "|" + std::string(r.raw_query()));
            });
            auto [resp, err] = http::get(s.url("/a?x=1"));
            CHECK_MESSAGE(!err, err.message());
            CHECK(resp.status == 200);
            CHECK(resp.reason == "OK");
            CHECK(resp.header.get("x-method") == "GET");
            CHECK(resp.body == "||x=1");
            CHECK(http::post(s.url("/"), "text/x", "data").first.body == "text/x|data|");
            CHECK(http::get(s.url("/missing")).first.status == 404);
            CHECK(http::get(s.url("/chunked")).first.body == "||");
            CHECK(http::get(s.url("/hints")).first.body == "||");
            CHECK(http::get(s.url("")).first.status == 200);
            auto head = http::do_request(weir::background(), http::Request("HEAD", s.url("/")));
            CHECK(!head.second);
            CHECK(head.first.body.empty());
            CHECK(head.first.header.get("Content-Length") == "2");
        });
    }

    TEST_CASE("its errors are worded as Go's, and its context cuts it short") {
        each_workers([] {
            auto ln = net::listen("tcp", "127.0.0.1:0").first;
            const std::string url = "http://" + ln.addr().string() + "/";
            auto [ctx, cancel] = weir::with_cancel(weir::background());
            weir::WaitGroup wg;
            wg.go([&] {
                const Error err = http::do_request(ctx, http::Request("GET", url)).second;
                CHECK(err.is(weir::kCanceled));
                CHECK(err.message() == "Get \"" + url + "\": context canceled");
            });
            auto silent = ln.accept().first;
            std::array<char, 1> buf{};
            CHECK(silent.read(buf).first == 1); // the request is under way
            cancel();
            wg.wait();
            CHECK(http::Client{.timeout = 10ms}.get(url).second.is(weir::kDeadlineExceeded));
            ln.close();
            CHECK(http::get(url).second.message() ==
                  "Get \"" + url + "\": dial tcp " + ln.addr().string() + ": connect: connection refused");
            CHECK(http::get("ftp://x/").second.message() == "Get \"ftp://x/\": unsupported protocol scheme \"ftp\"");
            CHECK(http::get("/path").second);
        });
    }

    TEST_CASE("responses that end with the connection, lie about their length or are no HTTP") {
        each_workers([] {
            const auto answer = [](const std::string& text) {
                auto ln = net::listen("tcp", "127.0.0.1:0").first;
                weir::WaitGroup wg;
                wg.go([&] {
                    auto c = ln.accept().first;
                    std::array<char, 4096> buf{};
                    c.read(buf);
                    c.write(text);
                });
                auto result = http::get("http://" + ln.addr().string() + "/");
                wg.wait();
                return result;
            };
            CHECK(answer("HTTP/1.1 200 OK\r\n\r\nuntil the end").first.body == "until the end");
            CHECK(answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc").second.message().ends_with("unexpected EOF"));
            CHECK(answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab").second);
            CHECK(contains(answer("SSH-2.0-x\r\n\r\n").second.message(), "malformed HTTP response"));
            CHECK(answer("").second.message().ends_with("unexpected EOF"));
            CHECK(answer("HTTP/1.1 204 No Content\r\n\r\n").first.status == 204);
        });
    }

} // TEST_SUITE
