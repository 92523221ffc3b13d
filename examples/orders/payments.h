// PaymentPool: a bounded number of worker fibers that talk to the payment gateway, fed by a channel.
//
// The pool bounds how many payments run at a time, the channel how many wait; who finds no place in time is told so, instead of
// piling up.
#pragma once

#include <chrono>

#include <weir/chan.h>
#include <weir/context.h>
#include <weir/error.h>
#include <weir/waitgroup.h>

#include "order.h"

namespace orders {

/// kBusy: no worker was free in time.
inline const weir::Error kBusy("payment: all workers are busy");

class PaymentPool {
public:
    /// Starts the workers. `latency` is how long the pretended gateway takes for a payment.
    PaymentPool(int workers, std::chrono::milliseconds latency);
    ~PaymentPool() { close(); }

    /// charge blocks until the payment is made. Fails with kBusy, and with ctx.err() when ctx ends first: the payment is then
    /// called off.
    weir::Error charge(const weir::Context& ctx, const NewOrder& order);

    /// close finishes what has queued up, and ends the workers. charge panics afterwards.
    void close();

private:
    struct Charge {
        weir::Context ctx;
        NewOrder order;
        weir::chan<weir::Error> result;
    };

    void work();
    weir::Error call_gateway(const Charge& charge);

    const std::chrono::milliseconds latency_;
    weir::chan<Charge> queue_;
    weir::WaitGroup workers_;
    bool closed_ = false;
};

} // namespace orders
