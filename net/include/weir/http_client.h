// http::Client: sends requests, Go's net/http Client in small.
//
//     auto [resp, err] = http::get("http://127.0.0.1:8080/orders/7");
//     if (err) return err;
//     if (resp.status != http::kStatusOK) return errorf("order service: {}", resp.body);
//     auto [resp, err] = http::do_request(ctx, http::Request("DELETE", url));   // ctx limits and cancels it
//
// Only http, no https; one connection a request; the body is read whole; redirects are returned, not followed. Thread safety: a
// Client may be used by any number of fibers at once.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <weir/context.h>
#include <weir/detail/config.h>
#include <weir/error.h>
#include <weir/http_header.h>
#include <weir/http_request.h>
#include <weir/http_status.h>

namespace weir::http {

/// Response is what a server answered.
struct Response {
    int status = 0;     ///< 200, ...
    std::string reason; ///< the text beside the code, as the server sent it
    Header header;
    std::string body;
};

/// Client is an aggregate of limits. Every call blocks until the whole response is there.
struct WEIR_API Client {
    std::chrono::nanoseconds timeout = {}; ///< for a whole request; 0: none
    std::size_t max_header_bytes = 1 << 20;
    std::uint64_t max_body_bytes = 64 << 20; ///< of a response; 0: no limit

    std::pair<Response, Error> get(std::string_view url) const;
    std::pair<Response, Error> post(std::string_view url, std::string_view content_type, std::string_view body) const;
    /// do_request sends r, whose URL must be absolute. An error is worded as Go's: `Get "http://host/": dial tcp ...`; any status
    /// is no error.
    std::pair<Response, Error> do_request(const Context& ctx, const Request& r) const;
};

/// The same with a default Client.
WEIR_API std::pair<Response, Error> get(std::string_view url);
WEIR_API std::pair<Response, Error> post(std::string_view url, std::string_view content_type, std::string_view body);
WEIR_API std::pair<Response, Error> do_request(const Context& ctx, const Request& r);

} // namespace weir::http
