#include "symbols.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cxxabi.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <mutex>
#include <string_view>
#include <unistd.h>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime_lock.h"
#include "worker.h"

namespace weir::detail {

namespace {

/// Symbol is one function that an address lies in: the innermost inlined one, or one that it was inlined into.
struct Symbol {
    std::string function = "??";
    std::string file = "??";
    int line = 0;
    std::uintptr_t offset = 0;
};

/// Session is one libdw session over this process. libdw is not thread safe: everything is done under `mutex`.
class Session {
public:
    Session() {
        static char* no_debuginfo_path = nullptr;
        static const Dwfl_Callbacks callbacks = {dwfl_linux_proc_find_elf, dwfl_standard_find_debuginfo, nullptr, &no_debuginfo_path};
        dwfl_ = dwfl_begin(&callbacks);
        report();
    }
    ~Session() {
        if (dwfl_ != nullptr) dwfl_end(dwfl_);
    }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    Dwfl* get() const noexcept { return dwfl_; }

    /// module_at finds the module of an address, and looks for libraries loaded since when there is none.
    Dwfl_Module* module_at(std::uintptr_t pc) {
        if (dwfl_ == nullptr) return nullptr;
        Dwfl_Module* m = dwfl_addrmodule(dwfl_, pc);
        if (m == nullptr && !fresh_) {
            report();
            m = dwfl_addrmodule(dwfl_, pc);
        }
        return m;
    }
    void begin_use() noexcept { fresh_ = false; }

    std::unordered_map<std::uintptr_t, std::vector<Symbol>> known; // by address

    /// attach prepares for unwinding with `callbacks`, once.
    bool attach(const Dwfl_Thread_Callbacks& callbacks, void* arg) {
        if (!attached_) attached_ = dwfl_attach_state(dwfl_, nullptr, getpid(), &callbacks, arg);
        return attached_;
    }

private:
    void report() {
        if (dwfl_ == nullptr) return;
        dwfl_report_begin(dwfl_);
        dwfl_linux_proc_report(dwfl_, getpid());
        dwfl_report_end(dwfl_, nullptr, nullptr);
        fresh_ = true;
    }

