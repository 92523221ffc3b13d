// Cell: how an element lies in a channel. Types that move without throwing lie there as they are, all others behind a pointer, because values
// move under the channel's lock. Outgoing and Incoming are one value on its way in and out, on the stack of whoever sends or receives.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <weir/detail/chan_core.h>

namespace weir::detail {

/// Unit is the element of chan<void>.
struct Unit {};

template <class T>
using Cell = std::conditional_t<std::is_void_v<T>, Unit, std::conditional_t<std::is_nothrow_move_constructible_v<T>, T, std::unique_ptr<T>>>;

template <class T>
constexpr bool kBoxed = !std::is_void_v<T> && !std::is_same_v<Cell<T>, T>;

template <class C>
inline constexpr ElementType kElementType{
    sizeof(C),
    alignof(C),
    [](void* to, void* from) noexcept { new (to) C(std::move(*static_cast<C*>(from))); },
    [](void* value) noexcept { static_cast<C*>(value)->~C(); },
    std::is_trivially_copyable_v<C> && (sizeof(C) == 4 || sizeof(C) == 8) ? sizeof(C) : 0,
};

[[noreturn]] WEIR_API void panic_send_on_closed();

/// Outgoing is a value to be sent.
template <class T>
class Outgoing {
public:
    explicit Outgoing(T&& v) : cell_(wrap(std::move(v))) {}
    void* slot() noexcept { return &cell_; }
    /// give_back returns a value that was not sent.
    void give_back(T& v) {
        if constexpr (kBoxed<T>) {
            v = std::move(*cell_);
        } else {
            v = std::move(cell_);
        }
    }

private:
    static Cell<T> wrap(T&& v) {
        if constexpr (kBoxed<T>) {
            return std::make_unique<T>(std::move(v));
        } else {
            return std::move(v);
        }
    }
    Cell<T> cell_;
};

/// Incoming is room for a value to be received.
template <class T>
class Incoming {
public:
    Incoming() noexcept {}
    Incoming(Incoming&&) noexcept {} // only empty rooms are moved: cases on their way into a select
    Incoming& operator=(Incoming&&) = delete;
    ~Incoming() {}

    void* room() noexcept { return &cell_; }
    /// take moves the received value out. Once, and only after a value has been received.
    T take() {
        struct Destroy {
            Cell<T>& c;
            ~Destroy() { c.~Cell<T>(); }
        } destroy{cell_};
        if constexpr (kBoxed<T>) {
            return std::move(*cell_);
        } else {
            return std::move(cell_);
        }
    }

private:
    union {
        Cell<T> cell_;
    };
};

} // namespace weir::detail
