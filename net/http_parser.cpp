#include "http_parser.h"

#include <algorithm>
#include <limits>

#include <boost/beast/http/basic_parser.hpp>

#include "text.h"

namespace weir::http::detail {

namespace {

namespace beast = boost::beast;
namespace bhttp = boost::beast::http;

std::string_view view(beast::string_view s) noexcept { return {s.data(), s.size()}; }

/// Events hands Beast's callbacks to the sink, and refuses what Beast lets pass but a server must not.
template <bool kRequest>
class Events final : public bhttp::basic_parser<kRequest> {
public:
    explicit Events(MessageSink& sink) : sink_(sink) {}

    int refused_status() const noexcept { return refused_status_; }
    const char* refused_text() const noexcept { return refused_text_; }

private:
    using Error = beast::error_code;

    void refuse(int status, const char* text, Error& ec) {
        refused_status_ = status;
        refused_text_ = text;
        ec = bhttp::error::bad_value;
    }

    void on_request_impl(bhttp::verb, beast::string_view method, beast::string_view target, int version, Error&) override {
        minor_version_ = version % 10;
        sink_.on_request_line(view(method), view(target), minor_version_);
    }
    void on_response_impl(int status, beast::string_view reason, int version, Error&) override {
        minor_version_ = version % 10;
        sink_.on_status_line(status, view(reason), minor_version_);
    }
    void on_field_impl(bhttp::field name, beast::string_view text, beast::string_view value, Error& ec) override {
        if (header_over_) return; // trailers are checked and dropped
        if (name == bhttp::field::transfer_encoding) {
            // Any other coding hides where the body ends, and a proxy before us may see it differently: request smuggling.
            if (!equal_fold(trim(view(value)), "chunked")) return refuse(501, "unsupported transfer encoding", ec);
            if (minor_version_ == 0) return refuse(400, "transfer encoding in an HTTP/1.0 message", ec);
        }
        sink_.on_field(view(text), view(value));
    }
    void on_header_impl(Error&) override { header_over_ = true; }
    void on_body_init_impl(const boost::optional<std::uint64_t>& length, Error&) override {
        sink_.on_body_begin(length ? std::optional<std::uint64_t>(*length) : std::nullopt);
    }
    std::size_t on_body_impl(beast::string_view part, Error&) override {
        sink_.on_body(view(part));
        return part.size();
    }
    void on_chunk_header_impl(std::uint64_t, beast::string_view, Error&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view part, Error&) override {
        sink_.on_body(view(part));
        return part.size();
    }
    void on_finish_impl(Error&) override {}

    MessageSink& sink_;
    int minor_version_ = 1;
    bool header_over_ = false;
    int refused_status_ = 0;
    const char* refused_text_ = "";
};

/// other_version tells whether the first line ends in a well-formed version that is not ours, as "HTTP/2.0".
bool other_version(std::string_view data) noexcept {
    const std::string_view line = data.substr(0, data.find('\r'));
    const std::size_t at = line.rfind(' ') + 1;
    const std::string_view version = line.substr(std::min(at, line.size()));
    return version.size() == 8 && version.starts_with("HTTP/") && is_digit(version[5]) && version[6] == '.' &&
           is_digit(version[7]);
}

} // namespace

template <MessageKind kind>
struct MessageParser<kind>::Impl {
    std::optional<Events<kind == MessageKind::Request>> events;
};

template <MessageKind kind>
MessageParser<kind>::MessageParser() : impl_(std::make_unique<Impl>()) {}
template <MessageKind kind>
MessageParser<kind>::~MessageParser() = default;

template <MessageKind kind>
void MessageParser<kind>::begin(MessageSink& sink, const MessageLimits& limits) {
    auto& events = impl_->events.emplace(sink);
    // Beast applies its limit to each call alone and forgets the fields it has taken, so the header is counted here.
    events.header_limit(std::numeric_limits<std::uint32_t>::max());
    if (limits.body != 0) {
        events.body_limit(limits.body);
    } else {
        events.body_limit(boost::none);
    }
    limits_ = limits;
    header_bytes_ = 0;
    error_status_ = 0;
    error_text_.clear();
}

template <MessageKind kind>
std::size_t MessageParser<kind>::parse(const char* data, std::size_t size) {
    auto& events = *impl_->events;
    const bool in_header = !events.is_header_done();
    beast::error_code ec;
    const std::size_t taken = events.put(boost::asio::const_buffer(data, size), ec);
    const bool waiting = ec == bhttp::error::need_more;
    if (ec && !waiting) {
        error_status_ = 400;
        error_text_ = ec.message();
        if (events.refused_status() != 0) {
            error_status_ = events.refused_status();
            error_text_ = events.refused_text();
        } else if (ec == bhttp::error::body_limit) {
            error_status_ = 413;
        } else if (ec == bhttp::error::header_limit) {
            error_status_ = 431;
        } else if (ec == bhttp::error::bad_version && other_version({data, size})) {
            error_status_ = 505;
        }
        return taken;
    }
    // What is still waiting counts too: a field line, a chunk's extensions or trailers that never end must not fill the memory.
    header_bytes_ = in_header ? header_bytes_ + taken : 0;
    if (header_bytes_ + (waiting ? size - taken : 0) > limits_.header) {
        error_status_ = in_header ? 431 : 400;
        error_text_ = in_header ? "header too large" : "chunk header or trailer too large";
    }
    return taken;
}

template <MessageKind kind>
bool MessageParser<kind>::end_of_input() {
    if (!impl_->events->got_some()) return false;
    beast::error_code ec;
    impl_->events->put_eof(ec);
    return !ec && done();
}

template <MessageKind kind>
void MessageParser<kind>::skip_body() {
    impl_->events->skip(true);
}

template <MessageKind kind>
bool MessageParser<kind>::header_done() const noexcept {
    return impl_->events->is_header_done();
}

template <MessageKind kind>
bool MessageParser<kind>::done() const noexcept {
    return impl_->events->is_done();
}

template <MessageKind kind>
bool MessageParser<kind>::keep_alive() const {
    return impl_->events->keep_alive();
}

template <MessageKind kind>
std::optional<std::uint64_t> MessageParser<kind>::content_length() const {
    const auto length = impl_->events->content_length();
    return length ? std::optional<std::uint64_t>(*length) : std::nullopt;
}

template class MessageParser<MessageKind::Request>;
template class MessageParser<MessageKind::Response>;

} // namespace weir::http::detail
