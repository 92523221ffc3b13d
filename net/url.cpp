#include "url.h"

#include <vector>

#include "text.h"

namespace weir::http::detail {

namespace {

int hex(char c) noexcept {
    if (is_digit(c)) return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool unescape(std::string_view in, std::string& out, bool plus_is_space) {
    out.clear();
    if (in.find('%') == std::string_view::npos && (!plus_is_space || in.find('+') == std::string_view::npos)) {
        out.assign(in);
        return true;
    }
    out.reserve(in.size());
    for (std::size_t i = 0; i < in.size(); ++i) {
        if (in[i] == '%') {
            if (i + 2 >= in.size() || hex(in[i + 1]) < 0 || hex(in[i + 2]) < 0) return false;
            out.push_back(static_cast<char>(hex(in[i + 1]) * 16 + hex(in[i + 2])));
            i += 2;
        } else {
            out.push_back(plus_is_space && in[i] == '+' ? ' ' : in[i]);
        }
    }
    return true;
}

} // namespace

bool unescape_path(std::string_view in, std::string& out) { return unescape(in, out, false); }
bool unescape_query(std::string_view in, std::string& out) { return unescape(in, out, true); }

std::string escape_path(std::string_view in) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    std::string out;
    for (char c : in) {
        if (is_alpha(c) || is_digit(c) || std::string_view("-_.~$&+,/:;=@!*'()").find(c) != std::string_view::npos) {
            out.push_back(c);
        } else {
            const auto u = static_cast<unsigned char>(c);
            out.push_back('%');
            out.push_back(kHex[u >> 4]);
            out.push_back(kHex[u & 15]);
        }
    }
    return out;
}

bool is_clean_path(std::string_view path) noexcept {
    if (path.empty() || path.front() != '/') return false;
    for (std::size_t i = 0; i < path.size(); ++i) {
        if (path[i] != '/') continue;
        const std::string_view rest = path.substr(i + 1);
        const std::string_view segment = rest.substr(0, rest.find('/'));
        if (segment == "." || segment == ".." || (segment.empty() && !rest.empty())) return false;
    }
    return true;
}

std::string clean_path(std::string_view path) {
    std::vector<std::string_view> kept;
    std::string_view rest = path;
    bool slash_at_end = path.empty();
    while (!rest.empty()) {
        const std::size_t slash = rest.find('/');
        const std::string_view segment = rest.substr(0, slash);
        rest = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
        slash_at_end = slash != std::string_view::npos && rest.empty();
        if (segment.empty() || segment == ".") continue;
        if (segment != "..") {
            kept.push_back(segment);
        } else if (!kept.empty()) {
            kept.pop_back();
        }
    }
    std::string out;
    for (std::string_view segment : kept) out.append("/").append(segment);
    if (out.empty() || slash_at_end) out.push_back('/');
    return out;
}

std::string_view strip_host_port(std::string_view host) noexcept {
    const std::size_t colon = host.rfind(':');
    if (colon == std::string_view::npos) return host;
    if (host.front() == '[') {
        const std::size_t bracket = host.find(']');
        return bracket == std::string_view::npos ? host : host.substr(1, bracket - 1);
    }
    return host.find(':') == colon ? host.substr(0, colon) : host;
}

bool QueryPairs::next(std::string_view& key, std::string_view& value) noexcept {
    while (!rest_.empty()) {
        const std::size_t amp = rest_.find('&');
        const std::string_view pair = rest_.substr(0, amp);
        rest_ = amp == std::string_view::npos ? std::string_view{} : rest_.substr(amp + 1);
        if (pair.empty() || pair.find(';') != std::string_view::npos) continue;
        const std::size_t equals = pair.find('=');
        key = pair.substr(0, equals);
        value = equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1);
        return true;
    }
    return false;
}

Target split_target(std::string_view text) noexcept {
    Target t;
    text = text.substr(0, text.find('#'));
    const std::size_t query = text.find('?');
    if (query != std::string_view::npos) {
        t.query = text.substr(query + 1);
        text = text.substr(0, query);
    }
    const std::size_t scheme = text.find("://");
    if (!text.empty() && text.front() != '/' && scheme != std::string_view::npos) {
        t.scheme = text.substr(0, scheme);
        text = text.substr(scheme + 3);
        const std::size_t slash = text.find('/');
        t.host = text.substr(0, slash);
        text = slash == std::string_view::npos ? std::string_view{} : text.substr(slash);
    }
    t.path = text;
    return t;
}

} // namespace weir::http::detail
