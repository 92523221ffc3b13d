// UnwindPlan: what unwinding a panic does at a return address, worked out once and kept for the life of the process.
//
// The compiler's tables and the type of the exception decide it, and for a panic that type is always PanicException. Plans are
// made for code that is never unloaded while they are there: the program's own file and the one that this code is in. Any number
// of threads may ask at once.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "frame_rule.h"

namespace weir::detail {

enum class PlanKind : std::uint8_t {
    Pass,    // nothing to do in this frame
    Cleanup, // its landing pad cleans up, and resumes
    Handler, // it catches the panic
    Unusual, // libgcc knows
};

struct alignas(64) UnwindPlan {
    std::uintptr_t pc;
    std::uintptr_t landing_pad;
    const std::uint8_t* action; // the action record of a handler, and its table
    const void* lsda;
    std::int32_t selector; // of a handler
    FrameRule rule;
    PlanKind kind;
};
static_assert(sizeof(UnwindPlan) == 64);

/// UnwindPlans is the table of all plans. A plan is immutable and never freed.
class UnwindPlans {
public:
    /// at is the plan for `pc`; `panic` is any PanicException.
    const UnwindPlan& at(std::uintptr_t pc, void* panic) noexcept {
        const UnwindPlan* plan = slots_[first(pc)].load(std::memory_order_acquire); // acquire: pairs with the CAS in add()
        if (plan != nullptr && plan->pc == pc) [[likely]]
            return *plan;
        return look_further(pc, panic);
    }

private:
    static constexpr unsigned kBits = 13;
    static constexpr std::size_t kSlots = std::size_t{1} << kBits;
    static constexpr std::size_t kProbes = 16; // beyond them a plan is not kept: libgcc does the work

    static std::size_t first(std::uintptr_t pc) noexcept { return (pc * 0x9e3779b97f4a7c15u) >> (64 - kBits); }
    const UnwindPlan& look_further(std::uintptr_t pc, void* panic) noexcept;
    const UnwindPlan& add(std::atomic<const UnwindPlan*>& slot, std::uintptr_t pc, void* panic) noexcept;

    std::atomic<const UnwindPlan*> slots_[kSlots]{};
};

extern UnwindPlans g_unwind_plans;

} // namespace weir::detail
