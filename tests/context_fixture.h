// Contexts that the tests of Context share: how to ask for the end, and contexts of a user's own.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "fixture.h"

#include <weir/chan.h>
#include <weir/context.h>
#include <weir/go.h>
#include <weir/mutex.h>
#include <weir/select.h>

namespace weir_test {

using weir::Context;
using weir::Error;

inline bool is_done(const Context& ctx) {
    bool done = false;
    weir::select(weir::recv(ctx.done(), [&] { done = true; }), weir::otherwise([] {}));
    return done;
}

inline bool done_within(const Context& ctx, std::chrono::nanoseconds limit = 60s) {
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

/// Calling calls functions at its end, as Go's afterFuncContext does.
struct Calling : weir::ContextBase, weir::AfterFuncer {
    weir::recv_chan<void> done() const override { return channel; }
    Error err() const override {
        const std::lock_guard lock(mutex);
        return error;
    }
    std::function<bool()> after_func(std::function<void()> fn) override {
        const std::lock_guard lock(mutex);
        if (error) {
            weir::go(fn);
            return [] { return false; };
        }
        const int id = ++last;
        functions[id] = std::move(fn);
        return [this, id] {
            std::function<void()> unused;
            const std::lock_guard lock(mutex);
            const auto at = functions.find(id);
            if (at == functions.end()) return false;
            unused = std::move(at->second);
            functions.erase(at);
            return true;
        };
    }
    void finish(Error why) {
        std::map<int, std::function<void()>> all;
        {
            const std::lock_guard lock(mutex);
            error = std::move(why);
            all.swap(functions);
        }
        channel.close();
        for (auto& [id, fn] : all) weir::go(fn);
    }
    std::size_t registered() const {
        const std::lock_guard lock(mutex);
        return functions.size();
    }

    weir::chan<void> channel;
    mutable weir::Mutex mutex;
    Error error;
    std::map<int, std::function<void()>> functions;
    int last = 0;
};

} // namespace weir_test
