// AlternateStack: the stack that a thread's signal handlers run on.
#pragma once

#include <cstddef>

namespace weir::detail {

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

} // namespace weir::detail
