// Service: what placing and finding an order means, whatever the protocol it is asked in.
#pragma once

#include <cstdint>
#include <utility>

#include <weir/context.h>
#include <weir/error.h>
#include <weir/waitgroup.h>

#include "order.h"
#include "payments.h"
#include "store.h"

namespace orders {

class Service {
public:
    /// Refers to both for as long as it lives.
    Service(PaymentPool& payments, Store& store) : payments_(payments), store_(store) {}
    ~Service() { children_.wait(); }

    /// place pays for an order that is valid, and stores it. Blocks. Fails with kBusy, kDeadlineExceeded when the payment takes
    /// too long, and the store's error.
    std::pair<Order, weir::Error> place(const weir::Context& ctx, NewOrder order);

    /// find blocks until the store has answered; fails with kNotFound.
    std::pair<Order, weir::Error> find(std::int64_t id) { return store_.find(id); }

private:
    weir::Error pay(const weir::Context& parent, const NewOrder& order);

    PaymentPool& payments_;
    Store& store_;
    weir::WaitGroup children_; // the fibers that pay
};

} // namespace orders
