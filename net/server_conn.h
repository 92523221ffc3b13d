// ServerConn: one connection of a Server and the fiber that serves it.
//
// Everything belongs to that fiber, except state_, index (the ServerState's) and what context_lock_ guards: the context of the
// running request, which any fiber may ask for.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <weir/clock.h>
#include <weir/context.h>
#include <weir/http_request.h>
#include <weir/mutex.h>
#include <weir/net.h>
#include <weir/waitgroup.h>

#include "conn_io.h"
#include "http_parser.h"
#include "server_response.h"
#include "server_state.h"

namespace weir::http::detail {

class ServerConn final : public ContextSource, public MessageSink, public std::enable_shared_from_this<ServerConn> {
public:
    ServerConn(net::Conn conn, std::shared_ptr<ServerState> server, std::shared_ptr<const Settings> settings);

    /// serve answers requests until the connection ends. The body of the connection's fiber.
    void serve();

    /// close_if_idle closes a connection that waits for a request; a new one that has sent nothing is given some seconds first.
    void close_if_idle();
    void close() { conn_.close(); }

    std::size_t index = 0; // guarded by the ServerState's lock: where it keeps this connection

private:
    using Clock = std::chrono::steady_clock;

    // The parts of serve(). Each says false when the connection is to be closed.
    bool await_request();
    bool wait_idle();
    bool read_request();
    bool check_header();
    bool answer();

    /// parse_some gives the parser what has been read, and reads more when that is not enough.
    bool parse_some();
    bool refuse(int status, std::string_view text);
    void linger();
    void skip_blank_lines() noexcept;
    void limit_read(Clock::time_point from, std::chrono::nanoseconds limit);
    void limit_write();
    void end_context();
    void abandoned();
    void log_panic(const Panic& panic) const;

    // MessageSink
    void on_request_line(std::string_view method, std::string_view target, int minor_version) override;
    void on_status_line(int, std::string_view, int) override {}
    void on_field(std::string_view name, std::string_view value) override;
    void on_body_begin(std::optional<std::uint64_t> length) override;
    void on_body(std::string_view part) override;

    // ContextSource
    Context request_context(std::uint64_t number) override;

    net::Conn conn_;
    std::shared_ptr<ServerState> server_;
    std::shared_ptr<const Settings> settings_;
    InBuffer in_;
    OutBuffer out_;
    RequestParser parser_;
    Request request_;
    ServerResponse response_;
    int host_fields_ = 0;
    bool read_limited_ = false;              // a read deadline is set
    Error read_error_;                       // how the last read failed
    Clock::time_point began_ = weir::now(); // when the connection, later the request, came

    std::atomic<ConnState> state_{ConnState::New};

    Mutex context_lock_;
    std::uint64_t running_ = 0;      // number of the request whose handler runs, 0: none; guarded by context_lock_
    std::optional<Context> context_; // of that request, once asked for; likewise
    CancelFunc cancel_;              // likewise
    WaitGroup watcher_;
};

} // namespace weir::http::detail
