// http::Request: what a handler is given, and what a client sends.
//
//     mux.handle("GET /orders/{id}", [](http::ResponseWriter& w, const http::Request& r) {
//         auto order = store.find(r.context(), r.path_value("id"));
//         if (r.query("verbose") == "1") ...
//     });
//     http::Request req("POST", "http://host:8080/orders", R"({"item": "tea"})");      // for http::do_request
//
// A handler's Request is read, not changed, and belongs to the connection: references and views into it are valid until the
// handler returns. Copy it to keep it. Thread safety: const members may be called from several fibers at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <weir/context.h>
#include <weir/detail/config.h>
#include <weir/http_header.h>

namespace weir::http {

namespace detail {
struct RequestAccess;

/// ContextSource makes a request's context when somebody asks for it.
class ContextSource {
public:
    /// request_context is the context of request `number`, done already when that one is over.
    virtual Context request_context(std::uint64_t number) = 0;

protected:
    ~ContextSource() = default;
};
} // namespace detail

/// Request is one HTTP request. Copies share nothing but the context.
class WEIR_API Request {
public:
    Request() = default;
    /// A request for a client to send, or for a test to hand to a handler; url is absolute, or a path.
    Request(std::string_view method, std::string_view url, std::string_view body = {});

    const std::string& method() const noexcept { return method_; }
    /// path is decoded ("/a b" for "/a%20b"); escaped_path is as it was sent.
    const std::string& path() const noexcept { return path_; }
    std::string_view escaped_path() const noexcept;
    /// target is the whole request target as sent: path and query.
    const std::string& target() const noexcept { return target_; }
    /// host is the Host field, or the host of an absolute target, with its port.
    const std::string& host() const noexcept { return host_; }
    /// remote_addr is "IP:port" of the peer.
    const std::string& remote_addr() const noexcept { return remote_addr_; }
    /// proto is "HTTP/1.1" or "HTTP/1.0".
    std::string_view proto() const noexcept { return minor_version_ == 0 ? "HTTP/1.0" : "HTTP/1.1"; }

    /// query is the first decoded value of a key in the query string, or "".
    std::string query(std::string_view key) const;
    bool has_query(std::string_view key) const;
    /// query_values lists all pairs, decoded, in order; pairs with malformed escapes are left out (as Go's Query does).
    std::vector<std::pair<std::string, std::string>> query_values() const;
    std::string_view raw_query() const noexcept;
    /// form_value is the first value of a key in an application/x-www-form-urlencoded body, else in the query string.
    std::string form_value(std::string_view key) const;

    const Header& header() const noexcept { return header_; }
    Header& header() noexcept { return header_; }
    /// header(name) is the first value of that name, or "".
    std::string_view header(std::string_view name) const noexcept { return header_.get(name); }

    /// body is complete when the handler starts; the server refused it if it was larger than max_body_bytes.
    const std::string& body() const noexcept { return body_; }
    void set_body(std::string body) { body_ = std::move(body); }

    /// path_value is what the wildcard `name` of the Mux pattern matched, decoded; "" when there is none.
    const std::string& path_value(std::string_view name) const noexcept;
    void set_path_value(std::string_view name, std::string_view value);
    /// pattern is the Mux pattern that matched, or "".
    const std::string& pattern() const noexcept { return pattern_; }

    /// context is cancelled when the handler returns, when the peer goes away and when the server is closed (not by a graceful
    /// shutdown, as in Go). The first call of a request starts a fiber that watches the connection; requests that never ask pay
    /// nothing.
    Context context() const;
    /// with_context is a copy with another context, for middleware and clients.
    Request with_context(Context ctx) const;
    /// with_path is a copy with another decoded path, as strip_prefix makes it.
    Request with_path(std::string_view path) const;

private:
    friend struct detail::RequestAccess;

    std::string method_ = "GET";
    std::string target_ = "/";
    std::string path_ = "/";
    std::string scheme_;         // of an absolute URL
    std::size_t path_begin_ = 0; // where the path lies in target_
    std::size_t path_size_ = 1;
    std::size_t query_begin_ = 1;
    std::size_t query_size_ = 0;
    int minor_version_ = 1;
    bool valid_ = true; // false: the URL given to the constructor cannot be parsed
    std::string host_;
    std::string remote_addr_;
    Header header_;
    std::string body_;
    // Written by the Mux while it dispatches, before the handler that reads them runs.
    mutable std::string pattern_;
    mutable std::vector<std::pair<std::string, std::string>> path_values_;
    mutable std::size_t path_value_count_ = 0; // the rest of path_values_ is kept for its memory
    std::optional<Context> context_;
    std::shared_ptr<detail::ContextSource> source_;
    std::uint64_t number_ = 0; // which request of source_ this is
};

} // namespace weir::http
