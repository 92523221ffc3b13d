// RequestParser and ResponseParser: HTTP/1.x messages out of bytes, whatever way they were cut. The only users of Boost.Beast.
//
//     parser.begin(sink, {.header = 1 << 20, .body = 10 << 20});
//     while (!parser.done()) {
//         n = parser.parse(data, size);                 // takes the first n bytes
//         if (parser.error_status() != 0) return refuse(parser);
//         ... drop n bytes, get more if it took none ...
//     }
//
// parse() stops after the header, so that the caller can look at it before the body comes. The parser reads no socket and
// keeps no bytes: what it did not take must be given again, with more behind it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace weir::http::detail {

/// MessageSink receives the parts of a message. Views are valid during the call only.
class MessageSink {
public:
    virtual void on_request_line(std::string_view method, std::string_view target, int minor_version) = 0;
    virtual void on_status_line(int status, std::string_view reason, int minor_version) = 0;
    virtual void on_field(std::string_view name, std::string_view value) = 0;
    /// on_body_begin says how long the body will be, when it is known.
    virtual void on_body_begin(std::optional<std::uint64_t> length) = 0;
    virtual void on_body(std::string_view part) = 0;

protected:
    ~MessageSink() = default;
};

/// MessageLimits: more than this is refused with 431 and 413.
struct MessageLimits {
    std::size_t header = 1 << 20;
    std::uint64_t body = 0; ///< 0: none
};

enum class MessageKind { Request, Response };

/// MessageParser parses one message at a time; begin() starts the next. Reusable without allocating.
template <MessageKind kind>
class MessageParser {
public:
    MessageParser();
    ~MessageParser();
    MessageParser(const MessageParser&) = delete;
    MessageParser& operator=(const MessageParser&) = delete;

    void begin(MessageSink& sink, const MessageLimits& limits);

    /// parse takes bytes and returns how many; 0 when it needs more behind them. Not to be called once done() or failed.
    std::size_t parse(const char* data, std::size_t size);
    /// end_of_input says that no more bytes will come; true when the message is complete with that.
    bool end_of_input();
    /// skip_body says, before parse(), that no body follows whatever the header says (the answer to a HEAD request).
    void skip_body();

    bool header_done() const noexcept;
    bool done() const noexcept;
    /// error_status is the status to answer with, 0 while all is well; error_text says what is wrong.
    int error_status() const noexcept { return error_status_; }
    const std::string& error_text() const noexcept { return error_text_; }

    bool keep_alive() const;                             // after header_done()
    std::optional<std::uint64_t> content_length() const; // after header_done()

private:
    struct Impl;

    std::unique_ptr<Impl> impl_;
    MessageLimits limits_;
    std::size_t header_bytes_ = 0; // taken before the header was complete
    int error_status_ = 0;
    std::string error_text_;
};

extern template class MessageParser<MessageKind::Request>;
extern template class MessageParser<MessageKind::Response>;
using RequestParser = MessageParser<MessageKind::Request>;
using ResponseParser = MessageParser<MessageKind::Response>;

} // namespace weir::http::detail
