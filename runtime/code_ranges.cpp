#include "code_ranges.h"

#include <link.h>
#include <string_view>

#include <weir/detail/config.h>
#include "raise.h"

namespace weir::detail {

namespace {

struct Range {
    std::uintptr_t begin, end;
    CodeOwner owner;
};

Range g_ranges[64]; // written before a run, read by signal handlers during it
int g_count = 0;

struct Known {
    std::string_view prefix; // of the file's name
    CodeOwner owner;
};

constexpr Known kKnown[] = {
    {"libc.so", CodeOwner::Libc},          {"libc-", CodeOwner::Libc},
    {"libstdc++", CodeOwner::Library},     {"libm.so", CodeOwner::Library},
    {"libsqlite3", CodeOwner::Library},    {"libasan", CodeOwner::Library},
    {"libtsan", CodeOwner::Library},       {"libubsan", CodeOwner::Library},
    {"linux-vdso", CodeOwner::Library},    {"ld-linux", CodeOwner::Library},
    {"libgcc_s", CodeOwner::Unwinder},     {"libmimalloc", CodeOwner::Allocator},
    {"libweir", CodeOwner::Runtime},       {"libboost_context", CodeOwner::Runtime},
    {"libdw", CodeOwner::Runtime},         {"libelf", CodeOwner::Runtime},
    {"libz", CodeOwner::Runtime},          {"liblzma", CodeOwner::Runtime},
    {"libbz2", CodeOwner::Runtime},
};

CodeOwner owner_of_file(std::string_view path) noexcept {
    std::string_view file = path.substr(path.rfind('/') + 1);
    for (const Known& k : kKnown) {
        if (file.starts_with(k.prefix)) return k.owner;
    }
    return CodeOwner::Program;
}

int note_file(dl_phdr_info* info, std::size_t, void*) {
    CodeOwner owner = owner_of_file(info->dlpi_name);
    if (owner == CodeOwner::Program) return 0;
    for (int i = 0; i < info->dlpi_phnum && g_count < 64; ++i) {
        const ElfW(Phdr)& p = info->dlpi_phdr[i];
        if (p.p_type == PT_LOAD && (p.p_flags & PF_X) != 0) g_ranges[g_count++] = {info->dlpi_addr + p.p_vaddr, info->dlpi_addr + p.p_vaddr + p.p_memsz, owner};
    }
    return 0;
}

} // namespace

void note_code_ranges() {
    g_count = 0;
    dl_iterate_phdr(note_file, nullptr);
}

WEIR_NO_TSAN CodeOwner code_owner(std::uintptr_t pc) noexcept {
    if (in_own_unwinding(pc)) return CodeOwner::Unwinder;
    for (int i = 0; i < g_count; ++i) {
        if (pc >= g_ranges[i].begin && pc < g_ranges[i].end) return g_ranges[i].owner;
    }
    return CodeOwner::Program;
}

} // namespace weir::detail
