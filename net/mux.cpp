#include <weir/http_mux.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <set>
#include <string>
#include <unordered_map>

#include <weir/panic.h>
#include <weir/rwmutex.h>

#include "pattern.h"
#include "request_access.h"
#include "url.h"

namespace weir::http {

using detail::Pattern;
using detail::RequestAccess;
using detail::Segment;

namespace {

struct Entry {
    Pattern pattern;
    Handler handler;
};

struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const noexcept { return std::hash<std::string_view>{}(s); }
};

/// Node is a place in a tree of path segments. A literal child is tried first, then the wildcard, then the rest: since
/// conflicting patterns are refused, whatever is found in that order is the most specific match.
struct Node {
    std::unordered_map<std::string, std::unique_ptr<Node>, TextHash, std::equal_to<>> literal;
    std::unique_ptr<Node> wild;
    const Entry* rest = nullptr; // everything that follows
    const Entry* end = nullptr;  // a slash and nothing more
    const Entry* here = nullptr; // nothing more

    void add(const Entry& entry, std::size_t i = 0) {
        if (i == entry.pattern.path.size()) {
            here = &entry;
            return;
        }
        const Segment& s = entry.pattern.path[i];
        switch (s.kind) {
        case Segment::Kind::Rest:
            rest = &entry;
            return;
        case Segment::Kind::End:
            end = &entry;
            return;
        case Segment::Kind::Wild:
            return child(wild).add(entry, i + 1);
        case Segment::Kind::Literal:
            return child(literal[s.text]).add(entry, i + 1);
        }
    }

private:
    static Node& child(std::unique_ptr<Node>& slot) {
        if (!slot) slot = std::make_unique<Node>();
        return *slot;
    }
};

/// Capture is a path segment that a wildcard took; the list of them lives on the stack of the search.
struct Capture {
    std::string_view text;
    const Capture* before;
};

std::string unescaped(std::string_view text) {
    std::string out;
    return detail::unescape_path(text, out) ? out : std::string(text);
}

/// record gives the request its pattern and path values; `rest` is what a final "{name...}" took.
void record(const Entry& entry, const Capture* last, std::string_view rest, const Request& r) {
    RequestAccess::set_pattern(r, entry.pattern.text);
    const auto& path = entry.pattern.path;
    for (auto s = path.rbegin(); s != path.rend(); ++s) {
        if (s->kind == Segment::Kind::Rest && !s->text.empty()) {
            RequestAccess::add_path_value(r, s->text, unescaped(rest));
        } else if (s->kind == Segment::Kind::Wild) {
            RequestAccess::add_path_value(r, s->text, unescaped(last->text));
            last = last->before;
        }
    }
}

/// find looks for the rest of an escaped path below node. `r`, when given, is told the match.
const Entry* find(const Node& node, std::string_view path, const Capture* captures, const Request* r) {
    const auto found = [&](const Entry* entry, std::string_view rest = {}) {
        if (entry != nullptr && r != nullptr) record(*entry, captures, rest, *r);
        return entry;
    };
    if (path.empty()) return found(node.here);
    if (path == "/") return found(node.end != nullptr ? node.end : node.rest);
    const std::string_view after_slash = path.substr(1);
    const std::string_view segment = after_slash.substr(0, after_slash.find('/'));
    const std::string_view rest = after_slash.substr(segment.size());
    if (!node.literal.empty()) {
        const bool escaped = segment.find('%') != std::string_view::npos;
        const auto child = escaped ? node.literal.find(unescaped(segment)) : node.literal.find(segment);
        if (child != node.literal.end()) {
            if (const Entry* e = find(*child->second, rest, captures, r)) return e;
        }
    }
    if (node.wild) {
        const Capture capture{segment, captures};
        if (const Entry* e = find(*node.wild, rest, &capture, r)) return e;
    }
    return found(node.rest, after_slash);
}

/// exact: the match did not need a "rest" to swallow anything.
bool exact(const Entry* entry, std::string_view path) {
    if (entry == nullptr) return false;
    if (!entry->pattern.ends_in_rest()) return true;
    return path.ends_with('/') &&
           static_cast<std::size_t>(std::count(path.begin(), path.end(), '/')) == entry->pattern.path.size();
}

} // namespace

struct Mux::State {
    using ByMethod = std::map<std::string, Node, std::less<>>; // "" matches any method

    mutable RWMutex lock;
    std::deque<Entry> entries;                            // never removed: handlers run without the lock
    std::map<std::string, ByMethod, std::less<>> by_host; // "" matches any host

    const Entry* match(std::string_view host, std::string_view method, std::string_view path, const Request* r) const {
        if (!host.empty()) {
            if (const Entry* e = match_host(host, method, path, r)) return e;
        }
        return match_host("", method, path, r);
    }

