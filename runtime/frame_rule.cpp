#include "frame_rule.h"

#include "raise.h"

#if WEIR_OWN_UNWINDING

#include <limits>

#include "dwarf_reader.h"

extern "C" {
/// As libgcc's unwind-dw2-fde.h has it, whose function this is.
struct dwarf_eh_bases {
    void* text;
    void* data;
    void* function;
};
const void* _Unwind_Find_FDE(void* pc, dwarf_eh_bases* bases);
}

namespace weir::detail {

namespace {

// The processor's numbers in the tables (System V ABI, AMD64 supplement, figure 3.36).
constexpr unsigned kStackPointer = 7;
constexpr unsigned kReturnAddress = 16;
constexpr unsigned kColumns = 17;

constexpr unsigned kPreserved[UnwindRegisters::kSaved] = {3, 6, 12, 13, 14, 15}; // by slot

/// Cie is what the frames of many functions have in common, and Fde one function's own.
struct Cie {
    std::uintptr_t code_align;
    std::intptr_t data_align;
    std::uint8_t pointer_encoding = dwarf::kAbsolute;
    std::uint8_t lsda_encoding = dwarf::kOmit;
    bool has_augmentation = false;
    std::uintptr_t personality = 0;
    const std::uint8_t* program;
    const std::uint8_t* end;
};

bool read_augmentation(Cie& cie, const char* augmentation, DwarfReader& r) noexcept {
    if (*augmentation == '\0') return true;
    if (*augmentation != 'z') return false;
    cie.has_augmentation = true;
    std::uintptr_t size = r.uleb();
    const std::uint8_t* program = r.at() + size;
    for (const char* c = augmentation + 1; *c != '\0'; ++c) {
        switch (*c) {
        case 'R':
            cie.pointer_encoding = r.byte();
            break;
        case 'L':
            cie.lsda_encoding = r.byte();
            break;
        case 'P': {
            std::uint8_t encoding = r.byte();
            cie.personality = r.pointer(encoding);
            break;
        }
        default:
            return false; // 'S' is a signal frame
        }
    }
    r.skip(static_cast<std::uintptr_t>(program - r.at()));
    return r.ok();
}

/// entry_end reads the length that an entry begins with; null for the 64-bit format, which nobody writes.
const std::uint8_t* entry_end(DwarfReader& r) noexcept {
    auto length = r.fixed<std::uint32_t>();
    return length != 0xffffffff ? r.at() + length : nullptr;
}

bool read_cie(Cie& cie, const void* at) noexcept {
    DwarfReader r(at);
    cie.end = entry_end(r);
    r.fixed<std::uint32_t>();
    std::uint8_t version = r.byte();
    if (cie.end == nullptr || (version != 1 && version != 3)) return false;
    auto* augmentation = reinterpret_cast<const char*>(r.at());
    r.skip(std::strlen(augmentation) + 1);
    cie.code_align = r.uleb();
    cie.data_align = r.sleb();
    if ((version == 1 ? r.byte() : r.uleb()) != kReturnAddress) return false;
    if (!read_augmentation(cie, augmentation, r)) return false;
    cie.program = r.at();
    return true;
}

/// Column is the rule of one register.
struct Column {
    enum class How : std::uint8_t { Same, Saved, Other };
    How how = How::Same;
    std::intptr_t offset = 0; // from the CFA
};

struct Row {
    bool usual_cfa = false;
    std::uintptr_t base = 0;
    std::intptr_t offset = 0;
    std::array<Column, kColumns> columns{};
};

/// Program runs the instructions that lead to the row for one address (DWARF 5, 6.4.2).
class Program {
public:
    Program(const Cie& cie, std::uintptr_t function, std::uintptr_t pc) noexcept : cie_(cie), at_(function), pc_(pc) {}

    /// run executes up to `end` or to the row of `pc`; false: an instruction that is not among the usual.
    bool run(const std::uint8_t* begin, const std::uint8_t* end) noexcept {
        DwarfReader r(begin);
        while (r.at() < end && at_ <= pc_) {
            if (!step(r)) return false;
        }
        return true;
    }
    /// begin_function: what has been run so far is what DW_CFA_restore goes back to.
    void begin_function() noexcept { initial_ = row_; }

