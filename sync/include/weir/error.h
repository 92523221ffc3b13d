// Error: Go's error, a value that says what went wrong. Empty is Go's nil.
//
//     weir::Error save(const Order& order) {
//         auto [file, err] = open(path);
//         if (err) return weir::errorf("save order {}: {}", order.id, weir::wrap(err));
//         ...
//         return {};
//     }
//     if (err.is(weir::kEof)) ...                  // anywhere in the chain of wrapped errors
//     if (auto* e = err.as<ParseError>()) ...      // a type of yours with `std::string message() const`
//
// An Error is one pointer to an immutable, shared node: cheap to copy and return; making a nil one, copying and testing allocate
// nothing. Two errors are == as in Go: the same one, or equal std::error_codes, or values of one type of yours whose operator==
// says so. Two errors with the same text are not. Thread safety: as an int; the node may be shared by any threads.
//
// A type of yours becomes an error by having `message() const`, and may add `Error unwrap() const`, `bool is(const Error&)
// const`, `bool timeout() const`.
#pragma once

#include <cerrno>
#include <concepts>
#include <cstddef>
#include <exception>
#include <initializer_list>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include <weir/detail/config.h>
#include <weir/detail/error_node.h>
#include <weir/detail/format.h>
#include <weir/panic.h>

namespace weir {

struct Wrapped;
struct nil_t; // of <weir/chan.h>

namespace detail {
template <class T, class... Others>
concept NoneOf = !(std::same_as<T, Others> || ...);
template <class T>
concept ErrorValue = NoneOf<T, Error, Wrapped, nil_t, Panic, std::error_code, std::error_condition> && HasErrorText<T> &&
                     std::copy_constructible<T>;
} // namespace detail

class WEIR_API Error {
public:
    /// The nil error: nothing went wrong.
    constexpr Error() noexcept = default;
    constexpr Error(std::nullptr_t) noexcept {} // NOLINT(google-explicit-constructor): Go's nil
    constexpr Error(const nil_t&) noexcept {}   // NOLINT(google-explicit-constructor): so that `err != nil` reads as in Go

    /// An error that is just a text, equal only to its own copies: Go's errors.New. Allocates.
    explicit Error(std::string text);
    explicit Error(std::string_view text) : Error(std::string(text)) {}
    explicit Error(const char* text) : Error(std::string(text)) {}

    /// A code of the system or of a library; its zero is nil. The system's texts start in lower case, as Go's.
    Error(std::error_code code); // NOLINT(google-explicit-constructor): a code is an error
    /// from_errno is the error of a failed system call.
    static Error from_errno(int number = errno) { return Error(std::error_code(number, std::system_category())); }

    /// A caught exception, kept alive; as<E>() finds it by its type or a base. Null is nil; a thrown Error is itself.
    explicit Error(const std::exception_ptr& exception);
    template <class E>
        requires std::derived_from<E, std::exception>
    explicit Error(const E& exception) : Error(std::make_exception_ptr(exception)) {}

    /// A panic that was caught. It unwraps to the panic's value if that is an Error.
    explicit Error(Panic panic);

    /// A value of a type of yours.
    template <class T>
        requires detail::ErrorValue<T>
    Error(T value); // NOLINT(google-explicit-constructor): as a Go type with Error() is an error

