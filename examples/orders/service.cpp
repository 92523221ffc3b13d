#include "service.h"

#include <chrono>

#include <weir/chan.h>
#include <weir/defer.h>
#include <weir/panic.h>
#include <weir/select.h>

namespace orders {

using namespace std::chrono_literals;
using namespace weir;

namespace {
constexpr auto kPaymentTimeout = 2s;
} // namespace

std::pair<Order, Error> Service::place(const Context& ctx, NewOrder order) {
    if (Error err = pay(ctx, order)) return {{}, errorf("order not paid: {}", wrap(err))};
    return store_.insert(std::move(order));
}

/// pay runs the payment in a fiber of its own, and gives up when the time is over, whatever that fiber does.
Error Service::pay(const Context& parent, const NewOrder& order) {
    auto [ctx, cancel] = with_timeout(parent, kPaymentTimeout);
    defer release{cancel};

    chan<Error> paid(1); // room for one: the child never waits for a parent who gave up
    children_.go([this, ctx = ctx, order, paid] {
        Error err;
        if (auto p = catch_panic([&] { err = payments_.charge(ctx, order); })) err = Error(*p);
        paid << err;
    });

    Error err;
    select(recv(paid, err), recv(ctx.done(), [&] { err = ctx.err(); }));
    return err;
}

} // namespace orders