    const Row& row() const noexcept { return row_; }
    std::uintptr_t args_size() const noexcept { return args_size_; }

private:
    static constexpr int kMostRemembered = 8;

    bool step(DwarfReader& r) noexcept {
        std::uint8_t code = r.byte();
        std::uint8_t low = code & 0x3f;
        switch (code & 0xc0) {
        case 0x40:
            advance(low);
            return true;
        case 0x80:
            return saved(low, static_cast<std::intptr_t>(r.uleb()) * cie_.data_align);
        case 0xc0:
            return restore(low);
        default:
            return code >= 0x0c && code <= 0x13 ? step_cfa(code, r) : step_other(code, r);
        }
    }

    bool step_cfa(std::uint8_t code, DwarfReader& r) noexcept {
        switch (code) {
        case 0x0c: // def_cfa
            row_.base = r.uleb();
            row_.offset = static_cast<std::intptr_t>(r.uleb());
            return row_.usual_cfa = true;
        case 0x0d: // def_cfa_register
            row_.base = r.uleb();
            return row_.usual_cfa = true;
        case 0x0e: // def_cfa_offset
            row_.offset = static_cast<std::intptr_t>(r.uleb());
            return true;
        case 0x0f: // def_cfa_expression
            row_.usual_cfa = false;
            skip_block(r);
            return true;
        case 0x10: // expression
            return other(r.uleb(), r);
        case 0x11: { // offset_extended_sf
            std::uintptr_t reg = r.uleb();
            return saved(reg, r.sleb() * cie_.data_align);
        }
        case 0x12: // def_cfa_sf
            row_.base = r.uleb();
            row_.offset = r.sleb() * cie_.data_align;
            return row_.usual_cfa = true;
        default: // 0x13: def_cfa_offset_sf
            row_.offset = r.sleb() * cie_.data_align;
            return true;
        }
    }

    bool step_other(std::uint8_t code, DwarfReader& r) noexcept {
        switch (code) {
        case 0x00: // nop
            return true;
        case 0x02: // advance_loc1, 2, 4
            advance(r.byte());
            return true;
        case 0x03:
            advance(r.fixed<std::uint16_t>());
            return true;
        case 0x04:
            advance(r.fixed<std::uint32_t>());
            return true;
        case 0x05: { // offset_extended
            std::uintptr_t reg = r.uleb();
            return saved(reg, static_cast<std::intptr_t>(r.uleb()) * cie_.data_align);
        }
        case 0x06: // restore_extended
            return restore(r.uleb());
        case 0x07: // undefined
            return set(r.uleb(), {Column::How::Other, 0});
        case 0x08: // same_value
            return set(r.uleb(), {});
        case 0x0a: // remember_state
            return remember();
        case 0x0b: // restore_state
            return recall();
        case 0x16: // val_expression
            return other(r.uleb(), r);
        case 0x2e: // GNU_args_size
            args_size_ = r.uleb();
            return true;
        default:
            return false;
        }
    }

    void advance(std::uintptr_t delta) noexcept { at_ += delta * cie_.code_align; }
    static void skip_block(DwarfReader& r) noexcept {
        std::uintptr_t size = r.uleb();
        r.skip(size);
    }
    bool set(std::uintptr_t reg, Column column) noexcept {
        if (reg >= kColumns) return false;
        row_.columns[reg] = column;
        return true;
    }
    bool saved(std::uintptr_t reg, std::intptr_t offset) noexcept { return set(reg, {Column::How::Saved, offset}); }
    bool other(std::uintptr_t reg, DwarfReader& r) noexcept {
        skip_block(r);
        return set(reg, {Column::How::Other, 0});
    }
    bool restore(std::uintptr_t reg) noexcept { return reg < kColumns && set(reg, initial_.columns[reg]); }
    bool remember() noexcept {
        if (remembered_ == kMostRemembered) return false;
        memory_[remembered_++] = row_;
        return true;
    }
    bool recall() noexcept {
        if (remembered_ == 0) return false;
        row_ = memory_[--remembered_];
        return true;
    }

