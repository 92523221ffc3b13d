#include "pattern.h"

#include <algorithm>

#include <weir/panic.h>

#include "text.h"
#include "url.h"

namespace weir::http::detail {

namespace {

using Kind = Segment::Kind;

std::string quote(std::string_view s) {
    std::string out = "\"";
    for (char c : s) {
        if (c == '"' || c == '\\') out.push_back('\\');
        out.push_back(c);
    }
    return out += '"';
}

bool is_identifier(std::string_view s) {
    if (s.empty() || is_digit(s.front())) return false;
    return std::all_of(s.begin(), s.end(), [](char c) { return is_alpha(c) || is_digit(c) || c == '_' || (c & 0x80) != 0; });
}

/// Parser holds the position for error messages.
class Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {}

    Pattern run() {
        std::string_view rest = text_;
        const std::size_t space = text_.find_first_of(" \t");
        if (space != std::string_view::npos) {
            pattern_.method = text_.substr(0, space);
            rest = text_.substr(std::min(text_.find_first_not_of(" \t", space), text_.size()));
            if (!pattern_.method.empty() && !is_token(pattern_.method)) fail("invalid method " + quote(pattern_.method));
            offset_ = space + 1;
        }
        const std::size_t slash = rest.find('/');
        if (slash == std::string_view::npos) fail("host/path missing /");
        pattern_.host = rest.substr(0, slash);
        if (const std::size_t brace = pattern_.host.find('{'); brace != std::string::npos) {
            offset_ += brace;
            fail("host contains '{' (missing initial '/'?)");
        }
        offset_ += slash;
        rest.remove_prefix(slash);
        if (!pattern_.method.empty() && pattern_.method != "CONNECT" && !is_clean_path(rest)) {
            fail("non-CONNECT pattern with unclean path can never match");
        }
        parse_path(rest);
        pattern_.text = text_;
        return std::move(pattern_);
    }

private:
    [[noreturn]] void fail(const std::string& what) const {
        panic("parsing " + quote(text_) + ": at offset " + std::to_string(offset_) + ": " + what);
    }

    void parse_path(std::string_view rest) {
        while (!rest.empty()) {
            rest.remove_prefix(1); // the slash
            offset_ = text_.size() - rest.size();
            if (rest.empty()) {
                pattern_.path.push_back({Kind::Rest, ""});
                return;
            }
            const std::string_view segment = rest.substr(0, rest.find('/'));
            rest.remove_prefix(segment.size());
            if (segment.find('{') == std::string_view::npos) {
                std::string literal;
                if (!unescape_path(segment, literal)) literal = segment;
                pattern_.path.push_back({Kind::Literal, std::move(literal)});
            } else {
                parse_wildcard(segment, rest.empty());
            }
        }
    }

    void parse_wildcard(std::string_view segment, bool last) {
        if (segment.front() != '{') fail("bad wildcard segment (must start with '{')");
        if (segment.back() != '}') fail("bad wildcard segment (must end with '}')");
        std::string_view name = segment.substr(1, segment.size() - 2);
        if (name == "$") {
            if (!last) fail("{$} not at end");
            pattern_.path.push_back({Kind::End, ""});
            return;
        }
        const bool rest = name.ends_with("...");
        if (rest) name.remove_suffix(3);
        if (rest && !last) fail("{...} wildcard not at end");
        if (name.empty()) fail("empty wildcard");
        if (!is_identifier(name)) fail("bad wildcard name " + quote(name));
        for (const Segment& s : pattern_.path) {
            if (s.kind == Kind::Wild && s.text == name) fail("duplicate wildcard name " + quote(name));
        }
        pattern_.path.push_back({rest ? Kind::Rest : Kind::Wild, std::string(name)});
    }