    Dwfl* dwfl_ = nullptr;
    bool fresh_ = false;
    bool attached_ = false;
};

std::mutex& session_mutex() {
    static auto* m = new std::mutex; // leaked: reports may come from static destructors
    return *m;
}

/// Using holds the session's mutex. A thread in here is not made to leave its fiber: libdw and the loader hold locks too.
class Using {
public:
    Using() {
        stay_put();
        session_mutex().lock();
    }
    ~Using() {
        session_mutex().unlock();
        may_go();
    }
    Using(const Using&) = delete;
    Using& operator=(const Using&) = delete;
};

Session* g_session = nullptr; // guarded by session_mutex()

Session& session() {
    if (g_session == nullptr) g_session = new Session;
    g_session->begin_use();
    return *g_session;
}

std::string demangle(const char* name) {
    int status = 0;
    char* text = abi::__cxa_demangle(name, nullptr, nullptr, &status);
    std::string out = status == 0 ? text : name;
    std::free(text);
    return out;
}

/// declaration follows a DIE to the one that stands in the program's own scopes.
Dwarf_Die declaration(Dwarf_Die die) {
    Dwarf_Attribute attribute;
    Dwarf_Die next;
    for (unsigned code : {DW_AT_abstract_origin, DW_AT_specification}) {
        if (dwarf_formref_die(dwarf_attr(&die, code, &attribute), &next) != nullptr) die = next;
    }
    return die;
}

/// qualified_name spells an inlined function with its namespaces and classes; those without linkage, as lambdas, have no mangled name.
std::string qualified_name(Dwarf_Die* inlined) {
    Dwarf_Attribute attribute;
    if (const char* name = dwarf_formstring(dwarf_attr_integrate(inlined, DW_AT_linkage_name, &attribute))) return demangle(name);
    Dwarf_Die die = declaration(*inlined);
    const char* own = dwarf_diename(&die);
    std::string out = own != nullptr ? own : "??";
    Dwarf_Die* scopes = nullptr;
    int n = dwarf_getscopes_die(&die, &scopes);
    for (int i = 1; i < n; ++i) {
        int tag = dwarf_tag(&scopes[i]);
        if (tag != DW_TAG_namespace && tag != DW_TAG_structure_type && tag != DW_TAG_class_type && tag != DW_TAG_subprogram) continue;
        Dwarf_Die scope = declaration(scopes[i]);
        const char* name = dwarf_diename(&scope);
        out.insert(0, std::string(name != nullptr ? name : tag == DW_TAG_namespace ? "(anonymous namespace)" : "{lambda}") + "::");
    }
    std::free(n > 0 ? scopes : nullptr);
    return out;
}

/// move_to_call_site makes s name the place where the inlined function `die` was called.
void move_to_call_site(Symbol& s, Dwarf_Die* die, Dwarf_Die* unit) {
    Dwarf_Attribute attribute;
    Dwarf_Word file = 0;
    Dwarf_Word line = 0;
    Dwarf_Files* files = nullptr;
    std::size_t count = 0;
    dwarf_formudata(dwarf_attr(die, DW_AT_call_line, &attribute), &line);
    bool known = dwarf_formudata(dwarf_attr(die, DW_AT_call_file, &attribute), &file) == 0 && dwarf_getsrcfiles(unit, &files, &count) == 0;
    const char* name = known ? dwarf_filesrc(files, file, nullptr, nullptr) : nullptr;
    s.file = name != nullptr ? name : "??";
    s.line = static_cast<int>(line);
}

/// find_inlined fills `path` with the inlined functions around an address, the outermost first. An instruction may have been moved out of the
/// range of the function around it: the innermost one that has it decides, whatever its parents say.
bool find_inlined(Dwarf_Die* die, Dwarf_Addr pc, std::vector<Dwarf_Die>& path) {
    Dwarf_Die child;
    if (dwarf_child(die, &child) != 0) return false;
    do {
        int tag = dwarf_tag(&child);
        if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_lexical_block) continue;
        std::size_t depth = path.size();
        if (tag == DW_TAG_inlined_subroutine) path.push_back(child);
        if (find_inlined(&child, pc, path) || (tag == DW_TAG_inlined_subroutine && dwarf_haspc(&child, pc) > 0)) return true;
        path.resize(depth);
    } while (dwarf_siblingof(&child, &child) == 0);
    return false;
}

bool holds_functions(int tag) {
    return tag == DW_TAG_subprogram || tag == DW_TAG_namespace || tag == DW_TAG_structure_type || tag == DW_TAG_class_type || tag == DW_TAG_lexical_block;
}

/// subprogram_at finds the real function that an address lies in. Those of lambdas and local classes lie deep inside others that do not contain the
/// address, where dwarf_getscopes does not look; hence the whole unit is searched, and results are kept.
bool subprogram_at(Dwarf_Die* scope, Dwarf_Addr pc, Dwarf_Die* out) {
    Dwarf_Die child;
    if (dwarf_child(scope, &child) != 0) return false;
    do {
        int tag = dwarf_tag(&child);
        if (tag == DW_TAG_subprogram && dwarf_haspc(&child, pc) > 0) {
            *out = child;
            return true;
        }
        if (holds_functions(tag) && subprogram_at(&child, pc, out)) return true;
    } while (dwarf_siblingof(&child, &child) == 0);
    return false;
}

/// Place is an address in the terms of its compile unit.
struct Place {
    Dwarf_Die* unit = nullptr; // null: no debug information
    Dwarf_Addr pc = 0;
};

/// place_of finds the compile unit of an address. Clang writes no .debug_aranges, which dwfl_module_addrdie needs: then all units are asked.
Place place_of(Dwfl_Module* m, std::uintptr_t pc) {
    Dwarf_Addr bias = 0;
    if (Dwarf_Die* unit = dwfl_module_addrdie(m, pc, &bias)) return {unit, pc - bias};
    Dwarf_Die* unit = dwfl_module_nextcu(m, nullptr, &bias);
    while (unit != nullptr && dwarf_haspc(unit, pc - bias) <= 0) unit = dwfl_module_nextcu(m, unit, &bias);
    return {unit, pc - bias};
}

/// move_to_line makes s name the source line of a place, when that is known.
bool move_to_line(Symbol& s, const Place& place) {
    Dwarf_Line* line = place.unit != nullptr ? dwarf_getsrc_die(place.unit, place.pc) : nullptr;
    const char* file = line != nullptr ? dwarf_linesrc(line, nullptr, nullptr) : nullptr;
    if (file == nullptr) return false;
    s.file = file;
    dwarf_lineno(line, &s.line);
    return true;
}

/// expand lists the functions inlined at a place from the inside out, the real one last. `s` names the real one, and the innermost line.
std::vector<Symbol> expand(const Place& place, Symbol s) {
    std::vector<Symbol> out;
    std::vector<Dwarf_Die> path;
    Dwarf_Die subprogram;
    std::string real = s.function;
    if (place.unit != nullptr && subprogram_at(place.unit, place.pc, &subprogram)) find_inlined(&subprogram, place.pc, path);
    for (; !path.empty(); path.pop_back()) {
        s.function = qualified_name(&path.back());
        out.push_back(s);
        move_to_call_site(s, &path.back(), place.unit);
    }
    s.function = real; // the linker's name is as good, and there always
    out.push_back(s);
    return out;
}

std::vector<Symbol> look_up_fresh(std::uintptr_t pc) {
    Symbol s;
    Dwfl_Module* m = session().module_at(pc);
    if (m == nullptr) return {s};
    GElf_Off offset = 0;
    GElf_Sym sym;
    if (const char* name = dwfl_module_addrinfo(m, pc, &offset, &sym, nullptr, nullptr, nullptr)) {
        s.function = demangle(name);
        s.offset = offset;
    }
    Place place = place_of(m, pc);
    if (move_to_line(s, place)) return expand(place, s);
    if (const char* name = dwfl_module_info(m, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr)) {
        s.file = name;
    }
    return {s};
}

const std::vector<Symbol>& look_up(std::uintptr_t pc) {
    auto [it, fresh] = session().known.try_emplace(pc);
    if (fresh) it->second = look_up_fresh(pc);
    return it->second;
}

/// bare_name is the qualified name of a demangled function, without return type, arguments and template arguments.
std::string_view bare_name(std::string_view function) {
    std::string_view name = function.substr(0, function.find_first_of("(<", 1));
    std::size_t space = name.rfind(' ');
    return space == name.npos ? name : name.substr(space + 1);
}

/// internal tells the frames that say nothing to a user: weir's own and the library's calling glue.
bool internal(const Symbol& s) {
    if (s.file.find("/include/weir/") != s.file.npos || s.function.find("closure_entry") != s.function.npos) return true;
    std::string_view name = bare_name(s.function);
    for (std::string_view prefix : {"weir::detail::", "std::__", "__cxa_", "__gnu_cxx::", "make_fcontext", "jump_fcontext"}) {
        if (name.starts_with(prefix)) return true;
    }
    for (std::string_view own : {"weir::go", "weir::panic", "weir::run", "weir::frame", "weir::catch_panic", "weir::goexit", "weir::yield",
                                 "weir::this_fiber::stack", "weir_throw_panic", "std::invoke", "std::invoke_result", "std::apply", "std::rethrow_exception"}) {
        if (name == own) return true;
    }
    return false;
}

void append(std::string& out, const Symbol& s) {
    bool has_arguments = s.function.find('(') != std::string::npos;
    out += s.function + (has_arguments ? "\n\t" : "(...)\n\t") + s.file;
    if (s.line != 0) out += ":" + std::to_string(s.line);
    char offset[32];
    std::snprintf(offset, sizeof offset, " +0x%" PRIxPTR "\n", s.offset);
    out += offset;
}

} // namespace

