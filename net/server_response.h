// ServerResponse: the ResponseWriter of a server's connection.
//
// Phases: Open (nothing chosen), Chosen (status and fields are in the out buffer, framing is not: the body is collected), Sent
// (the framing is written, the body follows). A body that stays small ends in Chosen, so that finish() knows its length.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <weir/http_response.h>

#include "conn_io.h"
#include "date.h"
#include "server_state.h"

namespace weir::http::detail {

class ServerResponse final : public ResponseWriter {
public:
    ServerResponse(OutBuffer& out, const Settings& settings, const ServerState& server)
        : out_(out), settings_(settings), server_(server) {}

    /// begin starts the answer to r. keep_alive: the connection may be used again afterwards.
    void begin(const Request& r, bool keep_alive);
    /// finish completes the answer in the out buffer; false when the connection cannot be used again.
    bool finish();

    Header& header() override { return header_; }
    void write_header(int code) override;
    std::pair<std::size_t, Error> write(ByteView bytes) override;
    void flush() override;
    bool reset() override;
    int status() const override { return status_; }

private:
    enum class Phase { Open, Chosen, Sent };

    void clear() noexcept;
    void put_status_line(int code);
    void put_field(std::string_view name, std::string_view value);
    void take_fields();
    void send_head(std::optional<std::uint64_t> length, std::string_view sample);
    void start_body(std::string_view next);
    void put_body(std::string_view bytes);
    bool body_allowed() const noexcept { return status_ >= 200 && status_ != kStatusNoContent && status_ != kStatusNotModified; }

    OutBuffer& out_;
    const Settings& settings_;
    const ServerState& server_;
    DateCache date_;
    Header header_;
    std::string body_; // collected until the length is known or it is too large
    Phase phase_ = Phase::Open;
    int status_ = 0;
    int minor_version_ = 1;
    bool head_ = false;  // answers a HEAD request
    bool close_ = false; // the connection ends with this response
    bool chunked_ = false;
    bool has_date_ = false;
    bool has_type_ = false;
    bool has_encoding_ = false;
    std::optional<std::uint64_t> declared_; // the handler's Content-Length
    std::uint64_t written_ = 0;
    std::size_t mark_ = 0; // where this response begins in out_.pending(), while out_.sent() is sent_mark_
    std::size_t sent_mark_ = 0;
};

} // namespace weir::http::detail