    Error(const Error& other) noexcept : node_(other.node_) {
        if (node_ != nullptr) node_->retain();
    }
    Error(Error&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
    Error& operator=(Error other) noexcept {
        std::swap(node_, other.node_);
        return *this;
    }
    ~Error() {
        if (node_ != nullptr) node_->release();
    }

    /// bool tells whether this is an error; false is Go's nil.
    explicit operator bool() const noexcept { return node_ != nullptr; }

    /// message is its text; "<nil>" of a nil error. Allocates.
    std::string message() const;

    /// unwrap is the one error that this one wraps; nil when it wraps none or, as in Go, several.
    Error unwrap() const noexcept;

    /// is tells whether this error or one in its tree of causes is `target`: Go's errors.Is.
    bool is(const Error& target) const;
    /// is tells whether a std::error_code in the tree means `condition`: err.is(std::errc::connection_refused).
    bool is(std::error_condition condition) const noexcept;

    /// as finds the first value of type T in the tree (for exceptions: of T or derived from it); null when there is none. It
    /// lives as long as this Error.
    template <class T>
    const T* as() const {
        const void* found = find([](const detail::ErrorNode& node) -> const void* {
            if (const void* v = node.value(typeid(T))) return v;
            return exception_as<T>(node.exception());
        });
        return static_cast<const T*>(found);
    }

    /// timeout tells whether an error in the tree is a time-out: Go's Timeout().
    bool timeout() const noexcept;

    friend bool operator==(const Error& a, const Error& b) noexcept {
        return a.node_ == b.node_ || (a.node_ != nullptr && b.node_ != nullptr && a.node_->equals(*b.node_));
    }
    WEIR_API friend std::ostream& operator<<(std::ostream& out, const Error& err);

    /// Takes over one reference. For the library's own kinds of errors.
    constexpr explicit Error(const detail::ErrorNode* node) noexcept : node_(node) {}

private:
    using Visitor = const void* (*)(const detail::ErrorNode& node);

    /// find is the first non-null result of visit over the tree of causes, this error first, depth first.
    const void* find(Visitor visit) const;

    template <class T>
    static const void* exception_as(const std::exception_ptr& exception) {
        if (!exception) return nullptr;
        try {
            std::rethrow_exception(exception);
        } catch (const T& e) {
            return &e; // the object that exception_ptr keeps, not a copy
        } catch (...) {
            return nullptr;
        }
    }

    const detail::ErrorNode* node_ = nullptr;
};

/// kEof is the normal end of an input: Go's io.EOF.
extern WEIR_API const Error kEof;
/// kCanceled is what a Context ends with when it is cancelled: "context canceled".
extern WEIR_API const Error kCanceled;
/// kDeadlineExceeded is what a Context ends with when its time is up: "context deadline exceeded"; timeout() is true.
extern WEIR_API const Error kDeadlineExceeded;

/// Wrapped marks an argument of errorf that the new error wraps: Go's %w.
struct Wrapped {
    Error error;
    std::string message() const { return error.message(); }
};

/// wrap marks err for errorf.
inline Wrapped wrap(Error err) { return {std::move(err)}; }

namespace detail {
WEIR_API Error make_wrapping(std::string message, std::span<const Error> causes);

inline Error wrapped_error(const Wrapped& w) { return w.error; }
template <class T>
Error wrapped_error(const T&) {
    return {};
}
} // namespace detail

/// errorf makes an error from a literal text, each `{}` replaced by an argument; is(), as() and unwrap() see those given as
/// wrap(err), and no others.
/// `{{` and `}}` are braces. A wrong number of arguments does not compile. Values print as with Go's %v; other types need an
/// operator<<.
template <class... A>
Error errorf(detail::FormatText<std::type_identity_t<A>...> text, const A&... args) {
    std::string message = detail::format<A...>(text, args...);
    if constexpr ((std::same_as<A, Wrapped> || ...)) {
        const Error causes[] = {detail::wrapped_error(args)...};
        return detail::make_wrapping(std::move(message), causes);
    } else {
        return Error(std::move(message));
    }
}

/// join makes one error of several, its text theirs on a line each; nil when all are nil: Go's errors.Join.
WEIR_API Error join(std::span<const Error> errors);
inline Error join(std::initializer_list<Error> errors) { return join(std::span<const Error>(errors.begin(), errors.size())); }
template <std::convertible_to<Error>... E>
Error join(const E&... errors) {
    return join({Error(errors)...});
}

namespace detail {

/// ErrorOf holds a value of a user's type.
template <class T>
class ErrorOf final : public ErrorNode {
public:
    explicit ErrorOf(T value) : value_(std::move(value)) {
        if constexpr (requires {
                          { value_.unwrap() } -> std::convertible_to<Error>;
                      })
            cause_ = value_.unwrap();
    }
    std::string message() const override { return std::string(value_.message()); }
    std::span<const Error> causes() const noexcept override { return {&cause_, cause_ ? std::size_t{1} : std::size_t{0}}; }
    const void* value(const std::type_info& type) const noexcept override { return type == typeid(T) ? &value_ : nullptr; }
    bool equals(const ErrorNode& other) const noexcept override {
        if constexpr (std::equality_comparable<T>) {
            const void* v = other.value(typeid(T));
            return v != nullptr && value_ == *static_cast<const T*>(v);
        } else {
            return this == &other;
        }
    }
    bool is(const Error& target) const override {
        if constexpr (requires {
                          { value_.is(target) } -> std::convertible_to<bool>;
                      })
            return value_.is(target);
        return false;
    }
    bool timeout() const noexcept override {
        if constexpr (requires {
                          { value_.timeout() } -> std::convertible_to<bool>;
                      })
            return value_.timeout();
        return false;
    }

private:
    T value_;
    Error cause_;
};

} // namespace detail

template <class T>
    requires detail::ErrorValue<T>
Error::Error(T value) : node_(new detail::ErrorOf<T>(std::move(value))) {}

} // namespace weir
