// chan<T>: Go's channel.
//
//     chan<int> c(128);                    // buffered; chan<int> c; is unbuffered; chan<int> c = nil; is nil
//     go([c]() mutable { for (int i = 0; i < 10; ++i) c << i; c.close(); });
//     for (int& v : c) use(v);             // until closed and drained
//     auto [v, ok] = c.recv_ok();
//
// A chan is a cheap handle: copies share the channel, as in Go; the last one to go frees it. Any number of fibers and plain OS threads may use
// one at the same time (each with a handle of its own, or one that nobody assigns to). Values may be move-only. Rules: Go's specification,
// "Channel types", "Send statements", "Receive operator", "Close".
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <weir/detail/chan_core.h>
#include <weir/detail/cell.h>

namespace weir {

struct nil_t {
    explicit constexpr nil_t(int) {}
};
/// nil is the channel that is never ready: receiving and sending block for ever, closing panics.
inline constexpr nil_t nil{0};

namespace detail {

/// ChanHandle counts one reference to a ChanCore.
class ChanHandle {
public:
    ChanHandle() noexcept = default;
    explicit ChanHandle(ChanCore* core) noexcept : core_(core) {} // takes the reference over
    ChanHandle(const ChanHandle& other) noexcept : core_(other.core_) {
        if (core_ != nullptr) core_->retain();
    }
    ChanHandle(ChanHandle&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
    ChanHandle& operator=(ChanHandle other) noexcept {
        std::swap(core_, other.core_);
        return *this;
    }
    ~ChanHandle() {
        if (core_ != nullptr) core_->release();
    }
    ChanCore* get() const noexcept { return core_; }

    /// share counts one more reference; core may be null.
    static ChanHandle share(ChanCore* core) noexcept {
        if (core != nullptr) core->retain();
        return ChanHandle(core);
    }

private:
    ChanCore* core_ = nullptr;
};

struct ChanAccess;

/// ChanMaker makes a typed channel of a handle.
struct ChanMaker {
    template <class C>
    static C make(ChanHandle handle) noexcept {
        return C(std::move(handle));
    }
};

/// ChanBase is what every direction of a channel has.
class ChanBase {
public:
    /// len is the number of buffered values; 0 for nil.
    std::size_t len() const noexcept { return core() != nullptr ? core()->count.load(std::memory_order_acquire) : 0; }
    /// cap is the buffer's size; 0 for unbuffered and nil.
    std::size_t cap() const noexcept { return core() != nullptr ? core()->capacity : 0; }
    /// A channel is true unless it is nil.
    explicit operator bool() const noexcept { return core() != nullptr; }
    friend bool operator==(const ChanBase& a, const ChanBase& b) noexcept { return a.core() == b.core(); }
    friend bool operator==(const ChanBase& a, nil_t) noexcept { return a.core() == nullptr; }

protected:
    ChanBase() noexcept = default;
    explicit ChanBase(ChanHandle handle) noexcept : handle_(std::move(handle)) {}
    ChanCore* core() const noexcept { return handle_.get(); }
    const ChanHandle& handle() const noexcept { return handle_; }

private:
    friend struct ChanAccess;
    ChanHandle handle_;
};

struct ChanAccess {
    static ChanCore* core(const ChanBase& c) noexcept { return c.core(); }
};

} // namespace detail

template <class T>
class send_chan;
template <class T>
class recv_chan;

namespace detail {

/// zero_value is what a closed channel gives: T{}, but nil for channels.
template <class T>
T zero_value() {
    if constexpr (std::is_base_of_v<ChanBase, T>) {
        return T(nil);
    } else {
        return T{};
    }
}

/// Sending is the sending half: Go's chan<- T.
template <class T, class Self>
class Sending {
public:
    /// send blocks until a receiver has v or the buffer has room. Panics "send on closed channel"; v is then lost, nothing was sent.
    void send(T v) const { send_value(std::move(v)); }

    /// try_send sends v if that needs no waiting; v is moved from only then. Panics when closed.
    bool try_send(T&& v) const { return try_value(v); }
    bool try_send(const T& v) const
        requires std::is_copy_constructible_v<T>
    {
        T copy(v);
        return try_value(copy);
    }

    /// close: receivers get what is buffered, then zero values. Panics "close of closed channel", "close of nil channel".
    void close() const { chan_close(core()); }

    friend const Self& operator<<(const Self& c, T v) {
        c.send(std::move(v));
        return c;
    }

private:
    ChanCore* core() const noexcept { return ChanAccess::core(static_cast<const Self&>(*this)); }

    void send_value(T&& v) const {
        Outgoing<T> out(std::move(v));
        chan_send(core(), out.slot());
    }
    bool try_value(T& v) const {
        Outgoing<T> out(std::move(v));
        Try result = chan_try_send(core(), out.slot());
        if (result == Try::Done) return true;
        out.give_back(v);
        if (result == Try::Closed) panic_send_on_closed();
        return false;
    }
};

/// Receiving is the receiving half: Go's <-chan T.
template <class T, class Self>
class Receiving {
public:
    /// next blocks for a value; nullopt once the channel is closed and drained.
    std::optional<T> next() const {
        Incoming<T> in;
        if (!chan_recv(core(), in.room())) return std::nullopt;
        return in.take();
    }

