// panic, recover, frame: Go's panics on C++ exceptions.
//
//     frame([&] {
//         defer d{[&] { if (auto p = recover()) log(p->message()); }};
//         panic("out of coffee");               // runs the defers, then ends at the frame
//     });
//     if (auto p = catch_panic(work)) return errorf("work: {}", p->message());
//
// A panic crosses C++ code as an exception and runs destructors; every C++ exception is a panic too. Every fiber's entry function is a
// frame, so an unrecovered panic ends its fiber and no other (or the process, under PanicPolicy::Crash). recover() sees only the
// panic of the deferred call that is running on this fiber. Works on plain OS threads as well.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include <weir/detail/config.h>
#include <weir/detail/panic_value.h>

namespace weir {

/// PanicKind says where a panic came from.
enum class PanicKind : std::uint8_t {
    User,          ///< panic(value)
    Exception,     ///< a C++ exception
    RuntimeError,  ///< misuse found by weir: "send on closed channel", ...
    Fault,         ///< a hardware fault: null pointer, division by zero, ...
    StackOverflow, ///< the fiber's stack reached its maximum
    Fatal,         ///< std::terminate, abort, a failed assert
};

/// PolicyOnPanic: what an uncaught panic ends.
enum class PanicPolicy : std::uint8_t {
    Contain, ///< its fiber; the report goes to stderr and everything else goes on
    Crash,   ///< the process, with Go's report and exit status 2
};

/// RuntimeError is the value of a panic raised by weir itself, as Go's runtime.Error.
class WEIR_API RuntimeError {
public:
    explicit RuntimeError(std::string text) : text_(std::move(text)) {}
    const std::string& message() const noexcept { return text_; }

private:
    std::string text_;
};

/// PanicNilError is the value recovered from panic(nullptr) (Go 1.21).
class WEIR_API PanicNilError {
public:
    std::string message() const { return "panic called with nil argument"; }
};

/// PanicValueAs is the result of Panic::value<T>(): empty when the panic holds another type; converting it to T asserts the type, as
/// Go's v.(T) does, and panics when it is another.
template <class T>
class PanicValueAs : public std::optional<T> {
public:
    using std::optional<T>::optional;
    operator const T&() const; // NOLINT(google-explicit-constructor): Go's single-value type assertion
};

namespace detail {
struct PanicRecord;
}

/// Panic is one panic: its value, where it happened, and what it replaced. A cheap shared handle.
class WEIR_API Panic {
public:
    explicit Panic(std::shared_ptr<detail::PanicRecord> record) noexcept : record_(std::move(record)) {}

    /// message is the value as Go prints it after "panic: ".
    std::string message() const;

    /// value is the panic's value if its type is T exactly (text is std::string), else empty.
    template <class T>
    PanicValueAs<T> value() const {
        const detail::PanicValue* v = raw_value();
        if (v == nullptr || v->type() != typeid(T)) return {};
        return PanicValueAs<T>(*static_cast<const T*>(v->get()));
    }

    /// exception is the C++ exception that this panic is; for panic(value), one that carries it. Rethrow it to examine it.
    std::exception_ptr exception() const;

    PanicKind kind() const noexcept;
    /// type_name is the demangled type of the value or exception.
    std::string type_name() const;
    /// stack is the printable trace of the place that panicked; of a deadlocked bubble also those of its fibers. Symbolises: slow.
    std::string stack() const;
    /// fiber_id is the fiber that panicked; 0 for a plain OS thread.
    std::uint64_t fiber_id() const noexcept;
    /// replaced lists the panics that this one replaced while they were unwinding, the oldest first.
    std::vector<Panic> replaced() const;
    /// recovered tells whether a recover() has seen this panic.
    bool recovered() const noexcept;

    const std::shared_ptr<detail::PanicRecord>& record() const noexcept { return record_; }

private:
    const detail::PanicValue* raw_value() const noexcept;

