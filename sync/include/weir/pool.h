// Pool<T>: objects to use again instead of making new ones, Go's sync.Pool.
//
//     weir::Pool<Buffer> buffers([] { return std::make_unique<Buffer>(); });
//     auto buffer = buffers.get();                           // one that was put back, or a new one
//     weir::defer d{[&] { buffers.put(std::move(buffer)); }};
//
// For what is dear to make and used briefly. An object comes back as it was put: reset it. The pool may drop any object at any time: what is not
// wanted again for some seconds, while any pool of the program is in use, is destroyed. Thread safety: all of it, on fibers and on plain OS threads;
// each OS thread has a cache of its own, which costs one atomic exchange a get.
#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include <weir/detail/config.h>
#include <weir/detail/pool_core.h>

namespace weir {

template <class T>
class Pool {
public:
    /// A pool whose get() gives null when it is empty.
    Pool() : core_(std::make_unique<detail::PoolCore>([](void* object) { delete static_cast<T*>(object); })) {}

    /// A pool whose get() calls `factory` when it is empty: Go's New. It returns a std::unique_ptr<T>, or a T.
    template <class F>
        requires std::invocable<F&>
    explicit Pool(F factory) : Pool() {
        if constexpr (std::is_convertible_v<std::invoke_result_t<F&>, std::unique_ptr<T>>) {
            factory_ = std::move(factory);
        } else {
            factory_ = [make = std::move(factory)]() mutable { return std::make_unique<T>(make()); };
        }
    }
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;
    /// Destroys what is in it. Nobody may be using it.
    ~Pool() = default;

    /// get is an object that was put, nobody else's now; if there is none the factory's, or null.
    std::unique_ptr<T> get() {
        if (void* object = core_->get()) return std::unique_ptr<T>(static_cast<T*>(object));
        return factory_ ? factory_() : nullptr;
    }

    /// put gives an object to the pool. Null is ignored.
    void put(std::unique_ptr<T> object) {
        if (object == nullptr) return;
        core_->put(object.get());
        object.release();
    }

private:
    const std::unique_ptr<detail::PoolCore> core_;
    std::function<std::unique_ptr<T>()> factory_;
};

/// shrink_pools destroys what lies unused in all pools of the program: for when memory runs short.
WEIR_API void shrink_pools();

namespace detail {
/// age_pools is one ageing of all pools, which time brings about otherwise.
WEIR_API void age_pools();
} // namespace detail

} // namespace weir
