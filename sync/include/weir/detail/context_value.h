// with_value: a link of a Context's chain that carries one value. Part of <weir/context.h>.
#pragma once

#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>

#include <weir/context.h>
#include <weir/detail/config.h>
#include <weir/detail/context_key.h>

namespace weir {

namespace detail {

class WEIR_API ValueLink : public ContextBase {
public:
    explicit ValueLink(const Context& parent);
    std::optional<Context::time_point> deadline() const final { return anchor_->deadline(); }
    recv_chan<void> done() const final { return anchor_->done(); }
    Error err() const final { return anchor_->err(); }
    std::string string() const final;

private:
    virtual ContextKey key() const noexcept = 0;
    virtual ContextValue held() const noexcept = 0;
    virtual std::string text() const = 0;

    const ContextBase* step(const ContextKey& wanted, ContextValue& found) const final;
    ContextBase* anchor() noexcept final { return anchor_; }

    ContextBase* anchor_; // the parent's: alive as long as the chain
};

/// TypeName is a key that is a type.
template <class Key>
struct TypeName {
    ContextKey key() const noexcept { return ContextKey::of_type<Key>(); }
    std::string text() const { return tagged_type_name(typeid(TypeTag<Key>)); }
};

/// KeyObject is a key that is an object.
template <class K>
struct KeyObject {
    ContextKey key() const noexcept { return ContextKey::of(object); }
    std::string text() const { return context_text(object); }
    K object;
};

template <class Name, class V>
class ValueLinkOf final : public ValueLink {
public:
    template <class Arg>
    ValueLinkOf(const Context& parent, Name name, Arg&& value)
        : ValueLink(parent), name_(std::move(name)), value_(std::forward<Arg>(value)) {}

private:
    static constexpr bool kNull = std::is_null_pointer_v<V>;

    ContextKey key() const noexcept override { return name_.key(); }
    ContextValue held() const noexcept override {
        if constexpr (kNull) {
            return {};
        } else {
            return ContextValue(value_);
        }
    }
    std::string text() const override {
        if constexpr (kNull) {
            return name_.text() + ", <nil>";
        } else {
            return name_.text() + ", " + context_text(value_);
        }
    }

    Name name_;
    V value_;
};

} // namespace detail

/// with_value derives a context with a value under the type Key; see Context::value. nullptr hides what parent has there. For
/// what belongs to a request and crosses APIs, not for optional arguments. Allocates.
template <class Key, class V>
Context with_value(const Context& parent, V&& value) {
    using Stored = detail::stored_t<V>;
    using T = std::conditional_t<std::is_null_pointer_v<Stored>, Stored, typename detail::value_of<Key, Stored>::type>;
    return Context(new detail::ValueLinkOf<detail::TypeName<Key>, T>(parent, {}, std::forward<V>(value)));
}

/// with_value derives a context with a value under a key object, found again by an equal key of the same type.
template <class K, class V>
Context with_value(const Context& parent, K&& key, V&& value) {
    using KeyType = detail::stored_t<K>;
    using Link = detail::ValueLinkOf<detail::KeyObject<KeyType>, detail::stored_t<V>>;
    return Context(new Link(parent, {KeyType(std::forward<K>(key))}, std::forward<V>(value)));
}

} // namespace weir
