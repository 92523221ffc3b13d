// ContextKey and ContextValue: how a Context's values are named and handed out. Go's `any` key and value.
#pragma once

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>

#include <weir/detail/config.h>
#include <weir/detail/panic_value.h>

namespace weir {

namespace detail {

template <class T>
concept Complete = requires { sizeof(T); };

/// context_text is how keys and values show in Context::string(): text raw, classes and enums with operator<< by that, others by
/// their type.
template <class T>
std::string context_text(const T& v) {
    if constexpr (std::is_convertible_v<const T&, std::string_view>) {
        return std::string(std::string_view(v));
    } else if constexpr (Streamable<T> && (std::is_class_v<T> || std::is_enum_v<T>)) {
        std::ostringstream out;
        out << v;
        return out.str();
    } else {
        return type_name(typeid(T));
    }
}

/// TypeTag stands for Key in typeid: Key itself may be an incomplete type.
template <class Key>
struct TypeTag {};

/// tagged_type_name is the demangled name of Key, given TypeTag<Key>.
WEIR_API std::string tagged_type_name(const std::type_info& tag);

} // namespace detail

/// ContextKey names a value: a type alone, or a type and a value of it. It refers to the key object, which must outlive it.
class ContextKey {
public:
    /// of_type is the key that is the type K itself.
    template <class K>
    static ContextKey of_type() noexcept {
        return ContextKey(typeid(detail::TypeTag<K>), nullptr, nullptr);
    }
    /// of is the key that equals `object` in type and value. An object of an empty type is no more than its type.
    template <class K>
        requires std::equality_comparable<K> || std::is_empty_v<K>
    static ContextKey of(const K& object) noexcept {
        if constexpr (std::is_empty_v<K>) {
            return of_type<K>();
        } else {
            return ContextKey(typeid(K), &object, [](const void* a, const void* b) -> bool {
                return *static_cast<const K*>(a) == *static_cast<const K*>(b);
            });
        }
    }

    friend bool operator==(const ContextKey& a, const ContextKey& b) {
        if (*a.type_ != *b.type_) return false;
        return a.object_ == b.object_ || a.equal_(a.object_, b.object_);
    }

private:
    using Equal = bool (*)(const void*, const void*);
    ContextKey(const std::type_info& type, const void* object, Equal equal) noexcept
        : type_(&type), object_(object), equal_(equal) {}

    const std::type_info* type_;
    const void* object_; // null: the key is the type
    Equal equal_;
};

/// ContextValue is what a Context holds under a key: Go's `any`. It refers to the value, which lives as long as the Context it
/// came from.
class ContextValue {
public:
    /// Nothing: the key is unknown, or its value is null.
    ContextValue() noexcept = default;
    template <class T>
    explicit ContextValue(const T& value) noexcept : type_(&typeid(T)), value_(&value) {}

    /// bool tells whether there is a value.
    explicit operator bool() const noexcept { return value_ != nullptr; }

    /// as is the value if its type is exactly T, else null: Go's `v, ok := x.(T)`. Text is std::string.
    template <class T>
    const T* as() const noexcept {
        return value_ != nullptr && *type_ == typeid(T) ? static_cast<const T*>(value_) : nullptr;
    }

private:
    const std::type_info* type_ = nullptr;
    const void* value_ = nullptr;
};

namespace detail {

/// A key type may say what it names: struct UserKey { using Value = User; };
template <class Key>
concept NamesValue = Complete<Key> && requires { typename Key::Value; };

/// A key type that only is a name: empty, or never defined.
template <class Key>
concept BareName = !Complete<Key> || std::is_empty_v<Key>;

/// Text is what is kept as std::string.
template <class V>
concept Text = std::is_convertible_v<const V&, std::string_view> && !std::is_null_pointer_v<V>;

/// stored_t is how a key or a value of type V is kept.
template <class V>
using stored_t = std::conditional_t<Text<std::decay_t<V>>, std::string, std::decay_t<V>>;

/// value_of is the type under the type key Key: what it names, anything (V) for a bare name, else Key itself.
template <class Key, class V>
struct value_of {
    using type = Key;
};
template <NamesValue Key, class V>
struct value_of<Key, V> {
    using type = typename Key::Value;
};
template <BareName Key, class V>
    requires(!NamesValue<Key>)
struct value_of<Key, V> {
    using type = V;
};

} // namespace detail

} // namespace weir
