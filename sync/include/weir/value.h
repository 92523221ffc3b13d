// Value<T>: a value that many read and few replace, Go's sync/atomic.Value with the type checked by the compiler.
//
//     weir::Value<Config> current;
//     current.store(load_config());                         // at the start, and at each reload
//     if (auto config = current.load()) use(*config);       // a copy of the latest; no lock
//
// load() copies the value: keep a std::shared_ptr<const T> in it when copies are dear. Any operation sees the whole of one store. A replaced
// value is destroyed when the last load() that may be copying it has ended; see <weir/detail/reclaim.h>. Works on fibers and on plain OS
// threads.
#pragma once

#include <any>
#include <atomic>
#include <concepts>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <weir/detail/config.h>
#include <weir/detail/reclaim.h>
#include <weir/detail/sched_point.h>
#include <weir/panic.h>

namespace weir {

namespace detail {

/// is_nil tells whether v is what Go calls nil: a null pointer of any kind, an empty function or std::any.
template <class T>
bool is_nil(const T& v) {
    if constexpr (std::same_as<T, std::any>) {
        return !v.has_value();
    } else if constexpr (requires { { v == nullptr } -> std::convertible_to<bool>; }) {
        return v == nullptr;
    } else {
        return false;
    }
}

} // namespace detail

template <class T>
    requires std::copy_constructible<T>
class Value {
public:
    /// A value that nothing has been stored in yet.
    Value() noexcept = default;
    Value(const Value&) = delete;
    Value& operator=(const Value&) = delete;
    /// Nobody may be using it.
    ~Value() { delete box_.load(std::memory_order_relaxed); }

    /// load is a copy of what was stored last; nullopt before the first store. Lock-free.
    std::optional<T> load() const {
        const detail::ReadSection section;
        const Box* box = box_.load(std::memory_order_acquire);
        return box != nullptr ? std::optional<T>(box->value) : std::nullopt;
    }

    /// store replaces the value. Allocates. A null pointer panics "sync/atomic: store of nil value into Value"; a std::any that holds another
    /// type than the first one, "sync/atomic: store of inconsistently typed value into Value".
    void store(T v) {
        check(v, "sync/atomic: store of nil value into Value", "sync/atomic: store of inconsistently typed value into Value");
        detail::Unlinked gone;
        replace(std::make_unique<Box>(std::move(v)), gone);
    }

    /// swap is store, and returns the value before: nullopt if there was none. The panics say "swap" for "store".
    std::optional<T> swap(T v) {
        check(v, "sync/atomic: swap of nil value into Value", "sync/atomic: swap of inconsistently typed value into Value");
        detail::Unlinked gone;
        const Box* old = replace(std::make_unique<Box>(std::move(v)), gone);
        return old != nullptr ? std::optional<T>(old->value) : std::nullopt;
    }

    /// compare_and_swap stores `fresh` and returns true if the value is == old; before the first store it never is, except that a null `old`
    /// stands for that, as in Go. Panics "sync/atomic: compare and swap of nil value into Value".
    bool compare_and_swap(const T& old, T fresh)
        requires std::equality_comparable<T>
    {
        if (detail::is_nil(fresh)) panic("sync/atomic: compare and swap of nil value into Value");
        auto box = std::make_unique<Box>(std::move(fresh));
        detail::Unlinked gone;
        const detail::ReadSection section;
        Box* seen = box_.load(std::memory_order_acquire);
        do {
            const bool matches = seen != nullptr ? seen->value == old : detail::is_nil(old);
            if (!matches) return false;
            // acq_rel: pairs with the other loads and changes of box_; publishes the box. That of `seen` is not used again meanwhile.
        } while (!box_.compare_exchange_weak(seen, box.get(), std::memory_order_acq_rel, std::memory_order_acquire));
        box.release();
        if (seen != nullptr) gone.add(*seen);
        return true;
    }

private:
    struct Box final : detail::Retired {
        explicit Box(T v) : value(std::move(v)) {}
        const T value;
    };

    void check(const T& v, const char* nil_text, [[maybe_unused]] const char* type_text) const {
        if (detail::is_nil(v)) panic(nil_text);
        if constexpr (std::same_as<T, std::any>) { // the only type that can differ
            const std::optional<T> first = load();
            if (first && first->type() != v.type()) panic(type_text);
        }
    }

    /// replace publishes `fresh` and returns what was there, which lives as long as `gone`.
    const Box* replace(std::unique_ptr<Box> fresh, detail::Unlinked& gone) noexcept {
        detail::sched_point();
        // acq_rel: pairs with the other loads and changes of box_; publishes the box.
        Box* old = box_.exchange(fresh.release(), std::memory_order_acq_rel);
        if (old != nullptr) gone.add(*old);
        return old;
    }

    std::atomic<Box*> box_{nullptr};
};

} // namespace weir
