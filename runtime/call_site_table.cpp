#include "call_site_table.h"

#include "dwarf_reader.h"

namespace weir::detail {

std::optional<CallSite> find_call_site(const void* lsda, std::uintptr_t function, std::uintptr_t pc) noexcept {
    DwarfReader r(lsda);
    if (r.byte() != dwarf::kOmit) return std::nullopt; // landing pads elsewhere: GCC and Clang do not write that for C++
    CallSite found{};
    found.type_encoding = r.byte();
    if (found.type_encoding != dwarf::kOmit) {
        std::uintptr_t to_types = r.uleb();
        found.types = r.at() + to_types;
    }
    std::uint8_t encoding = r.byte();
    if (encoding != dwarf::kUleb128 && encoding != dwarf::kUdata4) return std::nullopt;
    std::uintptr_t size = r.uleb();
    const std::uint8_t* end = r.at() + size; // where the action table begins
    while (r.at() < end) {
        std::uintptr_t start = function + r.number(encoding);
        std::uintptr_t length = r.number(encoding);
        std::uintptr_t landing_pad = r.number(encoding);
        std::uintptr_t action = r.uleb();
        if (pc < start || pc >= start + length) continue;
        if (landing_pad != 0) found.landing_pad = function + landing_pad;
        if (action != 0) found.action = end + action - 1;
        return found;
    }
    return std::nullopt;
}

} // namespace weir::detail