    const Cie& cie_;
    std::uintptr_t at_;
    std::uintptr_t pc_;
    Row row_;
    Row initial_;
    Row memory_[kMostRemembered];
    int remembered_ = 0;
    std::uintptr_t args_size_ = 0;
};

constexpr std::intptr_t kWord = sizeof(std::uintptr_t);

bool base_of(std::uintptr_t reg, UnwindRegisters::Slot& base) noexcept {
    if (reg == kStackPointer) {
        base = UnwindRegisters::Sp;
        return true;
    }
    for (unsigned slot = 0; slot < UnwindRegisters::kSaved; ++slot) {
        if (kPreserved[slot] != reg) continue;
        base = static_cast<UnwindRegisters::Slot>(slot);
        return true;
    }
    return false;
}

/// save_in writes down where a register is; false when that does not fit.
bool save_in(std::int16_t& words, const Column& column) noexcept {
    words = 0;
    if (column.how == Column::How::Same) return true;
    if (column.how == Column::How::Other || column.offset % kWord != 0 || column.offset == 0) return false;
    std::intptr_t n = column.offset / kWord;
    if (n < std::numeric_limits<std::int16_t>::min() || n > std::numeric_limits<std::int16_t>::max()) return false;
    words = static_cast<std::int16_t>(n);
    return true;
}

bool is_preserved(unsigned reg) noexcept {
    for (unsigned preserved : kPreserved) {
        if (reg == preserved) return true;
    }
    return false;
}

std::optional<FrameRule> rule_of(const Row& row, std::uintptr_t args_size) noexcept {
    FrameRule rule{};
    if (!row.usual_cfa || !base_of(row.base, rule.base)) return std::nullopt;
    if (row.offset != static_cast<std::int32_t>(row.offset) || args_size > std::numeric_limits<std::int32_t>::max())
        return std::nullopt;
    rule.offset = static_cast<std::int32_t>(row.offset);
    rule.args_size = static_cast<std::uint32_t>(args_size);
    const Column& pc = row.columns[kReturnAddress];
    if (pc.how != Column::How::Saved || pc.offset != -kWord) return std::nullopt;
    for (unsigned reg = 0; reg < kReturnAddress; ++reg) {
        if (!is_preserved(reg) && row.columns[reg].how != Column::How::Same) return std::nullopt;
    }
    for (unsigned slot = 0; slot < UnwindRegisters::kSaved; ++slot) {
        if (!save_in(rule.saved[slot], row.columns[kPreserved[slot]])) return std::nullopt;
    }
    return rule;
}

} // namespace

std::optional<FrameInfo> frame_info(std::uintptr_t return_address) noexcept {
    std::uintptr_t pc = return_address - 1; // the call may be the function's last instruction
    dwarf_eh_bases bases{};
    const void* fde = _Unwind_Find_FDE(reinterpret_cast<void*>(pc), &bases);
    if (fde == nullptr) return std::nullopt;
    DwarfReader r(fde);
    const std::uint8_t* end = entry_end(r);
    const std::uint8_t* here = r.at();
    Cie cie;
    if (end == nullptr || !read_cie(cie, here - r.fixed<std::int32_t>())) return std::nullopt;
    FrameInfo info{};
    info.function = r.pointer(cie.pointer_encoding);
    r.number(cie.pointer_encoding);
    info.personality = cie.personality;
    if (cie.has_augmentation) {
        std::uintptr_t size = r.uleb();
        const std::uint8_t* program = r.at() + size;
        if (cie.lsda_encoding != dwarf::kOmit) info.lsda = reinterpret_cast<const void*>(r.pointer(cie.lsda_encoding));
        r.skip(static_cast<std::uintptr_t>(program - r.at()));
    }
    if (!r.ok() || info.function != reinterpret_cast<std::uintptr_t>(bases.function)) return std::nullopt;
    Program program(cie, info.function, pc);
    if (!program.run(cie.program, cie.end)) return std::nullopt;
    program.begin_function();
    if (!program.run(r.at(), end)) return std::nullopt;
    std::optional<FrameRule> rule = rule_of(program.row(), program.args_size());
    if (!rule) return std::nullopt;
    info.rule = *rule;
    return info;
}

} // namespace weir::detail

#endif
