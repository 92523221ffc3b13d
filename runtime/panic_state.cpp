// Where each fiber's and each plain thread's PanicContext lives.
#include "panic_context.h"

#include "worker.h"

namespace weir::detail {

namespace {

WEIR_NOINLINE PanicContext& thread_panic_context() noexcept {
    static thread_local PanicContext context;
    PanicContext* p = &context;
    asm volatile("" : "+rm"(p));
    return *p;
}

} // namespace

LastWait last_wait() noexcept {
    Worker* w = this_worker();
    Fiber* f = w != nullptr ? w->current : nullptr;
    if (f == nullptr) return {};
    const WaitReason reason = f->reason.load(std::memory_order_relaxed);
    if (reason == WaitReason::None) return {}; // parked_since is that of the control block's last fiber
    return {reason, f->parked_since.load(std::memory_order_relaxed)};
}

PanicContext& panic_context_slow() noexcept {
    Worker* w = this_worker();
    Fiber* f = w != nullptr ? w->current : nullptr;
    if (f == nullptr) return thread_panic_context();
    if (f->panics == nullptr) f->panics = new PanicContext;
    return *f->panics;
}

} // namespace weir::detail
