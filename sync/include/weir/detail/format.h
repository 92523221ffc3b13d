// The `{}` formatter behind errorf: what a value looks like in an error message. Placeholders are counted at compile time.
#pragma once

#include <charconv>
#include <concepts>
#include <cstddef>
#include <exception>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

#include <weir/detail/config.h>

namespace weir::detail {

/// Neither can be called in a constant expression: the compile error names it.
void format_has_another_number_of_placeholders_than_arguments();
void format_has_a_lone_brace();

/// count_placeholders counts `{}`; `{{` and `}}` stand for braces.
consteval std::size_t count_placeholders(std::string_view text) {
    std::size_t n = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '{' && text[i] != '}') continue;
        const char next = i + 1 < text.size() ? text[i + 1] : '\0';
        if (text[i] == '{' && next == '}') {
            ++n;
        } else if (next != text[i]) {
            format_has_a_lone_brace();
        }
        ++i;
    }
    return n;
}

/// FormatText is a literal with as many `{}` as there are arguments.
template <class... A>
struct FormatText {
    template <std::convertible_to<std::string_view> S>
    consteval FormatText(const S& s) : text(s) { // NOLINT(google-explicit-constructor): stands for the literal
        if (count_placeholders(text) != sizeof...(A)) format_has_another_number_of_placeholders_than_arguments();
    }
    std::string_view text;
};

template <class T>
concept HasErrorText = requires(const T& v) { std::string(v.message()); };

/// append_value writes v as Go's %v would: text raw, numbers in decimal, errors by their message, other types by operator<<.
template <class T>
void append_value(std::string& out, const T& v) {
    if constexpr (std::is_same_v<T, bool>) {
        out += v ? "true" : "false";
    } else if constexpr (std::is_same_v<T, char>) {
        out += v;
    } else if constexpr (std::is_arithmetic_v<T>) {
        char digits[64];
        out.append(digits, std::to_chars(digits, digits + sizeof digits, v).ptr);
    } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
        out += std::string_view(v);
    } else if constexpr (HasErrorText<T>) {
        out += v.message();
    } else if constexpr (std::is_base_of_v<std::exception, T>) {
        out += v.what();
    } else {
        std::ostringstream stream;
        stream << v;
        out += stream.str();
    }
}

/// Argument is one formatted value, type-erased.
struct Argument {
    const void* value;
    void (*append)(std::string& out, const void* value);
};

template <class T>
Argument make_argument(const T& v) {
    return {&v, [](std::string& out, const void* p) { append_value(out, *static_cast<const T*>(p)); }};
}

/// format_arguments replaces each `{}` of a checked text.
WEIR_API std::string format_arguments(std::string_view text, const Argument* arguments);

template <class... A>
std::string format(FormatText<std::type_identity_t<A>...> text, const A&... args) {
    const Argument arguments[] = {make_argument(args)..., Argument{}};
    return format_arguments(text.text, arguments);
}

} // namespace weir::detail
