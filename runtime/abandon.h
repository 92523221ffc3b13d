// What is left of fibers that were still there when a run ended: nothing of theirs is unwound, their stacks and control blocks are taken back.
#pragma once

namespace weir::detail {

/// abandon_fibers frees every fiber that has not ended. All workers are gone.
void abandon_fibers() noexcept;

} // namespace weir::detail
