// Crashes: what a fiber does that cannot go on.
//
// A fault panics where the code can unwind. Where it cannot (std::terminate, abort(), a corrupt or exhausted stack) the fiber is abandoned:
//   - Its report is queued, it counts as ended, and it switches away for good. It does so in ordinary code on its own stack, never in a signal
//     handler, and the C++ exception globals of the thread become those of whoever runs next.
//   - Nothing on its stack is destroyed. Stack and control block are never used again while the process lives: other fibers may hold
//     pointers into them, and find there what they left.
//   - It is in no wait list: only a running fiber crashes, and whoever is woken has been taken off all lists first.
#pragma once

#include <cstdint>
#include <memory>

#include "panic_context.h"

namespace weir::detail {

/// abandon_fiber ends the calling fiber where it stands, for the reason `why`.
[[noreturn]] void abandon_fiber(const std::shared_ptr<PanicRecord>& why) noexcept;

/// abandoned_count counts the fibers abandoned since the process began.
std::uint64_t abandoned_count() noexcept;

/// install_terminate_handler makes std::terminate end the fiber that calls it; on a thread that runs none, the handler before is called.
void install_terminate_handler() noexcept;
void restore_terminate_handler() noexcept;

} // namespace weir::detail
