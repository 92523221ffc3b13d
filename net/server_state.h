// ServerState: what the connections of one Server share, and the list of them.
//
// Lock order: lock_ is a leaf; nothing is closed, called or waited for under it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include <weir/chan.h>
#include <weir/http_server.h>
#include <weir/mutex.h>

namespace weir::http::detail {

class ServerConn;

/// Settings are a Server's fields as they were when serving began.
struct Settings {
    Handler handler;
    std::chrono::nanoseconds read_timeout{};
    std::chrono::nanoseconds read_header_timeout{};
    std::chrono::nanoseconds write_timeout{};
    std::chrono::nanoseconds idle_timeout{};
    std::size_t max_header_bytes = 0;
    std::uint64_t max_body_bytes = 0;
    std::function<void(std::string_view)> error_log;
};

/// ConnState: where a connection stands between requests. Only shutdown moves one to Closing, and only from New or Idle.
enum class ConnState : int { New, Active, Idle, Closing };

class ServerState {
public:
    ServerState() = default;
    ServerState(const ServerState&) = delete;

    /// add_listener and add_conn say false once the server is closing.
    bool add_listener(const net::Listener& listener);
    void remove_listener(const net::Listener& listener);
    bool add_conn(const std::shared_ptr<ServerConn>& conn);
    void remove_conn(ServerConn& conn);

    bool closing() const noexcept { return closing_.load(std::memory_order_acquire); }
    /// stopped is closed when the server begins to close.
    const chan<void>& stopped() const noexcept { return stopped_; }

    /// begin_close stops accepting: the first error of closing a listener.
    Error begin_close();
    /// close_idle closes the connections that wait for a request; true when none is left at all.
    bool close_idle();
    void close_all();
    /// drained is closed when the last connection goes after begin_close.
    const chan<void>& drained() const noexcept { return drained_; }

private:
    Mutex lock_;
    std::vector<net::Listener> listeners_;           // guarded by lock_
    std::vector<std::shared_ptr<ServerConn>> conns_; // guarded by lock_; each knows its index
    std::atomic<bool> closing_{false};               // written under lock_
    bool drained_closed_ = false;                    // guarded by lock_
    chan<void> stopped_;
    chan<void> drained_;
};

/// log writes a line to the error log, or to stderr.
void log(const Settings& settings, std::string_view line);

} // namespace weir::http::detail
