#include <weir/http_request.h>

#include "request_access.h"
#include "text.h"
#include "url.h"

namespace weir::http {

using detail::RequestAccess;

namespace {

const std::string kEmpty;

/// find_pair looks for a key in "a=1&b=2"; the decoded value, or nothing.
std::optional<std::string> find_pair(std::string_view query, std::string_view key) {
    detail::QueryPairs pairs(query);
    std::string_view k;
    std::string_view v;
    std::string decoded;
    while (pairs.next(k, v)) {
        if (!detail::unescape_query(k, decoded) || decoded != key) continue;
        std::string value;
        if (detail::unescape_query(v, value)) return value;
    }
    return std::nullopt;
}

} // namespace

Request::Request(std::string_view method, std::string_view url, std::string_view body)
    : method_(method), target_(url), body_(body) {
    valid_ = detail::is_token(method) && RequestAccess::parse_target(*this) == nullptr;
}

std::string_view Request::escaped_path() const noexcept {
    if (path_size_ == 0 && path_ == "/") return "/"; // an absolute URL without a path
    return std::string_view(target_).substr(path_begin_, path_size_);
}
std::string_view Request::raw_query() const noexcept { return std::string_view(target_).substr(query_begin_, query_size_); }

std::string Request::query(std::string_view key) const { return find_pair(raw_query(), key).value_or(""); }
bool Request::has_query(std::string_view key) const { return find_pair(raw_query(), key).has_value(); }

std::vector<std::pair<std::string, std::string>> Request::query_values() const {
    std::vector<std::pair<std::string, std::string>> all;
    detail::QueryPairs pairs(raw_query());
    std::string_view k;
    std::string_view v;
    while (pairs.next(k, v)) {
        std::pair<std::string, std::string> pair;
        if (detail::unescape_query(k, pair.first) && detail::unescape_query(v, pair.second)) all.push_back(std::move(pair));
    }
    return all;
}

std::string Request::form_value(std::string_view key) const {
    const std::string_view type = header_.get("Content-Type");
    if (detail::equal_fold(detail::trim(type.substr(0, type.find(';'))), "application/x-www-form-urlencoded")) {
        if (auto value = find_pair(body_, key)) return *value;
    }
    return query(key);
}

const std::string& Request::path_value(std::string_view name) const noexcept {
    for (std::size_t i = 0; i < path_value_count_; ++i) {
        if (path_values_[i].first == name) return path_values_[i].second;
    }
    return kEmpty;
}

void Request::set_path_value(std::string_view name, std::string_view value) {
    for (std::size_t i = 0; i < path_value_count_; ++i) {
        if (path_values_[i].first != name) continue;
        path_values_[i].second = value;
        return;
    }
    RequestAccess::add_path_value(*this, name, value);
}

Context Request::context() const {
    if (context_) return *context_;
    if (source_) return source_->request_context(number_);
    return background();
}

Request Request::with_context(Context ctx) const {
    Request copy(*this);
    copy.context_ = std::move(ctx);
    return copy;
}

Request Request::with_path(std::string_view path) const {
    Request copy(*this);
    const std::string query(raw_query());
    copy.path_ = path;
    copy.target_ = detail::escape_path(path);
    copy.path_begin_ = 0;
    copy.path_size_ = copy.target_.size();
    if (!query.empty()) copy.target_.append("?").append(query);
    copy.query_begin_ = copy.target_.size() - query.size();
    copy.query_size_ = query.size();
    return copy;
}

namespace detail {

void RequestAccess::reset(Request& r) {
    constexpr std::size_t kKept = 16 << 10; // a large request must not stay in memory for the life of a connection
    r.host_.clear();
    r.header_.clear();
    r.body_.clear();
    if (r.body_.capacity() > kKept) std::string().swap(r.body_);
    if (r.target_.capacity() > kKept) std::string().swap(r.target_);
    r.pattern_.clear();
    r.path_value_count_ = 0;
    r.context_.reset();
}

void RequestAccess::set_line(Request& r, std::string_view method, std::string_view target, int minor_version) {
    r.method_ = method;
    r.target_ = target;
    r.minor_version_ = minor_version;
}

const char* RequestAccess::parse_target(Request& r) {
    const Target t = split_target(r.target_);
    const auto offset_of = [&](std::string_view part) {
        return part.data() == nullptr ? r.target_.size() : static_cast<std::size_t>(part.data() - r.target_.data());
    };
    r.path_begin_ = offset_of(t.path);
    r.path_size_ = t.path.size();
    r.query_begin_ = offset_of(t.query);
    r.query_size_ = t.query.size();
    r.scheme_ = t.scheme;
    r.host_ = t.host.empty() ? r.header_.get("Host") : t.host;
    if (r.method_ == "CONNECT" && t.scheme.empty() && (t.path.empty() || t.path.front() != '/')) {
        r.host_ = t.path;
        r.path_size_ = 0;
        r.path_.clear();
        return nullptr;
    }
    if (t.path.empty() && !t.scheme.empty()) {
        r.path_ = "/";
        return nullptr;
    }
    if (t.path.empty() || (t.path.front() != '/' && t.path != "*")) return "invalid request target";
    return unescape_path(t.path, r.path_) ? nullptr : "invalid URL escape";
}

void RequestAccess::connect(Request& r, std::shared_ptr<ContextSource> source, std::string remote_addr) {
    r.source_ = std::move(source);
    r.remote_addr_ = std::move(remote_addr);
}

void RequestAccess::set_pattern(const Request& r, std::string_view pattern) {
    r.pattern_ = pattern;
    r.path_value_count_ = 0;
}

void RequestAccess::add_path_value(const Request& r, std::string_view name, std::string_view value) {
    if (r.path_value_count_ == r.path_values_.size()) r.path_values_.emplace_back();
    auto& slot = r.path_values_[r.path_value_count_++];
    slot.first = name;
    slot.second = value;
}

} // namespace detail

} // namespace weir::http
