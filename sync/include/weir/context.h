// Context: cancellation, deadlines and values that follow a request through its fibers, Go's context.
//
//     auto [ctx, cancel] = weir::with_timeout(parent, 2s);
//     weir::defer d{cancel};                               // so that nothing below goes on when this function has returned
//     weir::go([ctx = ctx] { work(ctx); });
//     weir::select(weir::recv(answers, answer),
//                  weir::recv(ctx.done(), [&] { err = ctx.err(); }));
//
// A Context is a shared handle to an immutable link in a chain; deriving one never changes its parent. When a context ends, all
// contexts derived from it have ended before cancel() returns. A context needs no fiber of its own, and one that nobody holds any
// more goes away, cancelled or not. Thread safety: as a std::shared_ptr; every function may be called from any fiber or OS
// thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <weir/chan.h>
#include <weir/detail/config.h>
#include <weir/detail/context_key.h>
#include <weir/detail/timer.h>
#include <weir/error.h>
#include <weir/sleep.h>

namespace weir {

class ContextBase;

namespace detail {
struct ContextAccess;
}

class WEIR_API Context {
public:
    using time_point = std::chrono::steady_clock::time_point;

    /// The default context is background().
    Context() noexcept;
    /// A context of a type of yours.
    explicit Context(std::unique_ptr<ContextBase> base) noexcept : Context(base.release()) {}
    Context(const Context& other) noexcept;
    Context(Context&& other) noexcept;
    Context& operator=(Context other) noexcept {
        std::swap(base_, other.base_);
        return *this;
    }
    ~Context();

    /// done is closed when the context ends; nil if it never can.
    recv_chan<void> done() const;
    /// err is nil before the context has ended, then kCanceled or kDeadlineExceeded for ever.
    Error err() const;
    /// deadline is when it will end by itself, if ever.
    std::optional<time_point> deadline() const;

    /// value<Key> is what with_value<Key> stored nearest: a `const T*`, null when there is none, where T is Key::Value if the key
    /// type says so, or Key itself; for a key type that is empty or undefined a ContextValue, whose type its as<T>() asserts.
    template <class Key>
    auto value() const {
        const ContextValue found = find(ContextKey::of_type<Key>());
        using T = typename detail::value_of<Key, void>::type;
        if constexpr (std::is_void_v<T>) {
            return found;
        } else {
            return found.as<T>();
        }
    }
    /// value is what with_value(ctx, key, v) stored nearest under an equal key of the same type.
    template <class K>
    ContextValue value(const K& key) const {
        if constexpr (std::is_same_v<K, ContextKey>) {
            return find(key);
        } else if constexpr (detail::Text<K>) {
            return find(ContextKey::of(std::string(std::string_view(key))));
        } else {
            return find(ContextKey::of(key));
        }
    }

    /// string shows the chain: "context.Background.WithCancel".
    std::string string() const;

    friend bool operator==(const Context& a, const Context& b) noexcept { return a.base_ == b.base_; }
    WEIR_API friend std::ostream& operator<<(std::ostream& out, const Context& ctx);

    /// Takes over one reference. For the library itself.
    constexpr explicit Context(ContextBase* base) noexcept : base_(base) {}
    ContextBase* base() const noexcept { return base_; }

private:
    ContextValue find(const ContextKey& key) const;

    ContextBase* base_;
};

/// ContextBase is the base of contexts of your own: it behaves as the context it embeds, save where overridden. Overriding done()
/// means overriding err() too. Contexts derived from yours end with it: without a fiber when done() is the embedded context's or
/// yours is an AfterFuncer too, else one fiber waits for it.
class WEIR_API ContextBase {
public:
    explicit ContextBase(Context embedded = Context()) noexcept : embedded_(std::move(embedded)) {}
    ContextBase(const ContextBase&) = delete;
    ContextBase& operator=(const ContextBase&) = delete;
    virtual ~ContextBase() = default;

    virtual std::optional<Context::time_point> deadline() const { return embedded_.deadline(); }
    virtual recv_chan<void> done() const { return embedded_.done(); }
    virtual Error err() const { return embedded_.err(); }
    virtual ContextValue value(const ContextKey& key) const { return embedded_.value(key); }
    /// string is the type's name unless overridden.
    virtual std::string string() const;

    const Context& embedded() const noexcept { return embedded_; }

protected:
    enum class Lifetime : std::uint32_t { Counted = 1, Immortal = 1u << 31 };
    /// For the library's roots: embeds nothing.
    constexpr explicit ContextBase(Lifetime lifetime) noexcept
        : embedded_(static_cast<ContextBase*>(nullptr)), refs_(static_cast<std::uint32_t>(lifetime)) {}

private:
    friend class Context;
    friend struct detail::ContextAccess;

    /// step looks a key up in this link only: it sets `found`, or returns the next link to ask. It keeps long chains off the
    /// stack.
    virtual const ContextBase* step(const ContextKey& key, ContextValue& found) const;
    /// anchor is the nearest link, this one included, that has an end of its own: links that only carry a value have none.
    virtual ContextBase* anchor() noexcept { return this; }
    /// unreferenced runs when the last reference has gone; false keeps the object, which has taken a new reference to itself.
    virtual bool unreferenced() noexcept { return true; }

