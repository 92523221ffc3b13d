// run: options, the main fiber, start and end of a scheduler.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <sched.h>
#include <string>
#include <thread>

#include <weir/go.h>
#include <weir/runtime.h>
#include "abandon.h"
#include "bubble.h"
#include "fault.h"
#include <weir/detail/fence.h>
#include "futex.h"
#include "monitor.h"
#include "poller.h"
#include "reporter.h"
#include "scheduler.h"
#include "seeded.h"
#include "symbols.h"
#include "worker.h"

namespace weir {

namespace detail {

void set_scheduler(Scheduler* s) noexcept;

namespace {

/// env_number reads WEIR_NAME as a whole number; panics when it is set to anything else.
std::optional<long long> env_number(const char* name) {
    const char* text = std::getenv(name);
    if (text == nullptr || *text == '\0') return std::nullopt;
    char* end = nullptr;
    errno = 0;
    long long value = std::strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0') panic_runtime(std::string("weir: ") + name + "=" + text + ": must be a whole number");
    return value;
}

/// cgroup_cpus is the cgroup's CPU limit (cpu.max), rounded up as Go 1.25 does; 0 when there is none.
int cgroup_cpus() {
    std::ifstream self("/proc/self/cgroup");
    std::string line;
    std::string path;
    while (std::getline(self, line)) {
        if (line.rfind("0::", 0) == 0) path = line.substr(3);
    }
    int least = 0;
    for (std::string dir = path;; dir = dir.substr(0, dir.rfind('/'))) {
        std::ifstream max("/sys/fs/cgroup" + dir + "/cpu.max");
        std::string quota;
        double period = 0;
        if (max >> quota >> period && quota != "max" && period > 0) {
            int cpus = std::max(2, static_cast<int>((std::stod(quota) + period - 1) / period)); // Go never goes below 2 for a quota
            least = least == 0 ? cpus : std::min(least, cpus);
        }
        if (dir.empty() || dir == "/") break;
    }
    return least;
}

int default_procs() {
    cpu_set_t set;
    int cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : static_cast<int>(std::thread::hardware_concurrency());
    cpus = std::max(cpus, 1);
    int limit = cgroup_cpus();
    return limit > 0 ? std::min(cpus, limit) : cpus;
}

constexpr long long kMostProcs = 1024;
constexpr auto kFlushReports = std::chrono::milliseconds(1000);

int resolve_procs(const Options& o) {
    auto set = o.max_procs ? std::optional<long long>(*o.max_procs) : env_number("WEIR_MAXPROCS");
    if (!set) return default_procs();
    if (*set < 1 || *set > kMostProcs) {
        panic_runtime("weir: max_procs is " + std::to_string(*set) + ": it must be between 1 and 1024; leave it unset to use the CPUs there are");
    }
    return static_cast<int>(*set);
}

std::size_t resolve_stack(const Options& o) {
    auto set = o.stack_max ? std::optional<long long>(static_cast<long long>(*o.stack_max)) : env_number("WEIR_STACK_MAX");
    if (!set) return kDefaultStack;
    check_stack_max(static_cast<std::size_t>(*set));
    return stack_class(static_cast<std::size_t>(*set));
}

PanicPolicy resolve_policy(const Options& o) {
    if (o.panic_policy) return *o.panic_policy;
    const char* text = std::getenv("WEIR_PANIC");
    if (text == nullptr || *text == '\0' || std::strcmp(text, "contain") == 0) return PanicPolicy::Contain;
    if (std::strcmp(text, "crash") == 0) return PanicPolicy::Crash;
    panic_runtime(std::string("weir: WEIR_PANIC=") + text + ": must be contain or crash");
}

ResolvedOptions resolve(const Options& o) {
    ResolvedOptions r{resolve_procs(o), resolve_stack(o), resolve_policy(o), 1024, o.drain, o.seed ? o.seed : seed_variable()};
    if (r.seed) r.procs = 1;
    auto threads = o.max_threads ? std::optional<long long>(*o.max_threads) : env_number("WEIR_MAXTHREADS");
    if (threads) {
        if (*threads < 1 || *threads > 100000) panic_runtime("weir: max_threads is " + std::to_string(*threads) + ": it must be between 1 and 100000");
        r.max_threads = static_cast<int>(*threads);
    }
    r.max_threads = std::max(r.max_threads, r.procs);
    return r;
}

struct MainArgs {
    MainFn call;
    void* fn;
    Scheduler* sched;
};

/// wait_for_others parks the main fiber until it is the only one (Options::drain).
void wait_for_others(Scheduler& s) {
    Waiter self;
    struct Args {
        Scheduler* s;
        Waiter* w;
    } args{&s, &self};
    park(
        self, WaitReason::MainWait,
        [](void* p) {
            auto& a = *static_cast<Args*>(p);
            Scheduler* sched = a.s;
            sched->drain_waiter.store(a.w, std::memory_order_seq_cst); // seq_cst: against the last fiber's end: one sees the other
            if (sched->live_fibers() > 1) return true;
            return sched->drain_waiter.exchange(nullptr, std::memory_order_seq_cst) == nullptr;
        },
        &args);
}

void main_body(MainArgs args) {
    args.sched->exit_status = args.call(args.fn);
    if (args.sched->options.drain) wait_for_others(*args.sched);
}

void start_main(MainArgs args) {
    using Closure = std::tuple<void (*)(MainArgs), MainArgs>;
    SpawnSlot slot = spawn_begin(sizeof(Closure), alignof(Closure), nullptr);
    new (slot.closure) Closure(main_body, args);
    slot.fiber->is_main = true;
    spawn_commit(slot.fiber, &closure_entry<Closure>, nullptr);
}

/// Running is the scheduler of one run: made current, and taken apart whatever happens.
struct Running {
    Running(const ResolvedOptions& resolved, Trial* trial) : sched(resolved, trial) {
        install_fault_handler();
        set_scheduler(&sched);
    }
    ~Running() {
        for (auto* fn : sched.at_end) fn();
        sched.forget_timers(); // before the stacks that some lie on
        forget_bubbles();
        abandon_fibers();
        forget_reports();
        close_symbols();
        set_scheduler(nullptr);
        restore_fault_handler();
    }
    Scheduler sched;
};

/// start makes a scheduler with a main fiber that is about to run.
std::unique_ptr<Running> start(const ResolvedOptions& resolved, MainFn call, void* fn, Trial* trial) {
    fence_init();
    set_default_stack_class(resolved.stack_class);
    auto running = std::make_unique<Running>(resolved, trial);
    running->sched.exit_status = 2; // unless main returns
    start_main(MainArgs{call, fn, &running->sched});
    return running;
}

} // namespace

void check_stack_max(std::size_t bytes) {
    if (bytes >= kMinStack && bytes <= kMaxStack) return;
    panic_runtime("weir: stack_max is " + std::to_string(bytes) + " bytes: it must be between 32 KiB and 1 GiB");
}

std::optional<std::uint64_t> seed_variable() {
    auto set = env_number("WEIR_SEED");
    if (!set) return std::nullopt;
    if (*set < 0) panic_runtime("weir: WEIR_SEED=" + std::to_string(*set) + ": must not be negative");
    return static_cast<std::uint64_t>(*set);
}

int run_main(const Options& options, MainFn call, void* fn) {
    ResolvedOptions resolved = resolve(options);
    if (scheduler() != nullptr) panic_runtime("weir: run called while a runtime is already running: start fibers with go instead");
    auto running = start(resolved, call, fn, nullptr);
    Scheduler& s = running->sched;
    if (s.seeded != nullptr) {
        s.seeded->run();
        return s.exit_status;
    }
    Monitor monitor(s);
    // TSan keeps a signal back until its thread comes out of the kernel, and this is the thread that the kernel prefers.
    constexpr std::int64_t timeout = WEIR_TSAN ? 100'000'000 : -1;
    while (s.main_done.load(std::memory_order_acquire) == 0) futex_wait(s.main_done, 0, timeout);
    flush_reports(kFlushReports);
    s.stop();
    return s.exit_status;
}

int run_trial(const Options& options, MainFn call, void* fn, Trial& trial) {
    auto running = start(resolve(options), call, fn, &trial);
    running->sched.seeded->run();
    if (trial.panic != nullptr) trial.text = report_text(*trial.panic); // while there are symbols
    return running->sched.exit_status;
}

} // namespace detail

std::size_t num_fibers() noexcept {
    detail::Scheduler* s = detail::scheduler();
    return s != nullptr ? s->live_fibers() : 0;
}

int max_procs() noexcept {
    detail::Scheduler* s = detail::scheduler();
    return s != nullptr ? s->procs.load(std::memory_order_relaxed) : 0;
}

int max_procs(int n) {
    detail::Scheduler* s = detail::scheduler();
    if (s == nullptr) detail::panic_runtime("weir: max_procs(n) with no runtime running: call it inside weir::run");
    if (n < 1 || n > detail::kMostProcs) detail::panic_runtime("weir: max_procs is " + std::to_string(n) + ": it must be between 1 and 1024");
    int old = s->procs.load(std::memory_order_relaxed);
    s->set_procs(n);
    return old;
}

} // namespace weir
