// What must not compile: channel operations against their direction [b24], copies of what must not be copied [b81].
#include "fixture.h"

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

#include <weir/chan.h>
#include <weir/cond.h>
#include <weir/defer.h>
#include <weir/mutex.h>
#include <weir/once.h>
#include <weir/rwmutex.h>
#include <weir/select.h>
#include <weir/waitgroup.h>

TEST_SUITE_BEGIN("compile_fail");

namespace {

template <class C>
concept Sends = requires(C& c) { c.send(1); };
template <class C>
concept Shifts = requires(C& c) { c << 1; };
template <class C>
concept TrySends = requires(C& c) { c.try_send(1); };
template <class C>
concept Closes = requires(C& c) { c.close(); };
template <class C>
concept Receives = requires(C& c) { c.recv(); };
template <class C>
concept ReceivesOk = requires(C& c) { c.recv_ok(); };
template <class C>
concept Nexts = requires(C& c) { c.next(); };
template <class C>
concept TryReceives = requires(C& c) { c.try_recv(); };
template <class C>
concept Extracts = requires(C& c, int& v) { c >> v; };
template <class C>
concept Ranges = requires(C& c) { c.begin(); };
template <class C>
concept SelectsSend = requires(C& c) { weir::send(c, 1); };
template <class C>
concept SelectsReceive = requires(C& c) { weir::recv(c); };
template <class C>
concept Measures = requires(C& c) { c.len(), c.cap(); };

template <class C>
constexpr bool can_send = Sends<C> && Shifts<C> && TrySends<C> && SelectsSend<C> && Closes<C>;
template <class C>
constexpr bool can_send_somehow = Sends<C> || Shifts<C> || TrySends<C> || SelectsSend<C> || Closes<C>;
template <class C>
constexpr bool can_receive =
    Receives<C> && ReceivesOk<C> && Nexts<C> && TryReceives<C> && Extracts<C> && Ranges<C> && SelectsReceive<C>;
template <class C>
constexpr bool can_receive_somehow =
    Receives<C> || ReceivesOk<C> || Nexts<C> || TryReceives<C> || Extracts<C> || Ranges<C> || SelectsReceive<C>;

template <class T>
constexpr bool stays_put = !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T> &&
                           !std::is_move_constructible_v<T> && !std::is_move_assignable_v<T>;

template <class F, class... A>
concept Starts = requires(F f, A... a) { weir::go(f, a...); };

} // namespace

using Chan = weir::chan<int>;
using SendChan = weir::send_chan<int>;
using RecvChan = weir::recv_chan<int>;

TEST_CASE("a directional channel offers its own direction only [b24]") {
    CHECK(can_send<Chan>);
    CHECK(can_receive<Chan>);
    CHECK(can_send<SendChan>);
    CHECK_FALSE(can_receive_somehow<SendChan>);
    CHECK(can_receive<RecvChan>);
    CHECK_FALSE(can_send_somehow<RecvChan>);
    CHECK(Measures<SendChan>);
    CHECK(Measures<RecvChan>);
}

TEST_CASE("channels convert from bidirectional to directional, and in no other way [b24]") {
    CHECK(std::is_convertible_v<Chan, SendChan>);
    CHECK(std::is_convertible_v<Chan, RecvChan>);
    CHECK_FALSE(std::is_constructible_v<Chan, SendChan>);
    CHECK_FALSE(std::is_constructible_v<Chan, RecvChan>);
    CHECK_FALSE(std::is_constructible_v<SendChan, RecvChan>);
    CHECK_FALSE(std::is_constructible_v<RecvChan, SendChan>);
    CHECK_FALSE(std::is_constructible_v<weir::chan<long>, Chan>);
    CHECK_FALSE(std::is_constructible_v<weir::recv_chan<long>, Chan>);
    CHECK_FALSE(std::is_convertible_v<int, Chan>); // a capacity is no channel
}

TEST_CASE("Cond, Mutex, RWMutex, WaitGroup, Once and defer cannot be copied or moved [b81]") {
    CHECK(stays_put<weir::Cond>);
    CHECK(stays_put<weir::Mutex>);
    CHECK(stays_put<weir::RWMutex>);
    CHECK(stays_put<weir::WaitGroup>);
    CHECK(stays_put<weir::Once>);
    CHECK(stays_put<weir::defer<void (*)()>>);
}

TEST_CASE("go takes what can be called with the arguments, and nothing else") {
    const auto takes_int = [](int) {};
    const auto takes_reference = [](int&) {};
    const auto takes_unique = [](std::unique_ptr<int>) {};
    CHECK(Starts<decltype(takes_int), int>);
    CHECK_FALSE(Starts<decltype(takes_int)>);
    CHECK_FALSE(Starts<decltype(takes_int), const char*>);
    CHECK_FALSE(Starts<decltype(takes_reference), int>); // std::ref says that a reference is meant
    CHECK_FALSE(Starts<decltype(takes_unique), std::unique_ptr<int>&>);
    CHECK_FALSE(Starts<int>);
}

TEST_SUITE_END();
