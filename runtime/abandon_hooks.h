// The OnAbandon objects of a fiber, and who runs them.
//
// They are a list in FiberExtra, each in memory of its own: nothing here looks at the abandoned stack. The fiber that runs them takes the list
// over as its own, so that one which is abandoned in its turn leaves the rest to yet another.
#pragma once

#include <functional>

#include <weir/panic.h>

namespace weir::detail {

struct Fiber;

struct AbandonHook {
    AbandonHook* below; // made before this one
    std::function<void()> fn;
};

/// run_abandon_hooks starts the fiber that runs what `f`, which is being abandoned, has registered; then what its function answers to that.
void run_abandon_hooks(Fiber& f, const Panic& why) noexcept;

} // namespace weir::detail
