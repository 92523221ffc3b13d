// RuntimeLock: a SpinLock of the runtime's own structures, which outlive every fiber.
//
// At the end of a run, a thread that is stuck in a fiber is made to leave it wherever it is (fault.cpp): not while it holds one of these, which nobody
// would release.
#pragma once

#include <weir/detail/spinlock.h>

namespace weir::detail {

class RuntimeLock {
public:
    void lock() noexcept;
    void unlock() noexcept;

private:
    SpinLock lock_;
};

/// stay_put and may_go bracket what this thread must not be torn out of. They nest.
void stay_put() noexcept;
void may_go() noexcept;

} // namespace weir::detail
