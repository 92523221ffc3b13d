// Contexts that the tests of Context share: how to ask for the end, and contexts of a user's own.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <utility>

#include "fixture.h"

#include <weir/chan.h>
#include <weir/context.h>
#include <weir/select.h>

namespace weir_test {

using weir::Context;
using weir::Error;

inline bool is_done(const Context& ctx) {
    bool done = false;
    weir::select(weir::recv(ctx.done(), [&] { done = true; }), weir::otherwise([] {}));
    return done;
}

inline bool done_within(const Context& ctx, std::chrono::nanoseconds limit = 10s) {
    bool done = false;
    weir::select(weir::recv(ctx.done(), [&] { done = true; }), weir::timeout(patience(limit), [] {}));
    return done;
}

/// Embedding changes nothing: Go's otherContext.
struct Embedding : weir::ContextBase {
    using ContextBase::ContextBase;
};
inline Context embedding(const Context& ctx) { return Context(std::make_unique<Embedding>(ctx)); }

/// OwnDone has a done channel and an error of its own.
struct OwnDone : weir::ContextBase {
    explicit OwnDone(Context embedded = {}) : ContextBase(std::move(embedded)) {}
    weir::recv_chan<void> done() const override { return channel; }
    Error err() const override { return failed ? weir::kCanceled : Error(); }
    void finish() {
        failed = true;
        channel.close();
    }
    weir::chan<void> channel;
    std::atomic<bool> failed{false};
};

/// custom makes an OwnDone; the pointer stays good as long as the context.
inline std::pair<Context, OwnDone*> custom(Context embedded = {}) {
    auto base = std::make_unique<OwnDone>(std::move(embedded));
    OwnDone* raw = base.get();
    return {Context(std::move(base)), raw};
}

} // namespace weir_test