    /// recv_ok blocks for a value; {T{}, false} once closed and drained.
    std::pair<T, bool> recv_ok() const {
        Incoming<T> in;
        if (!chan_recv(core(), in.room())) return {zero_value<T>(), false};
        return {in.take(), true};
    }

    /// recv blocks for a value; T{} once closed and drained.
    T recv() const {
        Incoming<T> in;
        if (!chan_recv(core(), in.room())) return zero_value<T>();
        return in.take();
    }

    /// try_recv takes a value if one is there; nullopt when none is, or when closed and drained. Never blocks.
    std::optional<T> try_recv() const {
        Incoming<T> in;
        if (chan_try_recv(core(), in.room()) != Try::Done) return std::nullopt;
        return in.take();
    }

    /// c >> v receives into v (T{} once closed and drained) and gives Go's ok.
    friend bool operator>>(const Self& c, T& v) {
        Incoming<T> in;
        if (!chan_recv(c.Receiving::core(), in.room())) {
            if constexpr (std::is_default_constructible_v<T>) v = zero_value<T>();
            return false;
        }
        v = in.take();
        return true;
    }

    /// iterator receives one value per step, until closed and drained.
    class iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = T;
        using difference_type = std::ptrdiff_t;
        using pointer = T*;
        using reference = T&;

        iterator() = default;
        explicit iterator(const Receiving* from) : from_(from) { ++*this; }
        T& operator*() { return *value_; }
        T* operator->() { return &*value_; }
        iterator& operator++() {
            value_.reset();
            Incoming<T> in;
            if (chan_recv(from_->core(), in.room())) value_.emplace(in.take());
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(const iterator& a, std::default_sentinel_t) { return !a.value_.has_value(); }

    private:
        const Receiving* from_ = nullptr;
        std::optional<T> value_;
    };
    iterator begin() const { return iterator(this); }
    std::default_sentinel_t end() const noexcept { return {}; }

private:
    ChanCore* core() const noexcept { return ChanAccess::core(static_cast<const Self&>(*this)); }
};

/// Go's chan struct{}: values carry nothing.
template <class Self>
class Sending<void, Self> {
public:
    void send() const {
        Unit unit;
        chan_send(core(), &unit);
    }
    bool try_send() const {
        Unit unit;
        Try result = chan_try_send(core(), &unit);
        if (result == Try::Closed) panic_send_on_closed();
        return result == Try::Done;
    }
    void close() const { chan_close(core()); }

private:
    ChanCore* core() const noexcept { return ChanAccess::core(static_cast<const Self&>(*this)); }
};

template <class Self>
class Receiving<void, Self> {
public:
    /// recv, recv_ok and next block for a signal (true), or until the channel is closed and drained (false).
    bool recv() const { return next(); }
    bool recv_ok() const { return next(); }
    bool next() const {
        Unit unit;
        return chan_recv(core(), &unit);
    }
    /// try_recv takes a signal if one is there. Never blocks.
    bool try_recv() const {
        Unit unit;
        return chan_try_recv(core(), &unit) == Try::Done;
    }

private:
    ChanCore* core() const noexcept { return ChanAccess::core(static_cast<const Self&>(*this)); }
};

} // namespace detail

/// send_chan<T> is Go's chan<- T: it can send and close, not receive.
template <class T>
class send_chan : public detail::ChanBase, public detail::Sending<T, send_chan<T>> {
public:
    send_chan(nil_t = nil) noexcept {} // NOLINT(google-explicit-constructor)

private:
    friend struct detail::ChanMaker;
    explicit send_chan(detail::ChanHandle handle) noexcept : ChanBase(std::move(handle)) {}
};

/// recv_chan<T> is Go's <-chan T: it can receive, not send or close.
template <class T>
class recv_chan : public detail::ChanBase, public detail::Receiving<T, recv_chan<T>> {
public:
    recv_chan(nil_t = nil) noexcept {} // NOLINT(google-explicit-constructor)

private:
    friend struct detail::ChanMaker;
    explicit recv_chan(detail::ChanHandle handle) noexcept : ChanBase(std::move(handle)) {}
};

/// chan<T> both sends and receives. Converts to either direction, never back.
template <class T>
class chan : public detail::ChanBase, public detail::Sending<T, chan<T>>, public detail::Receiving<T, chan<T>> {
public:
    /// An unbuffered channel: send and receive meet. Allocates.
    chan() : chan(0) {}
    /// A channel that holds up to `capacity` values. Panics "makechan: size out of range". Allocates.
    explicit chan(std::ptrdiff_t capacity)
        : ChanBase(detail::ChanHandle(detail::make_chan(detail::kElementType<detail::Cell<T>>, capacity))) {}
    chan(nil_t) noexcept {} // NOLINT(google-explicit-constructor)

    operator send_chan<T>() const noexcept { return detail::ChanMaker::make<send_chan<T>>(handle()); }
    operator recv_chan<T>() const noexcept { return detail::ChanMaker::make<recv_chan<T>>(handle()); }

private:
    friend struct detail::ChanMaker;
    explicit chan(detail::ChanHandle handle) noexcept : ChanBase(std::move(handle)) {}
};

} // namespace weir
