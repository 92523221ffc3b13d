#include "payments.h"

#include <utility>

#include <weir/panic.h>
#include <weir/select.h>

namespace orders {

using namespace std::chrono_literals;
using namespace weir;

namespace {
constexpr auto kQueueWait = 500ms;
} // namespace

PaymentPool::PaymentPool(int workers, std::chrono::milliseconds latency)
    : latency_(latency), queue_(static_cast<std::size_t>(workers)) {
    for (int i = 0; i < workers; ++i) workers_.go([this] { work(); });
}

void PaymentPool::close() {
    if (std::exchange(closed_, true)) return;
    queue_.close();
    workers_.wait();
}

Error PaymentPool::charge(const Context& ctx, const NewOrder& order) {
    Error err;
    chan<Error> result(1);                             // room for one: a worker never waits for a caller who has gone
    select(send(queue_, Charge{ctx, order, result}),   // a worker will take it
           recv(ctx.done(), [&] { err = ctx.err(); }), // nobody waits for it any more
           timeout(kQueueWait, [&] { err = kBusy; })); // the queue is full, and stays so
    if (err) return err;

    select(recv(result, err), recv(ctx.done(), [&] { err = ctx.err(); }));
    return err;
}

void PaymentPool::work() {
    for (const Charge& charge : queue_) {
        // What the gateway's code gets wrong is this payment's error, and not the end of the worker.
        Error err;
        if (auto p = catch_panic([&] { err = call_gateway(charge); })) err = Error(*p);
        charge.result << err;
    }
}

/// call_gateway stands for a call over the network: it takes its time, and stops when the caller gives up.
Error PaymentPool::call_gateway(const Charge& charge) {
    Error err;
    select(timeout(latency_), recv(charge.ctx.done(), [&] { err = charge.ctx.err(); }));
    return err;
}

} // namespace orders