std::string print_trace(std::span<void* const> addresses) {
    Using hold;
    std::string out;
    for (void* pc : addresses) {
        for (const Symbol& s : look_up(reinterpret_cast<std::uintptr_t>(pc))) {
            if (!internal(s)) append(out, s);
        }
    }
    return out;
}

std::string print_created(void* site, std::uint64_t parent) {
    if (site == nullptr) return {};
    Using hold;
    const std::vector<Symbol>& frames = look_up(reinterpret_cast<std::uintptr_t>(site));
    auto it = std::find_if(frames.begin(), frames.end(), [](const Symbol& f) { return !internal(f); });
    const Symbol& s = it != frames.end() ? *it : frames.back();
    std::string out = "created by " + s.function + " in goroutine " + std::to_string(parent) + "\n\t" + s.file;
    if (s.line != 0) out += ":" + std::to_string(s.line);
    return out + "\n";
}

void close_symbols() noexcept {
    Using hold;
    delete std::exchange(g_session, nullptr);
}

// ---- unwinding a stack that does not run ----

namespace {

/// Parked is what libdw's thread callbacks see: the one "thread" to unwind.
struct Parked {
    const SavedContext* context;
    std::span<const std::byte> stack;
    Trace* trace;
};

bool read_memory(Dwfl*, Dwarf_Addr address, Dwarf_Word* result, void* arg) {
    const auto& p = *static_cast<Parked*>(arg);
    if (address < p.context->sp || address + sizeof *result > p.context->sp + p.stack.size()) return false;
    std::memcpy(result, p.stack.data() + (address - p.context->sp), sizeof *result);
    return true;
}

pid_t next_thread(Dwfl*, void* arg, void** thread) {
    if (*thread != nullptr) return 0;
    *thread = arg;
    return getpid();
}

bool get_thread(Dwfl*, pid_t, void* arg, void** thread) {
    *thread = arg;
    return true;
}

bool set_registers(Dwfl_Thread* thread, void* arg) {
#if defined(__x86_64__)
    const SavedContext& c = *static_cast<Parked*>(arg)->context;
    // DWARF order: rax rdx rcx rbx rsi rdi rbp rsp r8-r15 rip
    Dwarf_Word regs[17] = {0, 0, 0, c.bx, 0, 0, c.bp, c.sp, 0, 0, 0, 0, c.r12, c.r13, c.r14, c.r15, c.pc};
    return dwfl_thread_state_registers(thread, 0, 17, regs);
#else
    (void)thread;
    (void)arg;
    return false;
#endif
}

int on_frame(Dwfl_Frame* frame, void* arg) {
    Trace& trace = *static_cast<Parked*>(arg)->trace;
    Dwarf_Addr pc;
    bool activation;
    if (trace.size == Trace::kMax || !dwfl_frame_pc(frame, &pc, &activation)) return DWARF_CB_ABORT;
    trace.pc[static_cast<std::size_t>(trace.size++)] = reinterpret_cast<void*>(activation ? pc : pc - 1);
    return DWARF_CB_OK;
}

Parked g_parked; // what the attached callbacks read; guarded by session_mutex()

} // namespace

Trace unwind_saved(const SavedContext& context, std::span<const std::byte> stack) {
    Using hold;
    Trace trace;
    Dwfl* dwfl = session().get();
    if (dwfl == nullptr) return trace;
    session().module_at(context.pc);
    static const Dwfl_Thread_Callbacks callbacks = {next_thread, get_thread, read_memory, set_registers, nullptr, nullptr};
    g_parked = {&context, stack, &trace};
    if (g_session->attach(callbacks, &g_parked)) dwfl_getthread_frames(dwfl, getpid(), on_frame, &g_parked);
    return trace;
}

} // namespace weir::detail
