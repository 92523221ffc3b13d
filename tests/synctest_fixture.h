// What the tests of synctest share.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "fixture.h"

#include <weir/clock.h>
#include <weir/synctest.h>

namespace weir_test {

using weir::synctest::wait;

/// bubble runs fn in a bubble at 1, 2 and 4 workers.
template <class F>
void bubble(F fn) {
    each_workers([&] { weir::synctest::test(fn); });
}

inline std::string bubble_panic(const std::function<void()>& fn) {
    return panic_text([&] { weir::synctest::test(fn); });
}

/// Watch measures the bubble's time.
struct Watch {
    weir::time_point begun = weir::now();
    std::chrono::nanoseconds elapsed() const { return weir::now() - begun; }
};

} // namespace weir_test
