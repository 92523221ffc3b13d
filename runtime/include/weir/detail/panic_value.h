// PanicValue: a panic's value, type-erased, and how each type is printed (Go's printpanicval rules).
#pragma once

#include <exception>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include <weir/detail/config.h>

namespace weir::detail {

class WEIR_API PanicValue {
public:
    virtual ~PanicValue() = default;
    virtual const std::type_info& type() const noexcept = 0;
    virtual const void* get() const noexcept = 0;
    virtual std::string print() const = 0;
};

WEIR_API std::string type_name(const std::type_info& type);
WEIR_API std::string print_float(double value);
WEIR_API std::string print_pointer(const void* p);

template <class T>
concept HasMessage = requires(const T& v) { std::string(v.message()); };
template <class T>
concept Streamable = requires(std::ostream& out, const T& v) { out << v; };

/// print_value is Go's: text, numbers and errors raw; other types as "type(text)", or "(type) address" when they cannot be printed.
template <class T>
std::string print_value(const T& v) {
    if constexpr (std::is_same_v<T, std::string>) {
        return v;
    } else if constexpr (std::is_same_v<T, bool>) {
        return v ? "true" : "false";
    } else if constexpr (std::is_integral_v<T>) {
        return std::to_string(v);
    } else if constexpr (std::is_floating_point_v<T>) {
        return print_float(static_cast<double>(v));
    } else if constexpr (HasMessage<T>) {
        return std::string(v.message());
    } else if constexpr (std::is_base_of_v<std::exception, T>) {
        return v.what();
    } else if constexpr (std::is_enum_v<T>) {
        return type_name(typeid(T)) + "(" + std::to_string(static_cast<long long>(v)) + ")";
    } else if constexpr (std::is_pointer_v<T>) {
        return "(" + type_name(typeid(T)) + ") " + print_pointer(static_cast<const void*>(v));
    } else if constexpr (Streamable<T>) {
        std::ostringstream out;
        out << v;
        return type_name(typeid(T)) + "(" + out.str() + ")";
    } else {
        return "(" + type_name(typeid(T)) + ") " + print_pointer(&v);
    }
}

template <class T>
class PanicValueOf final : public PanicValue {
public:
    template <class From>
    explicit PanicValueOf(From&& from) : value_(std::forward<From>(from)) {}
    const std::type_info& type() const noexcept override { return typeid(T); }
    const void* get() const noexcept override { return &value_; }
    std::string print() const override { return print_value(value_); }

private:
    T value_;
};

/// new_panic_value is out of line: it keeps what it needs from the frames that are unwound.
template <class T, class From>
WEIR_COLD const PanicValue* new_panic_value(From&& from) {
    return new PanicValueOf<T>(std::forward<From>(from));
}

} // namespace weir::detail
