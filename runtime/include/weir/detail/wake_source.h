// A wake source: something outside the runtime (OS signals) that makes fibers ready out of the blue.
//
// While one is registered a deadlock is never certain. wake_source_signal() makes a worker call the registered function soon; it is
// async-signal-safe.
#pragma once

#include <weir/detail/config.h>

namespace weir::detail {

/// wake_source_add registers (again) the function that workers call after wake_source_signal(); each add needs a remove. Panics when no runtime runs.
WEIR_API void wake_source_add(void (*deliver)());
WEIR_API void wake_source_remove() noexcept;
WEIR_API void wake_source_signal() noexcept;

/// at_run_end has fn called when the current run ends, after its workers have gone. The same fn counts once.
WEIR_API void at_run_end(void (*fn)());

} // namespace weir::detail
