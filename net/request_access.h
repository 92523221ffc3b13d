// RequestAccess: how the server, the client and the Mux fill in a Request.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <weir/http_request.h>

namespace weir::http::detail {

struct RequestAccess {
    /// reset empties r for the next request and keeps its memory.
    static void reset(Request& r);
    static void set_line(Request& r, std::string_view method, std::string_view target, int minor_version);
    static std::string& body(Request& r) noexcept { return r.body_; }
    static int minor_version(const Request& r) noexcept { return r.minor_version_; }

    /// parse_target fills path, query and host from the target and the Host field. Null, or what is wrong with the request.
    static const char* parse_target(Request& r);

    /// connect ties r to its connection; next_request starts a new context.
    static void connect(Request& r, std::shared_ptr<ContextSource> source, std::string remote_addr);
    static void next_request(Request& r) noexcept { ++r.number_; }
    static std::uint64_t number(const Request& r) noexcept { return r.number_; }

    static std::string_view scheme(const Request& r) noexcept { return r.scheme_; }
    static bool valid(const Request& r) noexcept { return r.valid_; }

    /// set_match records what a Mux pattern matched. `r` is const for the handler's sake; only its dispatching Mux calls this.
    static void set_pattern(const Request& r, std::string_view pattern);
    static void add_path_value(const Request& r, std::string_view name, std::string_view value);
};

} // namespace weir::http::detail
