// ContextAccess: the library's way to the private parts of a ContextBase.
#pragma once

#include <weir/context.h>

namespace weir::detail {

struct ContextAccess {
    static const ContextBase* step(const ContextBase& base, const ContextKey& key, ContextValue& found) {
        return base.step(key, found);
    }
    static ContextBase* anchor(const Context& ctx) noexcept { return ctx.base()->anchor(); }

    static void retain(ContextBase& base) noexcept {
        if (counted(base)) base.refs_.fetch_add(1, std::memory_order_relaxed);
    }

    /// try_retain is false once the last reference has gone.
    static bool try_retain(ContextBase& base) noexcept {
        std::uint32_t n = base.refs_.load(std::memory_order_relaxed);
        while (n != 0) {
            // acquire: pairs with the release in revive().
            if (base.refs_.compare_exchange_weak(n, n + 1, std::memory_order_acquire, std::memory_order_relaxed)) return true;
        }
        return false;
    }

    /// drop takes one reference off. True for the last one: destroy() must follow.
    static bool drop(ContextBase& base) noexcept {
        // acq_rel: whoever destroys has seen what all other owners did.
        return counted(base) && base.refs_.fetch_sub(1, std::memory_order_acq_rel) == 1;
    }

    /// revive gives an unreferenced object two references again, which try_retain() then adds to.
    static void revive(ContextBase& base) noexcept { base.refs_.store(2, std::memory_order_release); }

    /// destroy deletes an unreferenced link, and those before it that only it kept, without recursion.
    static void destroy(ContextBase* base) noexcept;

    static void release(ContextBase* base) noexcept {
        if (base != nullptr && drop(*base)) destroy(base);
    }

private:
    static bool counted(const ContextBase& base) noexcept {
        return base.refs_.load(std::memory_order_relaxed) < static_cast<std::uint32_t>(ContextBase::Lifetime::Immortal);
    }
};

} // namespace weir::detail
