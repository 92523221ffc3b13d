#include "server_conn.h"

#include <mutex>

#include <weir/defer.h>
#include <weir/go.h>
#include <weir/on_abandon.h>
#include <weir/panic.h>

#include "request_access.h"
#include "socket.h"
#include "text.h"

namespace weir::http::detail {

using namespace std::chrono_literals;

ServerConn::ServerConn(net::Conn conn, std::shared_ptr<ServerState> server, std::shared_ptr<const Settings> settings)
    : conn_(conn), server_(std::move(server)), settings_(std::move(settings)), out_(std::move(conn)),
      response_(out_, *settings_, *server_) {}

void ServerConn::serve() {
    OnAbandon stranded{[self = shared_from_this()] { self->abandoned(); }};
    // A defer: a handler may end the fiber with goexit().
    defer leave{[this] {
        end_context();
        out_.flush();
        conn_.close();
        RequestAccess::connect(request_, nullptr, "");
        server_->remove_conn(*this);
    }};
    RequestAccess::connect(request_, shared_from_this(), conn_.remote_addr().string());
    while (await_request() && read_request() && answer()) {
    }
}

/// abandoned ends the connection for its fiber, which stands in a handler for ever: on another fiber, with what is not on that one's stack.
void ServerConn::abandoned() {
    bool answering = false;
    {
        std::lock_guard hold(context_lock_);
        answering = running_ != 0;
    }
    end_context();
    net::detail::Fd& fd = net::detail::SocketAccess::of(conn_).fd;
    // When it crashed inside an operation, that will never let go of the descriptor: the peer can be told, but closing would wait for ever.
    const bool stuck = fd.in_use();
    if (answering && !stuck && response_.reset()) refuse(kStatusInternalServerError, "");
    int ignored = 0;
    fd.shutdown(SHUT_RDWR, ignored);
    server_->remove_conn(*this);
    if (!stuck) conn_.close();
}

void ServerConn::close_if_idle() {
    constexpr auto kPatience = 5s; // Go's: a new connection is about to send its request
    ConnState seen = state_.load(std::memory_order_relaxed);
    const bool idle = seen == ConnState::Idle || (seen == ConnState::New && weir::now() - began_ > kPatience);
    // acq_rel: pairs with wait_idle(); one of the two wins the connection.
    if (idle && state_.compare_exchange_strong(seen, ConnState::Closing, std::memory_order_acq_rel)) conn_.close();
}

void ServerConn::limit_read(Clock::time_point from, std::chrono::nanoseconds limit) {
    if (limit > 0ns) {
        read_limited_ = true;
        conn_.set_read_deadline(from + limit);
    } else if (std::exchange(read_limited_, false)) {
        conn_.set_read_deadline({});
    }
}

void ServerConn::limit_write() {
    if (settings_->write_timeout > 0ns) conn_.set_write_deadline(weir::now() + settings_->write_timeout);
}

void ServerConn::skip_blank_lines() noexcept {
    // RFC 9112, 2.2: a server should ignore an empty line before a request.
    while (!in_.empty() && (*in_.data() == '\r' || *in_.data() == '\n')) in_.drop(1);
}

/// await_request waits for the first bytes of a request; a pipelined one is there already.
bool ServerConn::await_request() {
    skip_blank_lines();
    while (in_.empty()) {
        if (out_.flush() || !wait_idle()) return false;
        skip_blank_lines();
    }
    return true;
}

/// wait_idle reads while shutdown may close the connection.
bool ServerConn::wait_idle() {
    const bool first = state_.load(std::memory_order_relaxed) == ConnState::New;
    const auto header_limit = settings_->read_header_timeout > 0ns ? settings_->read_header_timeout : settings_->read_timeout;
    if (first) {
        limit_read(began_, header_limit);
    } else {
        // release: pairs with close_if_idle(). A shutdown that begins right here finds the connection when it looks again.
        state_.store(ConnState::Idle, std::memory_order_release);
        if (server_->closing()) return false;
        in_.trim();
        out_.trim();
        RequestAccess::reset(request_);
        limit_read(weir::now(), settings_->idle_timeout > 0ns ? settings_->idle_timeout : settings_->read_timeout);
    }
    if (in_.fill(conn_)) return false;
    ConnState waiting = first ? ConnState::New : ConnState::Idle;
    if (!state_.compare_exchange_strong(waiting, ConnState::Active, std::memory_order_acq_rel)) return false;
    if (!first) {
        began_ = weir::now();
        limit_read(began_, header_limit);
    }
    return true;
}

bool ServerConn::parse_some() {
    if (!in_.empty()) {
        const std::size_t taken = parser_.parse(in_.data(), in_.size());
        in_.drop(taken);
        if (parser_.error_status() != 0) return refuse(parser_.error_status(), parser_.error_text());
        if (taken > 0) return true;
    }
    if (out_.flush()) return false;
    read_error_ = in_.fill(conn_);
    return !read_error_;
}

/// read_request reads a whole request. A peer that goes away or is too slow with its header gets no answer, as in Go.
bool ServerConn::read_request() {
    RequestAccess::reset(request_); // again: a pipelined request was not waited for
    host_fields_ = 0;
    parser_.begin(*this, {.header = settings_->max_header_bytes, .body = settings_->max_body_bytes});
    while (!parser_.header_done()) {
        if (!parse_some()) return false;
    }
    if (!check_header()) return false;
    limit_write();
    limit_read(began_, settings_->read_timeout);
    while (!parser_.done()) {
        if (parse_some()) continue;
        return read_error_.timeout() && refuse(kStatusRequestTimeout, "request body too slow");
    }
    limit_read(began_, 0ns);
    return true;
}

/// check_header refuses what a server must not let pass, and tells a client that waits for it to send the body.
bool ServerConn::check_header() {
    const bool http11 = RequestAccess::minor_version(request_) == 1;
    if (host_fields_ > 1) return refuse(kStatusBadRequest, "too many Host headers");
    if (http11 && host_fields_ == 0 && request_.method() != "CONNECT")
        return refuse(kStatusBadRequest, "missing required Host header");
    if (const char* wrong = RequestAccess::parse_target(request_)) return refuse(kStatusBadRequest, wrong);
    const std::string_view expect = request_.header("Expect");
    if (expect.empty() || !http11) return true;
    if (!list_contains(expect, "100-continue")) return refuse(kStatusExpectationFailed, "unknown expectation");
    if (!parser_.done() && in_.empty()) out_.pending().append("HTTP/1.1 100 Continue\r\n\r\n");
    return true;
}

bool ServerConn::answer() {
    response_.begin(request_, parser_.keep_alive());
    RequestAccess::next_request(request_);
    {
        std::lock_guard hold(context_lock_);
        running_ = RequestAccess::number(request_);
    }
    const std::optional<Panic> panic = catch_panic([this] { settings_->handler(response_, request_); });
    end_context();
    if (panic) {
        response_.reset(); // answers to earlier pipelined requests still go out
        log_panic(*panic);
        return false;
    }
    if (response_.finish()) return true;
    out_.flush();
    if (!in_.empty()) linger();
    return false;
}

void ServerConn::log_panic(const Panic& panic) const {
    if (panic.value<AbortHandler>()) return;
    log(*settings_, "http: panic serving " + request_.remote_addr() + ": " + panic.message() + "\n" + panic.stack());
}

bool ServerConn::refuse(int status, std::string_view text) {
    std::string body;
    append_number(body, status);
    const std::string status_line = body.append(" ").append(status_text(status));
    if (!text.empty()) body.append(": ").append(text);
    std::string& out = out_.pending();
    out.append("HTTP/1.1 ")
        .append(status_line)
        .append("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: ");
    append_number(out, body.size());
    out.append("\r\n\r\n").append(body);
    limit_write();
    if (!out_.flush()) linger();
    return false;
}

/// linger lets the peer read our last words: closing while it still sends would reset the connection and discard them.
void ServerConn::linger() {
    constexpr auto kPatience = 500ms; // Go's
    conn_.close_write();
    conn_.set_read_deadline(weir::now() + kPatience);
    do {
        in_.drop(in_.size());
    } while (!in_.fill(conn_));
}

void ServerConn::on_request_line(std::string_view method, std::string_view target, int minor_version) {
    RequestAccess::set_line(request_, method, target, minor_version);
}

void ServerConn::on_field(std::string_view name, std::string_view value) {
    if (equal_fold(name, "host")) ++host_fields_;
    request_.header().add(name, value);
}

void ServerConn::on_body_begin(std::optional<std::uint64_t> length) {
    constexpr std::uint64_t kTrusted = 64 << 10; // a length is a claim: memory for more comes as the bytes do
    if (length) RequestAccess::body(request_).reserve(static_cast<std::size_t>(std::min(*length, kTrusted)));
}

void ServerConn::on_body(std::string_view part) { RequestAccess::body(request_).append(part); }

Context ServerConn::request_context(std::uint64_t number) {
    auto [ctx, cancel] = with_cancel(background());
    {
        std::lock_guard hold(context_lock_);
        if (number == running_) {
            if (context_) return *context_;
            context_ = ctx;
            cancel_ = cancel;
            watcher_.add(1); // here, so that end_context() cannot miss it
            number = 0;
        }
    }
    if (number != 0) { // that request is over
        cancel();
        return ctx;
    }
    net::detail::Fd& fd = net::detail::SocketAccess::of(conn_).fd;
    if (fd.hung_up()) cancel();
    go({.name = "http.watch"}, [self = shared_from_this(), cancel = cancel, &fd] {
        if (fd.watch() == net::detail::Peek::HungUp) cancel();
        self->watcher_.done();
    });
    return ctx;
}

/// end_context cancels the context of the request that is over, and gets the connection back from its watcher.
void ServerConn::end_context() {
    CancelFunc cancel;
    {
        std::lock_guard hold(context_lock_);
        running_ = 0;
        if (!context_) return;
        context_.reset();
        cancel = std::exchange(cancel_, CancelFunc());
    }
    cancel();
    conn_.set_read_deadline(Clock::time_point(1ns));
    watcher_.wait();
    conn_.set_read_deadline({});
}

} // namespace weir::http::detail