    std::set<std::string> allowed(std::string_view host, std::string_view path) const {
        std::set<std::string> methods;
        const std::string with_slash = std::string(path) + "/";
        for (std::string_view h : {host, std::string_view()}) {
            const auto by_method = by_host.find(h);
            if (by_method == by_host.end()) continue;
            for (const auto& [method, root] : by_method->second) {
                const bool hit = find(root, path, nullptr, nullptr) != nullptr ||
                                 (!path.ends_with('/') && find(root, with_slash, nullptr, nullptr) != nullptr);
                if (hit && !method.empty()) methods.insert(method);
            }
        }
        if (methods.contains("GET")) methods.insert("HEAD");
        return methods;
    }

private:
    const Entry* match_host(std::string_view host, std::string_view method, std::string_view path, const Request* r) const {
        const auto by_method = by_host.find(host);
        if (by_method == by_host.end()) return nullptr;
        const auto try_method = [&](std::string_view m) -> const Entry* {
            const auto root = by_method->second.find(m);
            return root == by_method->second.end() ? nullptr : find(root->second, path, nullptr, r);
        };
        if (const Entry* e = try_method(method)) return e;
        if (method == "HEAD") {
            if (const Entry* e = try_method("GET")) return e;
        }
        return try_method("");
    }
};

Mux::Mux() : state_(std::make_shared<State>()) {}

void Mux::handle(std::string_view text, Handler handler, std::source_location where) const {
    if (!handler) panic("http: nil handler");
    Pattern pattern = detail::parse_pattern(text, where);
    std::string conflict;
    {
        std::lock_guard hold(state_->lock);
        const auto other = std::find_if(state_->entries.begin(), state_->entries.end(),
                                        [&](const Entry& e) { return detail::conflicts(pattern, e.pattern); });
        if (other == state_->entries.end()) {
            const Entry& entry = state_->entries.emplace_back(Entry{std::move(pattern), std::move(handler)});
            state_->by_host[entry.pattern.host][entry.pattern.method].add(entry);
            return;
        }
        conflict = detail::describe_conflict(pattern, other->pattern);
    }
    panic(conflict);
}

namespace {

void redirect_to(ResponseWriter& w, const Request& r, std::string path) {
    if (!r.raw_query().empty()) path.append("?").append(r.raw_query());
    redirect(w, r, path, kStatusTemporaryRedirect);
}

} // namespace

void Mux::operator()(ResponseWriter& w, const Request& r) const {
    if (r.target() == "*") {
        w.header().set("Connection", "close");
        w.write_header(kStatusBadRequest);
        return;
    }
    const bool connect = r.method() == "CONNECT"; // its path is not cleaned and its host keeps the port
    const std::string_view host = connect ? std::string_view(r.host()) : detail::strip_host_port(r.host());
    const bool clean = connect || detail::is_clean_path(r.escaped_path());
    const std::string cleaned = clean ? std::string() : detail::clean_path(r.escaped_path());
    const std::string_view path = clean ? r.escaped_path() : std::string_view(cleaned);

    const Entry* entry;
    bool add_slash = false;
    std::set<std::string> allowed;
    {
        std::shared_lock hold(state_->lock);
        entry = state_->match(host, r.method(), path, &r);
        if (!exact(entry, path) && !path.ends_with('/') && !path.empty()) {
            const std::string with_slash = std::string(path) + "/";
            add_slash = exact(state_->match(host, r.method(), with_slash, nullptr), with_slash);
        }
        if (entry == nullptr && !add_slash && clean) allowed = state_->allowed(host, path);
    }
    if (add_slash) return redirect_to(w, r, std::string(path) + "/");
    if (!clean) return redirect_to(w, r, cleaned);
    if (entry != nullptr) return entry->handler(w, r);
    if (allowed.empty()) return not_found(w, r);
    std::string allow;
    for (const std::string& method : allowed) allow.append(allow.empty() ? "" : ", ").append(method);
    w.header().set("Allow", allow);
    error(w, status_text(kStatusMethodNotAllowed), kStatusMethodNotAllowed);
}

Mux& default_mux() {
    static Mux mux;
    return mux;
}

void handle(std::string_view pattern, Handler handler, std::source_location where) {
    default_mux().handle(pattern, std::move(handler), where);
}

Handler strip_prefix(std::string_view prefix, Handler handler) {
    return [prefix = std::string(prefix), handler = std::move(handler)](ResponseWriter& w, const Request& r) {
        if (!r.path().starts_with(prefix)) return not_found(w, r);
        handler(w, r.with_path(std::string_view(r.path()).substr(prefix.size())));
    };
}

} // namespace weir::http
