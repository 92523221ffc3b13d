#include "evict.h"

#include <cstdint>
#include <cstring>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "code_ranges.h"
#include "stack.h"
#include "worker.h"

namespace weir::detail {

namespace {

#if defined(__x86_64__)
bool is_system_call(std::uintptr_t pc) { return std::memcmp(reinterpret_cast<const void*>(pc), "\x0f\x05", 2) == 0; }

/// may_leave: in the program's own code, or blocked in a system call: behind the instruction, or back on it to be restarted (SA_RESTART).
bool may_leave(std::uintptr_t pc) {
    CodeOwner owner = code_owner(pc);
    return owner == CodeOwner::Program || (owner == CodeOwner::Libc && (is_system_call(pc) || is_system_call(pc - 2)));
}
#endif

} // namespace

void evict_fiber(int tid) { syscall(SYS_tgkill, getpid(), tid, kEvictSignal); }

bool obey_eviction([[maybe_unused]] void* context) noexcept {
    Worker* w = this_worker();
    if (w == nullptr || (w->attention.load(std::memory_order_relaxed) & Worker::kStop) == 0) return false;
    bool stuck = w->current != nullptr && w->running.load(std::memory_order_relaxed) &&
                 w->unevictable.load(std::memory_order_relaxed) == 0 && w->reporting.load(std::memory_order_relaxed) == 0;
    if (!stuck) return true; // or not now: it will be asked again
#if defined(__x86_64__)
    auto& regs = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    auto sp = static_cast<std::uintptr_t>(regs[REG_RSP]);
    Stack* stack = w->current->stack;
    if (stack == nullptr || stack_of(reinterpret_cast<void*>(sp)) != stack || !may_leave(static_cast<std::uintptr_t>(regs[REG_RIP]))) return true;
    // As if the interrupted instruction had called abandon_current(): below the red zone, with the alignment a call leaves.
    regs[REG_RSP] = static_cast<greg_t>(((sp - 256) & ~std::uintptr_t{15}) - 8);
    regs[REG_RIP] = static_cast<greg_t>(reinterpret_cast<std::uintptr_t>(&abandon_current));
#endif
    return true;
}

} // namespace weir::detail
