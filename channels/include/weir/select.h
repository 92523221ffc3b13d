// select: wait for the first of several channel operations.
//
//     size_t i = select(
//         recv(a, [&](int v) { ... }),             // also [](int v, bool ok), [] {}; recv(a, v), recv(a, v, ok), recv(a)
//         send(b, y, [&] { ... }),                 // also send(b, y)
//         timeout(50ms, [&] { ... }),
//         otherwise([&] { ... }));                 // Go's default: runs when nothing is ready
//
// Returns the index of the case that ran. Among cases that are ready one is chosen at random; with none, select blocks unless
// otherwise() or timeout() is there. A nil channel's case is never chosen. Callbacks run after the operation, with no lock held;
// they may do anything, select included. Rules: Go's specification, "Select statements".
#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <weir/chan.h>
#include <weir/sleep.h>

namespace weir {

namespace detail {

struct NoAction {
    void operator()() const noexcept {}
};

[[noreturn]] WEIR_API void panic_closed_without_value();

/// run_action calls a receive callback with as much as it takes: (v, ok), (v), (ok) for chan<void>, or nothing.
template <class T, class F>
void run_action(F& fn, Incoming<T>& in, bool ok) {
    if constexpr (std::is_invocable_v<F&, T, bool>) {
        static_assert(std::is_default_constructible_v<T>, "a (value, ok) callback needs a T that can be made empty");
        if (ok) {
            fn(in.take(), true);
        } else {
            fn(zero_value<T>(), false);
        }
    } else if constexpr (std::is_invocable_v<F&, T>) {
        if (ok) {
            fn(in.take());
        } else if constexpr (std::is_default_constructible_v<T>) {
            fn(zero_value<T>());
        } else {
            panic_closed_without_value();
        }
    } else {
        static_assert(std::is_invocable_v<F&>, "a receive callback takes (T, bool), (T) or nothing");
        if (ok) in.take();
        fn();
    }
}

/// RecvCase, SendCase, TimeoutCase and OtherwiseCase are the cases as select sees them while it runs. They refer to their
/// channels and do not keep them: counting references cost a select of four a third of its time.
template <class T, class F>
class RecvCase {
public:
    RecvCase(ChanCore* chan, F fn) : chan_(chan), fn_(std::move(fn)) {}
    void fill(SelectEntry& e) noexcept { e = {chan_, false, in_.room(), false, 0}; }
    void finish(bool ok) { run_action<T>(fn_, in_, ok); }
    ChanCore* channel() const noexcept { return chan_; }

private:
    ChanCore* chan_;
    F fn_;
    Incoming<T> in_;
};

template <class F>
class RecvCase<void, F> {
public:
    RecvCase(ChanCore* chan, F fn) : chan_(chan), fn_(std::move(fn)) {}
    void fill(SelectEntry& e) noexcept { e = {chan_, false, &unit_, false, 0}; }
    void finish(bool ok) {
        if constexpr (std::is_invocable_v<F&, bool>) {
            fn_(ok);
        } else {
            fn_();
        }
    }
    ChanCore* channel() const noexcept { return chan_; }

private:
    ChanCore* chan_;
    F fn_;
    Unit unit_;
};

template <class T, class F>
class SendCase {
public:
    SendCase(ChanCore* chan, T v, F fn) : chan_(chan), out_(std::move(v)), fn_(std::move(fn)) {}
    void fill(SelectEntry& e) noexcept { e = {chan_, true, out_.slot(), false, 0}; }
    void finish(bool) { fn_(); }
    ChanCore* channel() const noexcept { return chan_; }

private:
    ChanCore* chan_;
    Outgoing<T> out_;
    F fn_;
};

template <class F>
class SendCase<void, F> {
public:
    SendCase(ChanCore* chan, F fn) : chan_(chan), fn_(std::move(fn)) {}
    void fill(SelectEntry& e) noexcept { e = {chan_, true, &unit_, false, 0}; }
    void finish(bool) { fn_(); }
    ChanCore* channel() const noexcept { return chan_; }

private:
    ChanCore* chan_;
    F fn_;
    Unit unit_;
};

template <class F>
struct TimeoutCase {
    std::int64_t ns;
    F fn;
    void finish(bool) { fn(); }
};

template <class F>
struct OtherwiseCase {
    F fn;
    void finish(bool) { fn(); }
};

template <class C>
inline constexpr bool kIsTimeout = false;
template <class F>
inline constexpr bool kIsTimeout<TimeoutCase<F>> = true;
template <class C>
inline constexpr bool kIsOtherwise = false;
template <class F>
inline constexpr bool kIsOtherwise<OtherwiseCase<F>> = true;

/// Assign stores a received value into variables of the caller.
template <class T>
struct Assign {
    T* value;
    bool* ok = nullptr;
    void operator()(T v, bool received) const {
        *value = std::move(v);
        if (ok != nullptr) *ok = received;
    }
};

/// SelectPlan gathers what is not a channel operation: the default and the earliest timeout.
struct SelectPlan {
    std::size_t otherwise = kSelectDefault;
    std::size_t timeout = kSelectTimeout;
    std::int64_t timeout_ns = -1;

