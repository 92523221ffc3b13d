// NoDestroy: a static object that is there before any constructor runs and still there while statics are destroyed.
#pragma once

#include <utility>

namespace weir::detail {

template <class T>
union NoDestroy {
    template <class... A>
    constexpr explicit NoDestroy(A&&... args) : value(std::forward<A>(args)...) {}
    ~NoDestroy() {}

    T value;
};

} // namespace weir::detail
