// HTTP without a network: routing by Go 1.22's patterns, requests, what handlers are wrapped in.
#include "http_fixture.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

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