    std::shared_ptr<detail::PanicRecord> record_;
};

/// PanicException is what a panic travels as. Catching it (or std::exception, or ...) ends the panic without recover(): prefer catch_panic.
class WEIR_API PanicException : public std::exception {
public:
    explicit PanicException(Panic panic) noexcept;
    PanicException(const PanicException&) = default;
    PanicException& operator=(const PanicException&) = default;
    ~PanicException() override;
    const char* what() const noexcept override;
    const Panic& panic() const noexcept { return panic_; }

private:
    Panic panic_;
};

namespace detail {

/// weir_throw_panic panics with that value, which it owns.
extern "C" [[noreturn]] WEIR_API WEIR_COLD void weir_throw_panic(PanicKind kind, const PanicValue* value);

/// panic_runtime panics with a RuntimeError of that text (Go's wording, without prefix).
[[noreturn]] WEIR_API WEIR_COLD void panic_runtime(std::string_view text);

/// fatal prints "fatal error: text" and the calling fiber's stack, and ends the process with status 2. No defers run.
[[noreturn]] WEIR_API WEIR_COLD void fatal(std::string_view text);

/// Both run inside a catch (...) block. frame_caught returns when the panic was recovered, else throws on. catch_panic_caught returns the panic.
WEIR_API void frame_caught();
WEIR_API std::optional<Panic> catch_panic_caught();

} // namespace detail

/// panic starts panicking with `value`: any copyable value; text becomes std::string. Runs the defers of this fiber up to the frame that
/// recovers. Never returns; allocates. panic(nullptr) recovers as PanicNilError.
template <class T>
[[noreturn]] WEIR_ALWAYS_INLINE void panic(T&& value) {
    using V = std::decay_t<T>;
    if constexpr (std::is_same_v<V, std::nullptr_t>) {
        detail::weir_throw_panic(PanicKind::RuntimeError, detail::new_panic_value<PanicNilError>(PanicNilError{}));
    } else if constexpr (std::is_same_v<V, RuntimeError>) {
        detail::weir_throw_panic(PanicKind::RuntimeError, detail::new_panic_value<RuntimeError>(std::forward<T>(value)));
    } else if constexpr (std::is_convertible_v<const V&, std::string_view>) {
        detail::weir_throw_panic(PanicKind::User, detail::new_panic_value<std::string>(std::string_view(value)));
    } else {
        detail::weir_throw_panic(PanicKind::User, detail::new_panic_value<V>(std::forward<T>(value)));
    }
}

/// recover stops the panic whose deferred call is running on this fiber and returns it; anywhere else, or a second time, nothing.
/// The deferred call's frame then returns normally to its caller.
WEIR_API std::optional<Panic> recover();

/// frame runs fn as a Go function body: a panic that a defer inside it recovered ends here and frame returns (fn's result, or a
/// zero value after a recovery); any other goes on up. goexit passes through.
template <class F>
auto frame(F&& fn) -> std::invoke_result_t<F> {
    using R = std::invoke_result_t<F>;
    try {
        return std::forward<F>(fn)();
    } catch (...) {
        detail::frame_caught();
    }
    if constexpr (!std::is_void_v<R>) return R{};
}

/// catch_panic runs fn and returns the panic that left it, recovered; nothing when it returned normally or recovered by itself.
template <class F>
std::optional<Panic> catch_panic(F&& fn) {
    try {
        std::forward<F>(fn)();
        return std::nullopt;
    } catch (...) {
        return detail::catch_panic_caught();
    }
}

/// panics_total counts the panics that nobody recovered, since the process began.
WEIR_API std::uint64_t panics_total() noexcept;
/// panics_recovered_total counts those that recover() or catch_panic stopped.
WEIR_API std::uint64_t panics_recovered_total() noexcept;
/// panics_ignored_total counts those of them whose Panic was dropped without having been read.
WEIR_API std::uint64_t panics_ignored_total() noexcept;
/// abandoned_total counts the fibers whose crash could not be unwound. Each keeps its stack and all it owned for the life of the process.
WEIR_API std::uint64_t abandoned_total() noexcept;

template <class T>
PanicValueAs<T>::operator const T&() const {
    if (!this->has_value()) detail::panic_runtime("interface conversion: the panic's value is not of type " + detail::type_name(typeid(T)));
    return **this;
}

} // namespace weir
