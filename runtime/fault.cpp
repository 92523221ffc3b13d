#include "fault.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <link.h>
#include <mutex>
#include <string_view>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "check.h"
#include "report.h"
#include "stack.h"
#include "worker.h"

namespace weir::detail {

namespace {

constexpr int kEvictSignal = SIGURG; // ignored by default and rarely used: Go's choice for preemption
constexpr std::size_t kAlternateSize = 64 << 10;

struct sigaction g_old_segv;
struct sigaction g_old_bus;
struct sigaction g_old_evict;
int g_users = 0; // guarded by g_mutex
std::mutex g_mutex;

/// Text ranges of weir itself and of the libraries under it, where a thread may hold locks that nobody would release. Filled before a run. (weir's own
/// locks are safe in any case, also where it is linked statically: runtime_lock.h.)
struct Range {
    std::uintptr_t begin, end;
    bool is_libc; // its system calls may be left: read() and the like hold no lock
};
Range g_system[64];
int g_system_count = 0;

int note_system(dl_phdr_info* info, std::size_t, void*) {
    std::string_view path = info->dlpi_name;
    std::string_view file = path.substr(path.rfind('/') + 1);
    bool system = false;
    for (std::string_view name : {"libc.so", "libc-", "ld-linux", "libstdc++", "libgcc_s", "libdw", "libelf", "libz", "liblzma", "libbz2", "libmimalloc",
                                  "libweir", "libasan", "libtsan", "libubsan", "libsqlite3", "libm.so"}) {
        system = system || file.starts_with(name);
    }
    for (int i = 0; system && i < info->dlpi_phnum && g_system_count < 64; ++i) {
        const ElfW(Phdr)& p = info->dlpi_phdr[i];
        if (p.p_type == PT_LOAD && (p.p_flags & PF_X) != 0) g_system[g_system_count++] = {info->dlpi_addr + p.p_vaddr, info->dlpi_addr + p.p_vaddr + p.p_memsz, file.starts_with("libc")};
    }
    return 0;
}

/// chain hands a fault that is not weir's to the handler that was there before.
void chain(const struct sigaction& old, int sig, siginfo_t* info, void* context) {
    if (old.sa_flags & SA_SIGINFO) {
        old.sa_sigaction(sig, info, context);
    } else if (old.sa_handler == SIG_DFL || old.sa_handler == SIG_IGN) {
        signal(sig, SIG_DFL); // the instruction faults again and takes the default action, with its core dump
    } else {
        old.sa_handler(sig);
    }
}

void print_size(char* out, std::size_t n, std::size_t bytes) {
    if (bytes >= (1 << 20)) {
        std::snprintf(out, n, "%zu MiB", bytes >> 20);
    } else {
        std::snprintf(out, n, "%zu KiB", bytes >> 10);
    }
}

[[noreturn]] void stack_overflow(Stack& stack) {
    char size[32];
    char text[160];
    print_size(size, sizeof size, stack.size());
    int n = std::snprintf(text, sizeof text, "fatal error: stack overflow: fiber %llu exceeded %s; raise stack_max\n",
                          static_cast<unsigned long long>(stack.fiber.load(std::memory_order_relaxed)), size);
    write_stderr({text, static_cast<std::size_t>(n)});
    _exit(2);
}

WEIR_NO_TSAN void on_fault(int sig, siginfo_t* info, void* context) {
    int saved = errno;
    Stack* stack = nullptr;
    Growth growth = stack_grow(info->si_addr, &stack);
    errno = saved;
    if (growth == Growth::Grown) return;
    if (growth == Growth::Overflow) stack_overflow(*stack);
    chain(sig == SIGSEGV ? g_old_segv : g_old_bus, sig, info, context);
}

#if defined(__x86_64__)
constexpr int kPc = REG_RIP;
constexpr int kSp = REG_RSP;

bool is_system_call(std::uintptr_t pc) { return std::memcmp(reinterpret_cast<const void*>(pc), "\x0f\x05", 2) == 0; }

/// at_system_call: behind the instruction, or back on it to be restarted (SA_RESTART).
bool at_system_call(std::uintptr_t pc) { return is_system_call(pc) || is_system_call(pc - 2); }
#endif

/// may_leave: in the program's own code, or blocked in a system call.
bool may_leave([[maybe_unused]] std::uintptr_t pc) {
#if defined(__x86_64__)
    for (int i = 0; i < g_system_count; ++i) {
        if (pc >= g_system[i].begin && pc < g_system[i].end) return g_system[i].is_libc && at_system_call(pc);
    }
    return true;
#else
    return false;
#endif
}

void on_evict(int sig, siginfo_t* info, void* context) {
    Worker* w = this_worker();
    bool stuck = w != nullptr && w->current != nullptr && w->running.load(std::memory_order_relaxed) &&
                 w->unevictable.load(std::memory_order_relaxed) == 0 && w->reporting.load(std::memory_order_relaxed) == 0 &&
                 (w->attention.load(std::memory_order_relaxed) & Worker::kStop) != 0;
    if (!stuck) return chain(g_old_evict, sig, info, context);
#if defined(__x86_64__)
    auto* uc = static_cast<ucontext_t*>(context);
    auto sp = static_cast<std::uintptr_t>(uc->uc_mcontext.gregs[kSp]);
    Stack* stack = w->current->stack;
    if (stack == nullptr || stack_of(reinterpret_cast<void*>(sp)) != stack || !may_leave(static_cast<std::uintptr_t>(uc->uc_mcontext.gregs[kPc]))) return;
    // As if the interrupted instruction had called abandon_current(): below the red zone, with the alignment a call leaves.
    uc->uc_mcontext.gregs[kSp] = static_cast<greg_t>(((sp - 256) & ~std::uintptr_t{15}) - 8);
    uc->uc_mcontext.gregs[kPc] = static_cast<greg_t>(reinterpret_cast<std::uintptr_t>(&abandon_current));
#else
    (void)context;
#endif
}

void install(int sig, void (*handler)(int, siginfo_t*, void*), struct sigaction* old) {
    struct sigaction sa {};
    sa.sa_sigaction = handler;
    sa.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    sigemptyset(&sa.sa_mask);
    WEIR_CHECK(sigaction(sig, &sa, old) == 0);
}

} // namespace

void install_fault_handler() {
    std::lock_guard hold(g_mutex);
    if (g_users++ > 0) return;
    stack_init();
    g_system_count = 0;
    dl_iterate_phdr(note_system, nullptr);
    install(SIGSEGV, on_fault, &g_old_segv);
    install(SIGBUS, on_fault, &g_old_bus);
    install(kEvictSignal, on_evict, &g_old_evict);
}

void restore_fault_handler() {
    std::lock_guard hold(g_mutex);
    if (--g_users > 0) return;
    sigaction(SIGSEGV, &g_old_segv, nullptr);
    sigaction(SIGBUS, &g_old_bus, nullptr);
    sigaction(kEvictSignal, &g_old_evict, nullptr);
}

void evict_fiber(int tid) { syscall(SYS_tgkill, getpid(), tid, kEvictSignal); }

AlternateStack::AlternateStack() : size_(kAlternateSize) {
    base_ = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    WEIR_CHECK(base_ != MAP_FAILED);
    stack_t now{};
    now.ss_sp = base_;
    now.ss_size = size_;
    stack_t old{};
    WEIR_CHECK(sigaltstack(&now, &old) == 0);
    old_base_ = old.ss_sp;
    old_size_ = old.ss_size;
    old_flags_ = old.ss_flags;
}

AlternateStack::~AlternateStack() {
    stack_t old{};
    old.ss_sp = old_base_;
    old.ss_size = old_size_;
    old.ss_flags = old_flags_;
    sigaltstack(&old, nullptr);
    munmap(base_, size_);
}

} // namespace weir::detail
