// InBuffer and OutBuffer: the one read buffer and the one write buffer of an HTTP connection.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include <weir/error.h>
#include <weir/net.h>

namespace weir::http::detail {

/// InBuffer holds bytes that were read and not yet parsed. Grows while they fit nowhere, and goes back to its first size when
/// empty.
class InBuffer {
public:
    const char* data() const noexcept { return memory_.get() + begin_; }
    std::size_t size() const noexcept { return end_ - begin_; }
    bool empty() const noexcept { return begin_ == end_; }
    void drop(std::size_t n) noexcept { begin_ += n; }

    /// fill reads once from conn, blocking until there is something.
    Error fill(const net::Conn& conn);
    /// trim gives a large buffer back once it is empty.
    void trim() noexcept;

private:
    void make_room();

    static constexpr std::size_t kFirst = 4 << 10;
    static constexpr std::size_t kLarge = 64 << 10;

    std::unique_ptr<char[]> memory_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    bool filled_up_ = false; // the last read left no room: more is on its way
};

/// OutBuffer collects what is to be sent. After an error all that follows is dropped.
class OutBuffer {
public:
    explicit OutBuffer(net::Conn conn) : conn_(std::move(conn)) {}

    /// pending is what has not been sent: append to it. take_back drops what came after `size`, if it is still all there.
    std::string& pending() noexcept { return pending_; }
    /// sent counts the bytes that have left: to know whether a place in pending() still is what it was.
    std::size_t sent() const noexcept { return sent_; }

    /// flush sends all that is pending, blocking until the kernel has it.
    const Error& flush();
    /// flush_with sends what is pending and then `bytes`, without copying them.
    const Error& flush_with(std::string_view bytes);
    const Error& error() const noexcept { return error_; }

    /// trim gives a large buffer back once it is empty.
    void trim();

private:
    net::Conn conn_;
    std::string pending_;
    std::size_t sent_ = 0;
    Error error_;
};

} // namespace weir::http::detail
