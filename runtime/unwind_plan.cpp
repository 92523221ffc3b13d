#include "unwind_plan.h"

#include "raise.h"

#if WEIR_OWN_UNWINDING

#include <cxxabi.h>
#include <link.h>
#include <new>
#include <typeinfo>

#include <weir/panic.h>
#include "call_site_table.h"
#include "dwarf_reader.h"

extern "C" int __gxx_personality_v0(); // by its address only

namespace weir::detail {

namespace {

constinit const UnwindPlan kUnusual{
    .pc = 0, .landing_pad = 0, .action = nullptr, .lsda = nullptr, .selector = 0, .rule = {}, .kind = PlanKind::Unusual};

/// Code is the code that stays loaded as long as the plans.
class Code {
public:
    Code() noexcept { dl_iterate_phdr(note, this); }

    bool has(std::uintptr_t pc) const noexcept {
        for (int i = 0; i < count_; ++i) {
            if (pc >= ranges_[i].begin && pc < ranges_[i].end) return true;
        }
        return false;
    }

private:
    struct Range {
        std::uintptr_t begin, end;
    };
    static constexpr int kMost = 8;

    static int note(dl_phdr_info* info, std::size_t, void* self) {
        auto& code = *static_cast<Code*>(self);
        bool program = !code.any_;
        code.any_ = true; // the program itself comes first
        Range found[kMost];
        int n = 0;
        bool ours = false;
        for (int i = 0; i < info->dlpi_phnum && n < kMost; ++i) {
            const ElfW(Phdr)& p = info->dlpi_phdr[i];
            if (p.p_type != PT_LOAD || (p.p_flags & PF_X) == 0) continue;
            Range& r = found[n++] = {info->dlpi_addr + p.p_vaddr, info->dlpi_addr + p.p_vaddr + p.p_memsz};
            auto here = reinterpret_cast<std::uintptr_t>(&Code::note);
            ours = ours || (here >= r.begin && here < r.end);
        }
        for (int i = 0; (program || ours) && i < n && code.count_ < kMost; ++i) code.ranges_[code.count_++] = found[i];
        return 0;
    }

    Range ranges_[kMost];
    int count_ = 0;
    bool any_ = false;
};

bool is_kept(std::uintptr_t pc) noexcept {
    static const Code code;
    return code.has(pc);
}

/// type_at reads entry `filter` of a type table; null: catch (...).
const std::type_info* type_at(const CallSite& site, std::intptr_t filter, bool& ok) noexcept {
    static constexpr std::uint8_t kSizes[] = {8, 0, 2, 4, 8, 0, 0, 0, 8, 0, 2, 4, 8, 0, 0, 0}; // by form
    std::uint8_t size = site.type_encoding != dwarf::kOmit ? kSizes[site.type_encoding & dwarf::kForm] : 0;
    DwarfReader r(site.types - filter * size);
    std::uintptr_t type = size != 0 ? r.pointer(site.type_encoding) : 0;
    ok = size != 0 && r.ok();
    return reinterpret_cast<const std::type_info*>(type);
}

/// Catch is what a handler's type makes of a panic.
enum class Catch : std::uint8_t { No, Yes, Unusual };

Catch catches(const std::type_info* type, void* panic) noexcept {
    if (type == nullptr) return Catch::Yes;
    void* adjusted = panic;
    if (!type->__do_catch(&typeid(PanicException), &adjusted, 1)) return Catch::No;
    return adjusted == panic ? Catch::Yes : Catch::Unusual;
}

/// follow goes along the action records of a landing pad, as libstdc++'s personality routine does.
void follow(UnwindPlan& plan, const CallSite& site, void* panic) noexcept {
    plan.kind = site.action == nullptr ? PlanKind::Cleanup : PlanKind::Pass;
    for (const std::uint8_t* record = site.action; record != nullptr;) {
        DwarfReader r(record);
        std::intptr_t filter = r.sleb();
        const std::uint8_t* here = r.at();
        std::intptr_t next = r.sleb();
        if (filter == 0) plan.kind = PlanKind::Cleanup;
        if (filter < 0) { // an exception specification
            plan.kind = PlanKind::Unusual;
            return;
        }
        if (filter > 0) {
            bool ok = false;
            const std::type_info* type = type_at(site, filter, ok);
            Catch caught = ok ? catches(type, panic) : Catch::Unusual;
            if (caught != Catch::No) {
                plan.kind = caught == Catch::Yes ? PlanKind::Handler : PlanKind::Unusual;
                plan.selector = static_cast<std::int32_t>(filter);
                plan.action = record;
                return;
            }
        }
        record = next != 0 ? here + next : nullptr;
    }
}

void fill(UnwindPlan& plan, void* panic) noexcept {
    std::optional<FrameInfo> info = frame_info(plan.pc);
    if (!info) return;
    plan.rule = info->rule;
    if (info->personality != 0 && info->personality != reinterpret_cast<std::uintptr_t>(&__gxx_personality_v0)) return;
    if (info->personality == 0 || info->lsda == nullptr) {
        plan.kind = PlanKind::Pass;
        return;
    }
    std::optional<CallSite> site = find_call_site(info->lsda, info->function, plan.pc - 1);
    if (!site) return; // noexcept: std::terminate
    if (site->landing_pad == 0) {
        plan.kind = PlanKind::Pass;
        return;
    }
    plan.landing_pad = site->landing_pad;
    plan.lsda = info->lsda;
    follow(plan, *site, panic);
}

} // namespace

constinit UnwindPlans g_unwind_plans;

const UnwindPlan& UnwindPlans::look_further(std::uintptr_t pc, void* panic) noexcept {
    for (std::size_t i = 0; i < kProbes; ++i) {
        std::atomic<const UnwindPlan*>& slot = slots_[(first(pc) + i) % kSlots];
        const UnwindPlan* plan = slot.load(std::memory_order_acquire); // acquire: pairs with the CAS in add()
        if (plan == nullptr) {
            if (!is_kept(pc)) return kUnusual;
            plan = &add(slot, pc, panic);
        }
        if (plan->pc == pc) return *plan;
    }
    return kUnusual;
}

/// add puts a plan into an empty slot; returns what is there then, which another thread may have been quicker with.
const UnwindPlan& UnwindPlans::add(std::atomic<const UnwindPlan*>& slot, std::uintptr_t pc, void* panic) noexcept {
    auto* plan = new (std::nothrow) UnwindPlan(kUnusual);
    if (plan == nullptr) return kUnusual;
    plan->pc = pc;
    fill(*plan, panic);
    const UnwindPlan* there = nullptr;
    // release: publishes the plan; acquire: what another thread has published.
    if (slot.compare_exchange_strong(there, plan, std::memory_order_acq_rel, std::memory_order_acquire)) return *plan;
    delete plan;
    return *there;
}

} // namespace weir::detail

#endif
