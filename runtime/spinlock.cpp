#include <weir/detail/spinlock.h>

#include "back_off.h"

namespace weir::detail {

namespace {

constexpr int kMostPauses = 128; // about 2 us

} // namespace

void SpinLock::lock_slow() noexcept { take_backing_off(*this, 2, kMostPauses); }

} // namespace weir::detail
