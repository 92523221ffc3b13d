// Percent-encoding, query strings and request targets, by the rules of Go's net/url.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace weir::http::detail {

/// unescape_path decodes %XX; false when an escape is malformed (`out` is then unspecified).
bool unescape_path(std::string_view in, std::string& out);

/// unescape_query decodes %XX and '+'; false when an escape is malformed.
bool unescape_query(std::string_view in, std::string& out);

/// escape_path encodes what a path may not contain.
std::string escape_path(std::string_view in);

/// clean_path makes a path absolute and resolves "//", "." and "..", keeping a trailing slash.
std::string clean_path(std::string_view path);
/// is_clean_path tells whether clean_path would leave the path alone; allocates nothing.
bool is_clean_path(std::string_view path) noexcept;

/// strip_host_port removes ":port" from "host:port"; a bracketed IPv6 address keeps its brackets off.
std::string_view strip_host_port(std::string_view host) noexcept;

/// QueryPairs walks "a=1&b=2": next() fills key and value, still escaped; pairs with a ';' are skipped, as in Go.
class QueryPairs {
public:
    explicit QueryPairs(std::string_view query) noexcept : rest_(query) {}
    bool next(std::string_view& key, std::string_view& value) noexcept;

private:
    std::string_view rest_;
};

/// Target is a request target or URL, cut into views of the text it was made from.
struct Target {
    std::string_view scheme; // "" for the origin form
    std::string_view host;
    std::string_view path; // still escaped; "*" and "" are possible
    std::string_view query;
};

/// split_target cuts "/path?query", "http://host/path?query" and "*". A fragment is dropped.
Target split_target(std::string_view text) noexcept;

} // namespace weir::http::detail
