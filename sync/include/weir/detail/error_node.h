// ErrorNode: what an Error points to. Immutable and shared; its kinds are in error.cpp and ErrorOf in error.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <span>
#include <string>
#include <typeinfo>

#include <weir/detail/config.h>

namespace weir {
class Error;
}

namespace weir::detail {

class WEIR_API ErrorNode {
public:
    /// Lifetime: the constants are never counted, so that all fibers can copy kEof without sharing a cache line for writing.
    enum class Lifetime : std::uint32_t { Immortal = 0, Counted = 1 };

    constexpr explicit ErrorNode(Lifetime lifetime = Lifetime::Counted) noexcept : refs_(static_cast<std::uint32_t>(lifetime)) {}
    virtual ~ErrorNode() = default;
    ErrorNode(const ErrorNode&) = delete;
    ErrorNode& operator=(const ErrorNode&) = delete;

    virtual std::string message() const = 0;
    /// causes are the errors that this one wraps or joins; none is nil.
    virtual std::span<const Error> causes() const noexcept;
    /// value is the address of the held value if its type is `type`.
    virtual const void* value(const std::type_info& type) const noexcept;
    /// exception is the C++ exception that this error is, or null.
    virtual std::exception_ptr exception() const noexcept;
    /// equals tells whether two errors are ==, as Go compares interface values: the same one, or equal comparable values of one
    /// type.
    virtual bool equals(const ErrorNode& other) const noexcept;
    /// is tells whether this error, not its causes, claims to be `target` beyond equality.
    virtual bool is(const Error& target) const;
    virtual bool timeout() const noexcept;

    void retain() const noexcept {
        if (counted()) refs_.fetch_add(1, std::memory_order_relaxed);
    }
    void release() const noexcept {
        // acq_rel: whoever deletes has seen what all other owners did.
        if (counted() && refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
    }

private:
    bool counted() const noexcept {
        return refs_.load(std::memory_order_relaxed) != static_cast<std::uint32_t>(Lifetime::Immortal);
    }

    mutable std::atomic<std::uint32_t> refs_;
};

} // namespace weir::detail
