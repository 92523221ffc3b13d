// The stack that runs, walked by libgcc.
#include "trace.h"

#include <unwind.h>

#include <weir/detail/config.h>

namespace weir::detail {

namespace {

struct Walk {
    Trace* trace;
    int skip;
};

_Unwind_Reason_Code step(_Unwind_Context* context, void* arg) {
    auto* walk = static_cast<Walk*>(arg);
    int before = 0;
    auto pc = _Unwind_GetIPInfo(context, &before);
    if (pc == 0 || walk->trace->size == Trace::kMax) return _URC_END_OF_STACK;
    if (walk->skip-- > 0) return _URC_NO_REASON;
    // A return address may lie in the next line or function: what is printed is the call before it.
    walk->trace->pc[static_cast<std::size_t>(walk->trace->size++)] = reinterpret_cast<void*>(before != 0 ? pc : pc - 1);
    return _URC_NO_REASON;
}

} // namespace

WEIR_NOINLINE void take_trace(Trace& trace, int skip) noexcept {
    Walk walk{&trace, skip + 1};
    trace.size = 0;
    _Unwind_Backtrace(step, &walk);
}

} // namespace weir::detail