    Context embedded_;
    std::atomic<std::uint32_t> refs_{static_cast<std::uint32_t>(Lifetime::Counted)};
};

/// AfterFuncer is what a context of your own may be besides, if it knows itself whom to call at its end: Go's contexts with an
/// AfterFunc method.
class WEIR_API AfterFuncer {
public:
    virtual ~AfterFuncer() = default;

    /// after_func has fn called once, on a fiber or thread, when the context has ended. The function it returns takes that back: true
    /// if it kept fn from running; when it has returned, fn is gone or has been called. It may be empty.
    virtual std::function<bool()> after_func(std::function<void()> fn) = 0;
};

/// CancelFunc ends its context with kCanceled, at once and with all derived from it; later calls do nothing. A cheap shared
/// handle; keeps the context alive.
class WEIR_API CancelFunc {
public:
    CancelFunc() noexcept = default; ///< does nothing
    explicit CancelFunc(Context ctx) noexcept : ctx_(std::move(ctx)) {}
    void operator()() const;

private:
    Context ctx_;
};

/// CancelCauseFunc is a CancelFunc that says why: cause(ctx) is then `reason`, or kCanceled if that is nil.
class WEIR_API CancelCauseFunc {
public:
    CancelCauseFunc() noexcept = default; ///< does nothing
    explicit CancelCauseFunc(Context ctx) noexcept : ctx_(std::move(ctx)) {}
    void operator()(const Error& reason = {}) const;

private:
    Context ctx_;
};

/// StopFunc undoes after_func(ctx, fn): true if it kept fn from running. It does not wait for a running fn.
class WEIR_API StopFunc {
public:
    StopFunc() noexcept = default; ///< stops nothing
    explicit StopFunc(Context registration) noexcept : registration_(std::move(registration)) {}
    bool operator()() const;

private:
    Context registration_;
};

/// background never ends and holds nothing: the root of all contexts.
WEIR_API Context background() noexcept;
/// todo is background under another name, for where the right context is not known yet.
WEIR_API Context todo() noexcept;

/// with_cancel derives a context that ends when its CancelFunc is called or parent ends.
WEIR_API std::pair<Context, CancelFunc> with_cancel(const Context& parent);
/// with_cancel_cause is with_cancel with a reason.
WEIR_API std::pair<Context, CancelCauseFunc> with_cancel_cause(const Context& parent);

/// without_cancel derives a context with parent's values that never ends: no done, err, cause or deadline.
WEIR_API Context without_cancel(const Context& parent);

/// cause says why ctx has ended: the reason given, else ctx.err(); nil before that.
WEIR_API Error cause(const Context& ctx);

namespace detail {

WEIR_API std::pair<Context, CancelFunc> with_deadline(const Context& parent, std::int64_t when, const Error& reason);

/// steady_deadline converts a point of any clock to the runtime's clock.
template <class Clock, class Duration>
std::int64_t steady_deadline(std::chrono::time_point<Clock, Duration> t) {
    if constexpr (std::is_same_v<Clock, std::chrono::steady_clock>) {
        return to_ns(t.time_since_epoch());
    } else {
        return deadline_after(ns_until(t));
    }
}

/// Task is a function to run once, of any type.
struct Task {
    virtual ~Task() = default;
    virtual void run() = 0;
};
template <class F>
struct TaskOf final : Task {
    explicit TaskOf(F f) : fn(std::move(f)) {}
    void run() override { std::move(fn)(); }
    F fn;
};
WEIR_API StopFunc after_func(const Context& ctx, std::unique_ptr<Task> task);

} // namespace detail

/// with_deadline derives a context that ends with kDeadlineExceeded at t, or earlier as with_cancel. Not later than parent's own
/// deadline. A t that has passed ends it at once.
template <class Clock, class Duration>
std::pair<Context, CancelFunc> with_deadline(const Context& parent, std::chrono::time_point<Clock, Duration> t) {
    return detail::with_deadline(parent, detail::steady_deadline(t), kDeadlineExceeded);
}
/// with_deadline_cause also gives the cause of ending by time; not that of the CancelFunc.
template <class Clock, class Duration>
std::pair<Context, CancelFunc> with_deadline_cause(const Context& parent, std::chrono::time_point<Clock, Duration> t,
                                                   const Error& reason) {
    return detail::with_deadline(parent, detail::steady_deadline(t), reason ? reason : kDeadlineExceeded);
}

/// with_timeout is with_deadline at now + d.
template <class Rep, class Period>
std::pair<Context, CancelFunc> with_timeout(const Context& parent, std::chrono::duration<Rep, Period> d) {
    return detail::with_deadline(parent, detail::deadline_after(detail::to_ns(d)), kDeadlineExceeded);
}
/// with_timeout_cause is with_deadline_cause at now + d.
template <class Rep, class Period>
std::pair<Context, CancelFunc> with_timeout_cause(const Context& parent, std::chrono::duration<Rep, Period> d,
                                                  const Error& reason) {
    return detail::with_deadline(parent, detail::deadline_after(detail::to_ns(d)), reason ? reason : kDeadlineExceeded);
}

/// after_func runs fn on a fiber of its own once ctx has ended; at once if it has already. The StopFunc takes that back.
template <class F>
    requires std::is_invocable_v<std::decay_t<F>>
StopFunc after_func(const Context& ctx, F&& fn) {
    return detail::after_func(ctx, std::make_unique<detail::TaskOf<std::decay_t<F>>>(std::forward<F>(fn)));
}

} // namespace weir

#include <weir/detail/context_value.h>
