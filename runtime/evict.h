// Eviction: making a thread leave the fiber it is stuck in, for the end of a run.
#pragma once

#include <csignal>

namespace weir::detail {

constexpr int kEvictSignal = SIGURG; // ignored by default and rarely used: Go's choice for preemption

/// evict_fiber makes another worker's thread leave the fiber it is stuck in. A request: the thread obeys when it is in no critical section
/// of libc. May be repeated.
void evict_fiber(int tid);

/// obey_eviction is called by the handler of kEvictSignal: edits `context` (a ucontext_t) if this thread was meant. False when it was not.
bool obey_eviction(void* context) noexcept;

} // namespace weir::detail
