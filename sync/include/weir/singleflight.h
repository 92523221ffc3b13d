// SingleFlight: callers that want the same thing at the same time share one call. Go's golang.org/x/sync/singleflight.
//
//     weir::SingleFlight<std::string, User> flight;
//     auto [user, err, shared] = flight.run(id, [&] { return load_user(id); });       // -> std::pair<User, Error>, or User
//
// The first caller of a key runs its function; those that come before it has ended wait and get copies of its result. A panic or a goexit of
// the function happens to all of them: run() panics with the same value or calls goexit, run_chan() delivers an error. Works on fibers and on
// plain OS threads, where goexit is a panic with kGoexit. The SingleFlight must outlive its calls.
//
// Invariant: calls_ holds a call from before its function starts until after it has ended, or until it is forgotten; who finds one there may
// join it.
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include <weir/chan.h>
#include <weir/defer.h>
#include <weir/detail/config.h>
#include <weir/error.h>
#include <weir/go.h>
#include <weir/mutex.h>
#include <weir/panic.h>
#include <weir/waitgroup.h>

namespace weir {

/// kGoexit is what a shared call that ended by goexit() delivers to a channel: "runtime.Goexit was called".
extern WEIR_API const Error kGoexit;

template <class K, class V, class Hash = std::hash<K>, class Equal = std::equal_to<K>>
class SingleFlight {
public:
    /// Result of a shared call. `shared` tells whether several callers got it.
    struct Result {
        V value{};
        Error err;
        bool shared = false;
    };

    SingleFlight() = default;
    SingleFlight(const SingleFlight&) = delete;
    SingleFlight& operator=(const SingleFlight&) = delete;

    /// run calls fn, or waits for the call of the same key that is under way ("sync.WaitGroup.Wait"). fn returns a V or a pair of V and
    /// Error.
    template <class F>
    Result run(const K& key, F&& fn) {
        auto [call, mine] = join(key, nil);
        if (mine) {
            execute(*call, key, fn);
        } else {
            call->ended.wait();
        }
        return call->get();
    }

    /// run_chan is run without the waiting: the channel gets the Result once and is never closed. A panic of fn is an error there, which
    /// holds the Panic (err.as<Panic>()), a goexit kGoexit.
    template <class F>
    recv_chan<Result> run_chan(const K& key, F&& fn) {
        chan<Result> result(1);
        auto [call, mine] = join(key, result);
        if (mine) {
            go([this, call = std::move(call), key, task = std::decay_t<F>(std::forward<F>(fn))]() mutable { execute(*call, key, task); });
        }
        return result;
    }

    /// forget makes the next caller of key start a call of its own, instead of waiting for the one under way.
    void forget(const K& key) {
        const std::lock_guard lock(mu_);
        calls_.erase(key);
    }

private:
    struct Call {
        Call() { ended.add(1); }

        /// get is the outcome for a caller of run(), once the call has ended.
        Result get() const {
            if (panicked) std::rethrow_exception(panicked->exception());
            if (exited) repeat_goexit();
            return result;
        }

        /// delivered is the outcome for a channel.
        Result delivered() const {
            if (panicked) return {V{}, Error(*panicked), result.shared};
            if (exited) return {V{}, kGoexit, result.shared};
            return result;
        }

        WaitGroup ended; // at zero, the rest is constant
        Result result;
        std::optional<Panic> panicked;
        bool exited = true;                  // until fn has returned or panicked
        std::size_t joined = 0;              // guarded by mu_: callers besides the first
        std::vector<chan<Result>> receivers; // guarded by mu_
    };

    [[noreturn]] static void repeat_goexit() {
        if (detail::on_fiber()) goexit();
        panic(kGoexit);
    }

    /// join finds the call under way, or starts one for the caller to execute.
    std::pair<std::shared_ptr<Call>, bool> join(const K& key, const chan<Result>& receiver) {
        const std::lock_guard lock(mu_);
        std::shared_ptr<Call>& call = calls_[key];
        const bool mine = call == nullptr;
        if (mine) {
            call = std::make_shared<Call>();
        } else {
            ++call->joined;
        }
        if (receiver) call->receivers.push_back(receiver);
        return {call, mine};
    }

    /// execute runs fn and hands the outcome out, also while goexit unwinds it.
    template <class F>
    void execute(Call& call, const K& key, F& fn) {
        defer end{[&] { finish(call, key); }};
        call.panicked = catch_panic([&] { assign(call.result, fn()); });
        call.exited = false;
    }

    static void assign(Result& result, std::pair<V, Error> got) {
        result.value = std::move(got.first);
        result.err = std::move(got.second);
    }
    static void assign(Result& result, V got) { result.value = std::move(got); }

    void finish(Call& call, const K& key) {
        std::vector<chan<Result>> receivers;
        {
            const std::lock_guard lock(mu_);
            auto found = calls_.find(key);
            if (found != calls_.end() && found->second.get() == &call) calls_.erase(found); // else forgotten, and perhaps another's
            call.result.shared = call.joined > 0;
            receivers.swap(call.receivers);
        }
        for (const auto& receiver : receivers) receiver.send(call.delivered()); // each has room for it
        call.ended.done();
    }

    Mutex mu_;
    std::unordered_map<K, std::shared_ptr<Call>, Hash, Equal> calls_; // guarded by mu_
};

} // namespace weir
