// The HTTP server against raw sockets: requests and answers, good and bad, and limits of size.
#include "http_fixture.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

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

} // TEST_SUITE
