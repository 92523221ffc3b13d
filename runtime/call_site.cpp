#include "call_site.h"

#include <unwind.h>

#include "call_site_table.h"

namespace weir::detail {

namespace {

constexpr int kMostFrames = 64; // without tables: then an exception is taken to pass

struct Search {
    std::uintptr_t pc;
    int frames = 0; // looked at, from that of `pc` on
    bool can_throw = false;
};

_Unwind_Reason_Code step(_Unwind_Context* context, void* arg) {
    auto& search = *static_cast<Search*>(arg);
    int before = 0;
    std::uintptr_t pc = _Unwind_GetIPInfo(context, &before);
    if (search.frames == 0 && (pc != search.pc || before == 0)) return _URC_NO_REASON; // the handler's own frames
    const void* lsda = reinterpret_cast<const void*>(_Unwind_GetLanguageSpecificData(context));
    if (lsda == nullptr) {
        search.can_throw = ++search.frames == kMostFrames;
        return search.can_throw ? _URC_END_OF_STACK : _URC_NO_REASON;
    }
    search.can_throw = find_call_site(lsda, _Unwind_GetRegionStart(context), pc - (before != 0 ? 0 : 1)).has_value();
    return _URC_END_OF_STACK;
}

} // namespace

bool can_throw_at(std::uintptr_t pc) noexcept {
    Search search{pc};
    _Unwind_Backtrace(step, &search);
    return search.can_throw;
}

} // namespace weir::detail
