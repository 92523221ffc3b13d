#include "conn_io.h"

#include <algorithm>
#include <cstring>

#include "socket.h"

namespace weir::http::detail {

namespace {

constexpr std::size_t kKept = 16 << 10; // a connection that waits keeps no write buffer larger than this

} // namespace

void InBuffer::make_room() {
    if (begin_ == end_) begin_ = end_ = 0;
    std::size_t wanted = capacity_;
    if (capacity_ == 0) {
        wanted = kFirst;
    } else if (filled_up_ && capacity_ < kLarge) {
        wanted = capacity_ * 2;
    } else if (end_ == capacity_ && begin_ < capacity_ / 2) {
        wanted = capacity_ * 2; // one long piece that the parser waits for the end of
    }
    if (wanted != capacity_) {
        auto bigger = std::make_unique<char[]>(wanted);
        if (!empty()) std::memcpy(bigger.get(), data(), size());
        memory_ = std::move(bigger);
        capacity_ = wanted;
    } else if (end_ == capacity_) {
        std::memmove(memory_.get(), data(), size());
    } else {
        return;
    }
    end_ -= begin_;
    begin_ = 0;
}

Error InBuffer::fill(const net::Conn& conn) {
    make_room();
    const std::size_t room = capacity_ - end_;
    auto [n, err] = conn.read(ByteSpan(memory_.get() + end_, room));
    end_ += n;
    filled_up_ = n == room;
    return err;
}

void InBuffer::trim() noexcept {
    if (!empty() || capacity_ <= kFirst) return;
    memory_.reset();
    capacity_ = begin_ = end_ = 0;
    filled_up_ = false;
}

const Error& OutBuffer::flush() {
    if (pending_.empty()) return error_;
    return flush_with({});
}

const Error& OutBuffer::flush_with(std::string_view bytes) {
    if (!error_) {
        iovec parts[2] = {{pending_.data(), pending_.size()}, {const_cast<char*>(bytes.data()), bytes.size()}};
        auto& socket = net::detail::SocketAccess::of(conn_);
        const auto result = socket.fd.write(parts, bytes.empty() ? 1 : 2);
        sent_ += result.n;
        error_ = socket.fail("write", "write", result);
    }
    pending_.clear();
    return error_;
}

void OutBuffer::trim() {
    if (pending_.empty() && pending_.capacity() > kKept) std::string().swap(pending_);
}

} // namespace weir::http::detail
