#include <weir/http_client.h>

#include <optional>

#include <weir/chan.h>
#include <weir/net.h>

#include "conn_io.h"
#include "http_parser.h"
#include "request_access.h"
#include "text.h"
#include "url.h"

namespace weir::http {

using detail::RequestAccess;

namespace {

/// Collector makes a Response of what the parser finds.
class Collector final : public detail::MessageSink {
public:
    Response take() { return std::move(response_); }
    int status() const noexcept { return response_.status; }

private:
    void on_request_line(std::string_view, std::string_view, int) override {}
    void on_status_line(int status, std::string_view reason, int) override {
        response_ = Response{};
        response_.status = status;
        response_.reason = reason;
    }
    void on_field(std::string_view name, std::string_view value) override { response_.header.add(name, value); }
    void on_body_begin(std::optional<std::uint64_t>) override {}
    void on_body(std::string_view part) override { response_.body.append(part); }

    Response response_;
};

/// Interrupter cuts a connection short when ctx ends; on destruction it has let go of the connection.
class Interrupter {
public:
    Interrupter(const Context& ctx, net::Conn conn) {
        if (ctx.done() == nil) return;
        stop_.emplace(after_func(ctx, [conn, ended = ended_]() mutable {
            conn.set_deadline(std::chrono::steady_clock::time_point(std::chrono::nanoseconds(1)));
            ended.close();
        }));
    }
    ~Interrupter() {
        if (stop_ && !(*stop_)()) ended_.recv();
    }
    Interrupter(const Interrupter&) = delete;

private:
    chan<void> ended_;
    std::optional<StopFunc> stop_;
};

std::string to_text(const Request& r) {
    std::string target(r.escaped_path());
    if (target.empty()) target = "/";
    if (!r.raw_query().empty()) target.append("?").append(r.raw_query());
    std::string out = r.method() + " " + target + " HTTP/1.1\r\nHost: " + r.host() + "\r\nConnection: close\r\n";
    if (!r.header().has("User-Agent")) out += "User-Agent: weir-http-client/1.1\r\n";
    for (const auto [name, value] : r.header()) {
        if (name == "Host" || name == "Connection" || name == "Content-Length" || name == "Transfer-Encoding") continue;
        out.append(name).append(": ").append(value).append("\r\n");
    }
    if (!r.body().empty() || r.method() == "POST" || r.method() == "PUT" || r.method() == "PATCH") {
        out.append("Content-Length: ");
        detail::append_number(out, r.body().size());
        out.append("\r\n");
    }
    return out.append("\r\n").append(r.body());
}

/// read_response reads the final response; interim ones (1xx) are skipped.
std::pair<Response, Error> read_response(const net::Conn& conn, const detail::MessageLimits& limits, bool head) {
    Collector collector;
    detail::ResponseParser parser;
    detail::InBuffer in;
    const auto begin = [&] {
        parser.begin(collector, limits);
        if (head) parser.skip_body();
    };
    begin();
    for (;;) {
        std::size_t taken = 0;
        if (!in.empty()) {
            taken = parser.parse(in.data(), in.size());
            in.drop(taken);
            if (parser.error_status() != 0) return {Response(), errorf("malformed HTTP response: {}", parser.error_text())};
            if (parser.done()) {
                if (collector.status() >= 200 || collector.status() == kStatusSwitchingProtocols)
                    return {collector.take(), Error()};
                begin();
            }
        }
        if (taken > 0 && !in.empty()) continue;
        if (Error err = in.fill(conn)) {
            if (err != kEof) return {Response(), err};
            if (parser.end_of_input()) return {collector.take(), Error()};
            return {Response(), Error("unexpected EOF")};
        }
    }
}

std::pair<Response, Error> round_trip(const Context& ctx, const Request& r, const detail::MessageLimits& limits) {
    if (!RequestAccess::valid(r)) return {Response(), Error("invalid URL or method")};
    const std::string_view scheme = RequestAccess::scheme(r);
    if (!detail::equal_fold(scheme, "http")) return {Response(), errorf("unsupported protocol scheme \"{}\"", scheme)};
    if (r.host().empty()) return {Response(), Error("http: no Host in request URL")};
    const bool has_port = !net::split_host_port(r.host()).err;
    auto [conn, dial_error] = net::dial(ctx, "tcp", has_port ? r.host() : r.host() + ":80");
    if (dial_error) return {Response(), ctx.err() ? ctx.err() : dial_error};
    std::pair<Response, Error> result;
    {
        const Interrupter interrupter(ctx, conn);
        // A server that refuses a large body answers and closes before it has read it all: the answer counts.
        const Error write_error = conn.write(to_text(r)).second;
        result = read_response(conn, limits, r.method() == "HEAD");
        if (result.second && write_error) result.second = write_error;
    }
    conn.close();
    if (result.second && ctx.err()) result.second = ctx.err();
    return result;
}

/// word_error is Go's url.Error: `Get "http://host/": ...`.
Error word_error(const Request& r, const Error& err) {
    std::string op = r.method();
    for (std::size_t i = 1; i < op.size(); ++i) op[i] = detail::lower(op[i]);
    return errorf("{} \"{}\": {}", op, r.target(), wrap(err));
}

} // namespace

std::pair<Response, Error> Client::do_request(const Context& ctx, const Request& r) const {
    Context limited = ctx;
    CancelFunc cancel;
    if (timeout > std::chrono::nanoseconds(0)) std::tie(limited, cancel) = with_timeout(ctx, timeout);
    auto result = round_trip(limited, r, {.header = max_header_bytes, .body = max_body_bytes});
    cancel();
    if (result.second) result.second = word_error(r, result.second);
    return result;
}

std::pair<Response, Error> Client::get(std::string_view url) const { return do_request(background(), Request("GET", url)); }

std::pair<Response, Error> Client::post(std::string_view url, std::string_view content_type, std::string_view body) const {
    Request r("POST", url, body);
    r.header().set("Content-Type", content_type);
    return do_request(background(), r);
}

std::pair<Response, Error> get(std::string_view url) { return Client{}.get(url); }
std::pair<Response, Error> post(std::string_view url, std::string_view content_type, std::string_view body) {
    return Client{}.post(url, content_type, body);
}
std::pair<Response, Error> do_request(const Context& ctx, const Request& r) { return Client{}.do_request(ctx, r); }

} // namespace weir::http
