#include "site.h"

#include <cstring>
#include <new>

#include <weir/detail/config.h>
#include "fiber.h"
#include "worker.h"

namespace weir::detail {

namespace {

#if defined(__x86_64__) && !WEIR_ASAN && !WEIR_TSAN

/// in_use is how many bytes of the running fiber's stack lie from `sp` up; 0 when it is none, or they are too many to copy.
std::size_t in_use(std::uintptr_t sp) noexcept {
    Worker* w = this_worker();
    const Stack* stack = w != nullptr && w->current != nullptr ? w->current->stack : nullptr;
    if (stack == nullptr) return 0;
    auto top = reinterpret_cast<std::uintptr_t>(stack->top);
    return sp < top && top - sp <= Site::kMostCopied ? top - sp : 0;
}

/// WEIR_SAVE_CONTEXT fills `c` with the registers at this very place: what the unwinding tables say of it is true of them.
#define WEIR_SAVE_CONTEXT(c)                                                                                                               \
    asm volatile("leaq 1f(%%rip), %%rax\n\t"                                                                                               \
                 "movq %%rax, 0(%0)\n\t"                                                                                                   \
                 "movq %%rsp, 8(%0)\n\t"                                                                                                   \
                 "movq %%rbp, 16(%0)\n\t"                                                                                                  \
                 "movq %%rbx, 24(%0)\n\t"                                                                                                  \
                 "movq %%r12, 32(%0)\n\t"                                                                                                  \
                 "movq %%r13, 40(%0)\n\t"                                                                                                  \
                 "movq %%r14, 48(%0)\n\t"                                                                                                  \
                 "movq %%r15, 56(%0)\n\t"                                                                                                  \
                 "1:"                                                                                                                      \
                 :                                                                                                                         \
                 : "r"(&(c))                                                                                                               \
                 : "rax", "memory")

#else

std::size_t in_use(std::uintptr_t) noexcept { return 0; }
#define WEIR_SAVE_CONTEXT(c) (void)(c)

#endif

} // namespace

SitePtr Site::with_room(std::size_t size, SitePtr old) noexcept {
    if (old != nullptr && old->room_ >= size) return old;
    old.reset();
    void* memory = std::malloc(sizeof(Site) + size);
    if (memory == nullptr) return nullptr;
    auto* site = new (memory) Site;
    site->room_ = size;
    return SitePtr(site);
}

WEIR_NOINLINE SitePtr take_site(const void* thrower, SitePtr old) noexcept {
    SavedContext here{};
    WEIR_SAVE_CONTEXT(here);
    std::size_t size = in_use(here.sp);
    if (size == 0) {
        Trace trace;
        take_trace(trace, 0);
        return site_of(trace);
    }
    SitePtr site = Site::with_room(size, std::move(old));
    if (site == nullptr) return nullptr;
    site->context_ = here;
    site->size_ = size;
    site->key_ = reinterpret_cast<std::uintptr_t>(thrower) * 31 + size;
    std::memcpy(site->bytes(), reinterpret_cast<const void*>(here.sp), size);
    return site;
}

SitePtr site_of(const Trace& trace) noexcept {
    SitePtr site = Site::with_room(sizeof trace, nullptr);
    if (site == nullptr) return nullptr;
    for (const void* pc : trace.addresses()) site->key_ = site->key_ * 31 + reinterpret_cast<std::uintptr_t>(pc);
    new (site->bytes()) Trace(trace);
    return site;
}

Trace Site::trace() const {
    if (size_ != 0) return unwind_saved(context_, {bytes(), size_});
    return *std::launder(reinterpret_cast<const Trace*>(bytes()));
}

} // namespace weir::detail
