// The fault handler: grows stacks, names stack overflows, leaves every other fault to whoever handled it before.
#pragma once

#include <cstddef>

namespace weir::detail {

/// install_fault_handler puts the SIGSEGV/SIGBUS handler in front of what was there. Idempotent; restore_fault_handler takes it away.
void install_fault_handler();
void restore_fault_handler();

/// AlternateStack gives the calling thread a signal stack while it lives.
class AlternateStack {
public:
    AlternateStack();
    ~AlternateStack();
    AlternateStack(const AlternateStack&) = delete;
    AlternateStack& operator=(const AlternateStack&) = delete;

private:
    void* base_ = nullptr;
    std::size_t size_ = 0;
    void* old_base_ = nullptr;
    std::size_t old_size_ = 0;
    int old_flags_ = 0;
};

/// evict_fiber makes another worker's thread leave the fiber it is stuck in, for the end of a run. A request: the thread obeys when it is
/// in no critical section of libc. May be repeated.
void evict_fiber(int tid);

} // namespace weir::detail
