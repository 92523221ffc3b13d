#include "pipe.h"

#include <algorithm>
#include <cstring>
#include <mutex>

#include <weir/net.h>
#include <weir/panic.h>
#include <weir/select.h>

namespace weir::net {

const Error kClosedPipe{"io: read/write on closed pipe"};

namespace detail {

namespace {

bool is_closed(const recv_chan<void>& c) { return select(recv(c), otherwise()) == 0; }

Error late(const char* op) { return OpError{op, "pipe", "", "", kTimeout}; }

} // namespace

// ---- PipeDeadline ----

void PipeDeadline::disarm() {
    if (timer_ != nullptr && !timer_->stop()) passed_.next(); // it has fired: its function is about to close the channel
    timer_.reset();
}

void PipeDeadline::set(Deadline t) {
    const std::lock_guard lock(mu_);
    disarm();
    const auto left = std::chrono::nanoseconds(t.when()) - now().time_since_epoch();
    const bool past = t.when() != 0 && left.count() <= 0;
    if (is_closed(passed_)) {
        if (!past) passed_ = chan<void>();
    } else if (past) {
        passed_.close();
    }
    if (t.when() != 0 && !past) timer_ = std::make_unique<Timer>(after_func(left, [passed = passed_]() mutable { passed.close(); }));
}

recv_chan<void> PipeDeadline::passed() {
    const std::lock_guard lock(mu_);
    return passed_;
}

void PipeDeadline::stop() {
    const std::lock_guard lock(mu_);
    disarm();
}

// ---- PipeEnd ----

PipeEnd::PipeEnd(Lane in, Lane out, chan<void> closed, recv_chan<void> peer_closed)
    : in_(std::move(in)), out_(std::move(out)), closed_(std::move(closed)), peer_closed_(std::move(peer_closed)) {}

PipeEnd::~PipeEnd() {
    catch_panic([this] { // outside the bubble that it was made in, where nobody is left to be told
        close();
        read_deadline_.stop();
        write_deadline_.stop();
    });
}

std::pair<std::size_t, Error> PipeEnd::read(ByteSpan buf) {
    const auto passed = read_deadline_.passed();
    if (is_closed(closed_)) return {0, kClosedPipe};
    if (is_closed(peer_closed_)) return {0, kEof};
    if (is_closed(passed)) return {0, late("read")};
    ByteView bytes;
    switch (select(recv(in_.offered, bytes), recv(closed_), recv(peer_closed_), recv(passed))) {
    case 0: break;
    case 1: return {0, kClosedPipe};
    case 2: return {0, kEof};
    default: return {0, late("read")};
    }
    const std::size_t n = std::min(buf.size(), bytes.size());
    if (n > 0) std::memcpy(buf.data(), bytes.data(), n);
    in_.taken.send(n);
    return {n, Error()};
}

std::pair<std::size_t, Error> PipeEnd::write(ByteView bytes) {
    if (is_closed(closed_) || is_closed(peer_closed_)) return {0, kClosedPipe};
    if (is_closed(write_deadline_.passed())) return {0, late("write")};
    const std::lock_guard lock(write_mu_);
    std::size_t written = 0;
    do { // once for no bytes, too: a reader is to come for them
        const ByteView rest(bytes.data() + written, bytes.size() - written);
        switch (select(send(out_.offered, rest), recv(closed_), recv(peer_closed_), recv(write_deadline_.passed()))) {
        case 0: written += out_.taken.recv(); break;
        case 3: return {written, late("write")};
        default: return {written, kClosedPipe};
        }
    } while (written < bytes.size());
    return {written, Error()};
}

void PipeEnd::close() {
    close_.call([this] { closed_.close(); });
}

Error PipeEnd::set_deadline(bool read, bool write, Deadline t) {
    if (is_closed(closed_) || is_closed(peer_closed_)) return kClosedPipe;
    if (read) read_deadline_.set(t);
    if (write) write_deadline_.set(t);
    return {};
}

} // namespace detail

std::pair<Conn, Conn> pipe() {
    detail::Lane there, back;
    chan<void> first_closed, second_closed;
    return {Conn(std::make_shared<detail::PipeEnd>(back, there, first_closed, second_closed)),
            Conn(std::make_shared<detail::PipeEnd>(there, back, second_closed, first_closed))};
}

} // namespace weir::net
