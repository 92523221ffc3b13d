#include "signal_stack.h"

#include <csignal>
#include <sys/mman.h>

#include "check.h"

namespace weir::detail {

namespace {

constexpr std::size_t kAlternateSize = 512 << 10; // a fault in the runtime is reported on it, with symbols

} // namespace

AlternateStack::AlternateStack() : size_(kAlternateSize) {
    base_ = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    WEIR_CHECK(base_ != MAP_FAILED);
    stack_t now{};
    now.ss_sp = base_;
    now.ss_size = size_;
    stack_t old{};
    WEIR_CHECK(sigaltstack(&now, &old) == 0);
    old_base_ = old.ss_sp;
    old_size_ = old.ss_size;
    old_flags_ = old.ss_flags;
}

AlternateStack::~AlternateStack() {
    stack_t old{};
    old.ss_sp = old_base_;
    old.ss_size = old_size_;
    old.ss_flags = old_flags_;
    sigaltstack(&old, nullptr);
    munmap(base_, size_);
}

} // namespace weir::detail
