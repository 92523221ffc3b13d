#include <weir/http_response.h>

#include <array>

#include "text.h"
#include "url.h"

namespace weir::http {

const Error kBodyNotAllowed{"http: request method or response status code does not allow body"};
const Error kContentLength{"http: wrote more than the declared Content-Length"};

void error(ResponseWriter& w, std::string_view text, int code) {
    Header& h = w.header();
    h.erase("Content-Length");
    h.set("Content-Type", "text/plain; charset=utf-8");
    h.set("X-Content-Type-Options", "nosniff");
    w.write_header(code);
    w.write(std::string(text) + "\n");
}

void not_found(ResponseWriter& w, const Request&) { error(w, "404 page not found", kStatusNotFound); }

namespace {

std::string escape_html(std::string_view text) {
    std::string out;
    for (char c : text) {
        switch (c) {
        case '&':
            out += "&amp;";
            break;
        case '<':
            out += "&lt;";
            break;
        case '>':
            out += "&gt;";
            break;
        case '"':
            out += "&#34;";
            break;
        case '\'':
            out += "&#39;";
            break;
        default:
            out += c;
        }
    }
    return out;
}

/// absolute_path makes a relative reference absolute, from the directory of `base`.
std::string absolute_path(std::string_view base, std::string_view url) {
    if (url.starts_with('/') || url.find("://") != std::string_view::npos) return std::string(url);
    const std::size_t query = url.find('?');
    const std::string_view path = url.substr(0, query);
    std::string out = detail::clean_path(std::string(base.substr(0, base.rfind('/') + 1)).append(path));
    return query == std::string_view::npos ? out : out.append(url.substr(query));
}

} // namespace

void redirect(ResponseWriter& w, const Request& r, std::string_view url, int code) {
    const std::string location = absolute_path(r.escaped_path(), url);
    Header& h = w.header();
    const bool had_type = h.has("Content-Type");
    const bool get = r.method() == "GET";
    h.set("Location", location);
    if (!had_type && (get || r.method() == "HEAD")) h.set("Content-Type", "text/html; charset=utf-8");
    w.write_header(code);
    if (!had_type && get) {
        w.write("<a href=\"" + escape_html(location) + "\">" + std::string(status_text(code)) + "</a>.\n\n");
    }
}

namespace {

struct Signature {
    std::string_view prefix;
    std::string_view type;
};

using namespace std::string_view_literals;

constexpr std::array kBinarySignatures{
    Signature{"%PDF-"sv, "application/pdf"sv},
    Signature{"\x89PNG\r\n\x1a\n"sv, "image/png"sv},
    Signature{"\xff\xd8\xff"sv, "image/jpeg"sv},
    Signature{"GIF87a"sv, "image/gif"sv},
    Signature{"GIF89a"sv, "image/gif"sv},
    Signature{"\0\0\x01\0"sv, "image/x-icon"sv},
    Signature{"\x1f\x8b\x08"sv, "application/x-gzip"sv},
    Signature{"PK\x03\x04"sv, "application/zip"sv},
    Signature{"\0asm"sv, "application/wasm"sv},
};

// Each must be followed by a space or '>'; matched without regard to case.
constexpr std::array kHtmlTags{
    "<!doctype html"sv, "<html"sv,  "<head"sv, "<script"sv, "<iframe"sv, "<h1"sv, "<div"sv, "<font"sv, "<table"sv, "<a"sv,
    "<style"sv,         "<title"sv, "<b"sv,    "<body"sv,   "<br"sv,     "<p"sv,  "<!--"sv};

bool is_html(std::string_view text) noexcept {
    for (std::string_view tag : kHtmlTags) {
        if (text.size() <= tag.size() || !detail::equal_fold(text.substr(0, tag.size()), tag)) continue;
        if (tag == "<!--" || text[tag.size()] == ' ' || text[tag.size()] == '>') return true;
    }
    return false;
}

bool is_binary(unsigned char c) noexcept {
    return c <= 0x08 || c == 0x0b || (c >= 0x0e && c <= 0x1a) || (c >= 0x1c && c <= 0x1f);
}

} // namespace

std::string_view detect_content_type(std::string_view data) noexcept {
    constexpr std::size_t kSniffed = 512;
    data = data.substr(0, kSniffed);
    for (const Signature& s : kBinarySignatures) {
        if (data.starts_with(s.prefix)) return s.type;
    }
    std::string_view text = data;
    while (!text.empty() && " \t\n\f\r"sv.find(text.front()) != std::string_view::npos) text.remove_prefix(1);
    if (is_html(text)) return "text/html; charset=utf-8";
    if (text.starts_with("<?xml")) return "text/xml; charset=utf-8";
    for (char c : data) {
        if (is_binary(static_cast<unsigned char>(c))) return "application/octet-stream";
    }
    return "text/plain; charset=utf-8";
}

} // namespace weir::http
