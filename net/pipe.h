// PipeEnd: one end of net::pipe(). Go's net/pipe.go.
//
// Invariant: whoever has taken what a writer offers answers in the same step how much of it was wanted, whatever else ends meanwhile. So a
// writer's bytes stay where they are until they have been copied, and nothing is buffered.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include <weir/bytes.h>
#include <weir/chan.h>
#include <weir/error.h>
#include <weir/mutex.h>
#include <weir/net_deadline.h>
#include <weir/once.h>
#include <weir/ticker.h>

namespace weir::net::detail {

/// Lane carries bytes one way.
struct Lane {
    chan<ByteView> offered;
    chan<std::size_t> taken;
};

/// PipeDeadline is a point in time as a channel.
class PipeDeadline {
public:
    /// set holds from now on, for those too who wait already.
    void set(Deadline t);
    /// passed is closed once the deadline has passed.
    recv_chan<void> passed();
    void stop();

private:
    void disarm();

    Mutex mu_;
    std::unique_ptr<Timer> timer_; // closes passed_; guarded by mu_, as is:
    chan<void> passed_;
};

class PipeEnd {
public:
    PipeEnd(Lane in, Lane out, chan<void> closed, recv_chan<void> peer_closed);
    PipeEnd(const PipeEnd&) = delete;
    PipeEnd& operator=(const PipeEnd&) = delete;
    ~PipeEnd();

    std::pair<std::size_t, Error> read(ByteSpan buf);
    std::pair<std::size_t, Error> write(ByteView bytes);
    void close();
    Error set_deadline(bool read, bool write, Deadline t);

private:
    const Lane in_;
    const Lane out_;
    const chan<void> closed_;
    const recv_chan<void> peer_closed_;
    Once close_;
    PipeDeadline read_deadline_;
    PipeDeadline write_deadline_;
    Mutex write_mu_; // the bytes of one write come together
};

} // namespace weir::net::detail