    std::string_view text_;
    std::size_t offset_ = 0;
    Pattern pattern_;
};

/// both combines the relations of two parts of a pattern.
Relation both(Relation a, Relation b) {
    const auto bits = static_cast<unsigned>(a) | static_cast<unsigned>(b);
    return (bits & kDisjoint) != 0 ? kDisjoint : static_cast<Relation>(bits);
}

Relation relate_methods(const Pattern& p, const Pattern& q) {
    if (p.method == q.method) return kEquivalent;
    if (p.method.empty()) return kMoreGeneral;
    if (q.method.empty()) return kMoreSpecific;
    if (p.method == "GET" && q.method == "HEAD") return kMoreGeneral;
    if (p.method == "HEAD" && q.method == "GET") return kMoreSpecific;
    return kDisjoint;
}

Relation relate_segments(const Segment& a, const Segment& b) {
    if (a.kind == b.kind) return a.kind != Kind::Literal || a.text == b.text ? kEquivalent : kDisjoint;
    if (a.kind == Kind::Rest) return kMoreGeneral;
    if (b.kind == Kind::Rest) return kMoreSpecific;
    if (a.kind == Kind::End || b.kind == Kind::End) return kDisjoint; // "{x}" does not match a trailing slash
    return a.kind == Kind::Wild ? kMoreGeneral : kMoreSpecific;
}

Relation relate_paths(const Pattern& p, const Pattern& q) {
    const std::size_t common = std::min(p.path.size(), q.path.size());
    Relation relation = kEquivalent;
    for (std::size_t i = 0; i < common; ++i) relation = both(relation, relate_segments(p.path[i], q.path[i]));
    if (p.path.size() == q.path.size()) return relation;
    // The shorter one must swallow the rest of the longer one.
    const Pattern& shorter = p.path.size() < q.path.size() ? p : q;
    if (!shorter.ends_in_rest()) return kDisjoint;
    return both(relation, &shorter == &p ? kMoreGeneral : kMoreSpecific);
}

void append_segment(std::string& out, const Segment& s) {
    out += '/';
    if (s.kind == Kind::Literal || s.kind == Kind::Wild) out += s.text;
}

/// common_path is a path that both match.
std::string common_path(const Pattern& p, const Pattern& q) {
    std::string out;
    for (std::size_t i = 0; i < std::max(p.path.size(), q.path.size()); ++i) {
        const bool from_p =
            i >= q.path.size() || (i < p.path.size() && (p.path[i].kind == Kind::Literal || p.path[i].kind == Kind::End));
        append_segment(out, from_p ? p.path[i] : q.path[i]);
    }
    return out;
}

/// difference_path is a path that p matches and q does not.
std::string difference_path(const Pattern& p, const Pattern& q) {
    std::string out;
    for (std::size_t i = 0; i < p.path.size(); ++i) {
        const Segment& a = p.path[i];
        if (i >= q.path.size() || q.path[i].kind == Kind::Rest) {
            append_segment(out, a);
            continue;
        }
        const Segment& b = q.path[i];
        if (a.kind == Kind::Rest) {
            // An empty rest, that is a trailing slash, tells them apart, unless q asks for exactly that.
            out += '/';
            if (b.kind == Kind::End) out += a.text.empty() ? "x" : a.text;
            return out;
        }
        if (a.kind == Kind::Wild && b.kind == Kind::Literal) {
            append_segment(out, {Kind::Literal, a.text != b.text ? a.text : b.text + "x"});
        } else {
            append_segment(out, a);
        }
    }
    return out;
}

std::string place(const Pattern& p) { return std::string(p.where.file_name()) + ":" + std::to_string(p.where.line()); }

std::string reason(const Pattern& p, const Pattern& q) {
    const Relation methods = relate_methods(p, q);
    const Relation paths = relate_paths(p, q);
    if (both(methods, paths) == kEquivalent) return p.text + " matches the same requests as " + q.text;
    if (paths == kOverlaps) {
        return p.text + " and " + q.text + " both match some paths, like " + quote(common_path(p, q)) +
               ".\nBut neither is more specific than the other.\n" + p.text + " matches " + quote(difference_path(p, q)) +
               ", but " + q.text + " doesn't.\n" + q.text + " matches " + quote(difference_path(q, p)) + ", but " + p.text +
               " doesn't.";
    }
    if (methods == kMoreGeneral)
        return p.text + " matches more methods than " + q.text + ", but has a more specific path pattern";
    return p.text + " matches fewer methods than " + q.text + ", but has a more general path pattern";
}

} // namespace

Pattern parse_pattern(std::string_view text, std::source_location where) {
    if (text.empty()) panic("http: invalid pattern");
    Pattern pattern = Parser(text).run();
    pattern.where = where;
    return pattern;
}

bool conflicts(const Pattern& p, const Pattern& q) {
    if (p.host != q.host) return false;
    const Relation relation = both(relate_methods(p, q), relate_paths(p, q));
    return relation == kEquivalent || relation == kOverlaps;
}

std::string describe_conflict(const Pattern& p, const Pattern& q) {
    return "pattern " + quote(p.text) + " (registered at " + place(p) + ") conflicts with pattern " + quote(q.text) +
           " (registered at " + place(q) + "):\n" + reason(p, q);
}

} // namespace weir::http::detail
