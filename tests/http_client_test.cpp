// The HTTP client.
#include "http_fixture.h"

#include <array>
#include <string>

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
