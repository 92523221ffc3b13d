#include "server_response.h"

#include <weir/panic.h>

#include "request_access.h"
#include "text.h"

namespace weir::http::detail {

namespace {

constexpr std::size_t kCollected = 8 << 10; // a body up to this size gets its Content-Length by itself
constexpr std::size_t kFlushed = 16 << 10;  // pending output beyond this size is sent at once

} // namespace

void ServerResponse::begin(const Request& r, bool keep_alive) {
    clear();
    minor_version_ = RequestAccess::minor_version(r);
    head_ = r.method() == "HEAD";
    close_ = !keep_alive;
    mark_ = out_.pending().size();
    sent_mark_ = out_.sent();
}

void ServerResponse::clear() noexcept {
    header_.clear();
    body_.clear();
    phase_ = Phase::Open;
    status_ = 0;
    chunked_ = has_date_ = has_type_ = has_encoding_ = false;
    declared_.reset();
    written_ = 0;
}

bool ServerResponse::reset() {
    if (out_.sent() != sent_mark_ || out_.error()) return false;
    out_.pending().resize(mark_);
    clear();
    return true;
}

void ServerResponse::put_status_line(int code) {
    std::string& out = out_.pending();
    out.append(minor_version_ == 0 ? "HTTP/1.0 " : "HTTP/1.1 ");
    append_number(out, code);
    const std::string_view text = status_text(code);
    out.append(" ").append(text.empty() ? "status code " : text);
    if (text.empty()) append_number(out, code);
    out.append("\r\n");
}

void ServerResponse::put_field(std::string_view name, std::string_view value) {
    out_.pending().append(name).append(": ").append(value).append("\r\n");
}

/// take_fields copies the handler's fields to the output, save those that the framing decides.
void ServerResponse::take_fields() {
    for (const auto [name, value] : header_) {
        if (name == "Content-Length") {
            declared_ = parse_number(value);
            if (!declared_) log(settings_, "http: invalid Content-Length of " + std::string(value));
            continue;
        }
        if (name == "Transfer-Encoding") continue;
        if (name == "Connection" && list_contains(value, "close")) {
            close_ = true;
            continue;
        }
        has_date_ |= name == "Date";
        has_type_ |= name == "Content-Type";
        has_encoding_ |= name == "Content-Encoding";
        put_field(name, value);
    }
}

void ServerResponse::write_header(int code) {
    if (code < 100 || code > 999) panic("invalid WriteHeader code " + std::to_string(code));
    if (phase_ != Phase::Open) {
        log(settings_, "http: superfluous response.WriteHeader call");
        return;
    }
    if (code < 200 && code != kStatusSwitchingProtocols) {
        put_status_line(code);
        for (const auto [name, value] : header_) put_field(name, value);
        out_.pending().append("\r\n");
        out_.flush();
        mark_ = 0; // an interim response cannot be taken back, but what follows it can
        sent_mark_ = out_.sent();
        return;
    }
    status_ = code;
    phase_ = Phase::Chosen;
    put_status_line(code);
    take_fields();
}

/// send_head ends the header. Without a length the body goes out in chunks, or, to an HTTP/1.0 client, until the connection
/// closes. `sample` is how the body begins, for its type to be guessed.
void ServerResponse::send_head(std::optional<std::uint64_t> length, std::string_view sample) {
    std::string& out = out_.pending();
    if (!has_date_) put_field("Date", date_.now());
    if (body_allowed()) {
        if (!has_type_ && !has_encoding_ && !sample.empty()) put_field("Content-Type", detect_content_type(sample));
        if (declared_) length = declared_;
        if (length) {
            out.append("Content-Length: ");
            append_number(out, *length);
            out.append("\r\n");
        } else if (minor_version_ == 1 && !head_) {
            chunked_ = true;
            out.append("Transfer-Encoding: chunked\r\n");
        } else if (!head_) {
            close_ = true;
        }
    }
    close_ |= server_.closing();
    if (close_) {
        out.append("Connection: close\r\n");
    } else if (minor_version_ == 0) {
        out.append("Connection: keep-alive\r\n");
    }
    out.append("\r\n");
    phase_ = Phase::Sent;
}

/// start_body sends what was collected; `next` is what comes behind it.
void ServerResponse::start_body(std::string_view next) {
    send_head(std::nullopt, body_.empty() ? next : std::string_view(body_));
    put_body(body_);
    body_.clear();
}

void ServerResponse::put_body(std::string_view bytes) {
    if (head_ || bytes.empty()) return;
    std::string& out = out_.pending();
    if (chunked_) {
        append_number(out, bytes.size(), 16);
        out.append("\r\n");
    }
    if (bytes.size() >= kFlushed) {
        out_.flush_with(bytes);
    } else {
        out.append(bytes);
    }
    if (chunked_) out.append("\r\n");
    if (out.size() >= kFlushed) out_.flush();
}

std::pair<std::size_t, Error> ServerResponse::write(ByteView bytes) {
    if (phase_ == Phase::Open) write_header(kStatusOK);
    if (!body_allowed()) return {0, bytes.empty() ? Error() : kBodyNotAllowed};
    if (declared_ && written_ + bytes.size() > *declared_) return {0, kContentLength};
    written_ += bytes.size();
    if (phase_ == Phase::Chosen) {
        if (body_.size() + bytes.size() <= kCollected) {
            body_.append(bytes.text());
            return {bytes.size(), Error()};
        }
        start_body(bytes.text());
    }
    put_body(bytes.text());
    if (out_.error()) return {0, out_.error()};
    return {bytes.size(), Error()};
}

void ServerResponse::flush() {
    if (phase_ == Phase::Open) write_header(kStatusOK);
    if (phase_ == Phase::Chosen) start_body({});
    out_.flush();
}

bool ServerResponse::finish() {
    if (phase_ == Phase::Open) write_header(kStatusOK);
    if (phase_ == Phase::Chosen) {
        // A HEAD handler that wrote nothing has not said how long the body would be.
        const bool unknown = head_ && written_ == 0;
        send_head(unknown ? std::nullopt : std::optional<std::uint64_t>(written_), body_);
        if (!head_) out_.pending().append(body_);
    } else if (chunked_) {
        out_.pending().append("0\r\n\r\n");
    }
    // The peer waits for bytes that will not come: only closing tells it.
    if (declared_ && written_ < *declared_ && !head_ && body_allowed()) close_ = true;
    if (out_.pending().size() >= kFlushed) out_.flush();
    return !close_ && !out_.error();
}

} // namespace weir::http::detail