    void add_timeout(std::size_t index, std::int64_t ns) noexcept {
        ns = ns < 0 ? 0 : ns;
        if (timeout_ns >= 0 && timeout_ns <= ns) return;
        timeout_ns = ns;
        timeout = index;
    }
    std::size_t run(SelectEntry* entries, std::size_t n, SelectWait* waits) const {
        std::size_t won = select_run(entries, n, otherwise != kSelectDefault, timeout_ns, waits);
        if (won == kSelectDefault) return otherwise;
        return won == kSelectTimeout ? timeout : won;
    }
};

template <class C>
void plan_case(SelectPlan& plan, SelectEntry& entry, std::size_t index, C& c) {
    if constexpr (kIsTimeout<C>) {
        plan.add_timeout(index, c.ns);
    } else if constexpr (kIsOtherwise<C>) {
        plan.otherwise = index;
    } else {
        c.fill(entry);
    }
}

/// ReceiveAction: takes what a receive gives. A generic lambda is asked only about a T, which its body may need.
template <class F, class T>
concept ReceiveAction = (std::is_void_v<T> && std::invocable<F&, bool>) ||
                        (!std::is_void_v<T> && (std::invocable<F&, T, bool> || std::invocable<F&, T>)) || std::invocable<F&>;

} // namespace detail

/// recv is a receive case, for the select whose argument it is: it refers to c. fn takes (T v, bool ok), (T v) or nothing; for
/// chan<void> (bool ok) or nothing.
template <class T, class F = detail::NoAction>
    requires detail::ReceiveAction<F, T>
auto recv(const recv_chan<T>& c, F fn = {}) {
    return detail::RecvCase<T, F>(detail::ChanAccess::core(c), std::move(fn));
}
template <class T, class F = detail::NoAction>
    requires detail::ReceiveAction<F, T>
auto recv(const chan<T>& c, F fn = {}) {
    return detail::RecvCase<T, F>(detail::ChanAccess::core(c), std::move(fn));
}
/// recv(c, v) and recv(c, v, ok) store what was received; the variables are written only when this case is chosen.
template <class T>
auto recv(const recv_chan<T>& c, std::type_identity_t<T>& v) {
    return detail::RecvCase<T, detail::Assign<T>>(detail::ChanAccess::core(c), {&v});
}
template <class T>
auto recv(const chan<T>& c, std::type_identity_t<T>& v) {
    return detail::RecvCase<T, detail::Assign<T>>(detail::ChanAccess::core(c), {&v});
}
template <class T>
auto recv(const recv_chan<T>& c, std::type_identity_t<T>& v, bool& ok) {
    return detail::RecvCase<T, detail::Assign<T>>(detail::ChanAccess::core(c), {&v, &ok});
}
template <class T>
auto recv(const chan<T>& c, std::type_identity_t<T>& v, bool& ok) {
    return detail::RecvCase<T, detail::Assign<T>>(detail::ChanAccess::core(c), {&v, &ok});
}

/// send is a send case. The value is evaluated and moved in now, and sent only when this case is chosen.
template <class T, class F = detail::NoAction>
    requires(!std::is_void_v<T>)
auto send(const chan<T>& c, std::type_identity_t<T> v, F fn = {}) {
    return detail::SendCase<T, F>(detail::ChanAccess::core(c), std::move(v), std::move(fn));
}
template <class T, class F = detail::NoAction>
    requires(!std::is_void_v<T>)
auto send(const send_chan<T>& c, std::type_identity_t<T> v, F fn = {}) {
    return detail::SendCase<T, F>(detail::ChanAccess::core(c), std::move(v), std::move(fn));
}
template <class F = detail::NoAction>
auto send(const chan<void>& c, F fn = {}) {
    return detail::SendCase<void, F>(detail::ChanAccess::core(c), std::move(fn));
}
template <class F = detail::NoAction>
auto send(const send_chan<void>& c, F fn = {}) {
    return detail::SendCase<void, F>(detail::ChanAccess::core(c), std::move(fn));
}

/// timeout runs when no other case has been ready for d.
template <class Rep, class Period, class F = detail::NoAction>
auto timeout(std::chrono::duration<Rep, Period> d, F fn = {}) {
    return detail::TimeoutCase<F>{detail::to_ns(d), std::move(fn)};
}

/// otherwise is Go's default: runs when no case is ready at once.
template <class F = detail::NoAction>
auto otherwise(F fn = {}) {
    return detail::OtherwiseCase<F>{std::move(fn)};
}

/// select runs one of the cases and returns its index. Blocks; allocates nothing. Panics when the case is a send on a closed
/// channel.
template <class... Cases>
    requires(!(sizeof...(Cases) == 1 && (std::convertible_to<Cases, std::span<class SelectCase>> && ...)))
std::size_t select(Cases&&... cases) {
    constexpr std::size_t n = sizeof...(Cases);
    std::array<detail::SelectEntry, n == 0 ? 1 : n> entries{};
    std::array<detail::SelectWait, n == 0 ? 1 : n> waits;
    detail::SelectPlan plan;
    std::size_t index = 0;
    ((detail::plan_case(plan, entries[index], index, cases), ++index), ...);
    std::size_t won = plan.run(entries.data(), n, waits.data());
    index = 0;
    (void)((index++ == won ? (cases.finish(entries[won].ok), true) : false) || ...);
    return won;
}

/// SelectCase is one case of a select built at run time (Go's reflect.Select): made from recv(...), send(...), timeout(...),
/// otherwise(...).
class SelectCase {
public:
    template <class C>
        requires(!std::same_as<std::remove_cvref_t<C>, SelectCase>)
    SelectCase(C&& c)
        : case_(std::make_unique<Held<std::remove_cvref_t<C>>>(std::forward<C>(c))) {} // NOLINT(google-explicit-constructor)

    void plan(detail::SelectPlan& p, detail::SelectEntry& e, std::size_t index) { case_->plan(p, e, index); }
    void finish(bool ok) { case_->finish(ok); }

private:
    struct Any {
        virtual ~Any() = default;
        virtual void plan(detail::SelectPlan& p, detail::SelectEntry& e, std::size_t index) = 0;
        virtual void finish(bool ok) = 0;
    };
    template <class C>
    struct Held final : Any {
        template <class U>
        explicit Held(U&& c) : held(std::forward<U>(c)) {
            if constexpr (requires { held.channel(); }) kept = detail::ChanHandle::share(held.channel());
        }
        void plan(detail::SelectPlan& p, detail::SelectEntry& e, std::size_t index) override {
            detail::plan_case(p, e, index, held);
        }
        void finish(bool ok) override { held.finish(ok); }
        C held;
        detail::ChanHandle kept; // of the channel that `held` refers to
    };
    std::unique_ptr<Any> case_;
};

/// select over any number of cases; a case may be used again in a later select, but a send case only until it was chosen.
/// Allocates.
inline std::size_t select(std::span<SelectCase> cases) {
    std::vector<detail::SelectEntry> entries(cases.size());
    auto waits = std::make_unique<detail::SelectWait[]>(cases.size());
    detail::SelectPlan plan;
    for (std::size_t i = 0; i < cases.size(); ++i) cases[i].plan(plan, entries[i], i);
    std::size_t won = plan.run(entries.data(), cases.size(), waits.get());
    cases[won].finish(entries[won].ok);
    return won;
}

} // namespace weir
