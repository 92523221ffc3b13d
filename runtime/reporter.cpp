#include "reporter.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <time.h>
#include <unistd.h>
#include <unordered_map>
#include <utility>

#include <weir/detail/print_later.h>
#include <weir/panic_report.h>
#include <weir/sleep.h>
#include "fiber.h"
#include "fiber_main.h"
#include "report.h"
#include "runtime_lock.h"
#include "scheduler.h"
#include "symbols.h"
#include "worker.h"

namespace weir {

namespace detail {

namespace {

constexpr std::size_t kMostQueued = 1024;            // reports, in each stage
constexpr std::uint64_t kIdenticalPerSecond = 10;
constexpr std::size_t kMostKinds = 512;              // different reports told apart for the rate limit
constexpr std::size_t kReporterStack = 256 << 10;
constexpr auto kCrashFlush = std::chrono::milliseconds(1000);
constexpr auto kStuck = std::chrono::seconds(10); // printing that has not come to the next report for so long

std::atomic<std::uint64_t> g_dropped{0};

/// Stage is a bounded queue of T and the fiber that empties it.
template <class T>
class Stage {
public:
    explicit constexpr Stage(void (*consume)(const T&)) noexcept : consume_(consume) {}

    bool push(std::shared_ptr<const T> item) noexcept {
        bool start;
        {
            std::lock_guard hold(lock_);
            if (count_ == kMostQueued) {
                g_dropped.fetch_add(1, std::memory_order_relaxed);
                return false;
            }
            ring_[(first_ + count_++) % kMostQueued] = std::move(item);
            start = !std::exchange(active_, true);
        }
        return !start || start_fiber();
    }

    /// crashed: `fiber` is gone in the middle of an item. What came after it goes to another one.
    void crashed(const Fiber* fiber) noexcept {
        {
            std::lock_guard hold(lock_);
            if (fiber_ != fiber) return;
            active_ = count_ > 0;
            if (!active_) return;
        }
        start_fiber();
    }

    bool idle() noexcept {
        std::lock_guard hold(lock_);
        return !active_ && count_ == 0;
    }

    /// taken counts the items that have been taken out: while it grows, the stage is not stuck.
    std::uint64_t taken() noexcept {
        std::lock_guard hold(lock_);
        return taken_;
    }

    void forget() noexcept {
        for (std::shared_ptr<const T>& item : ring_) item.reset();
        first_ = count_ = 0;
        active_ = false;
    }

private:
    bool start_fiber() noexcept {
        try {
            spawn_system([](void* self) { static_cast<Stage*>(self)->run(); }, this, kReporterStack);
            return true;
        } catch (...) { // no memory for a fiber
            std::lock_guard hold(lock_);
            active_ = false;
            return false;
        }
    }

    void run() {
        {
            std::lock_guard hold(lock_);
            fiber_ = this_worker()->current;
        }
        while (std::shared_ptr<const T> item = pop()) catch_panic([&] { consume_(*item); });
    }

    std::shared_ptr<const T> pop() noexcept {
        std::lock_guard hold(lock_);
        if (count_ == 0) {
            active_ = false;
            return nullptr;
        }
        --count_;
        ++taken_;
        return std::exchange(ring_[std::exchange(first_, (first_ + 1) % kMostQueued)], nullptr);
    }

    void (*consume_)(const T&);
    RuntimeLock lock_;
    bool active_ = false;   // guarded by lock_, as all below
    const Fiber* fiber_ = nullptr;
    std::size_t first_ = 0;
    std::size_t count_ = 0;
    std::uint64_t taken_ = 0;
    std::array<std::shared_ptr<const T>, kMostQueued> ring_;
};

// ---- the rate limit ----

/// RateLimit lets so many identical reports pass in a second. Guarded by its lock: report_now() may run beside the printer.
class RateLimit {
public:
    /// pass tells whether a report may pass, and how many like it have been held back since the last one.
    bool pass(std::size_t key, std::chrono::system_clock::time_point now, std::uint64_t& suppressed) {
        std::lock_guard hold(lock_);
        if (seen_.size() >= kMostKinds && !seen_.contains(key)) seen_.clear();
        Seen& s = seen_[key];
        if (now - s.since >= std::chrono::seconds(1)) {
            s.since = now;
            s.passed = 0;
        }
        if (s.passed == kIdenticalPerSecond) {
            ++s.suppressed;
            return false;
        }
        ++s.passed;
        suppressed = std::exchange(s.suppressed, 0);
        return true;
    }

private:
    struct Seen {
        std::chrono::system_clock::time_point since{};
        std::uint64_t passed = 0;
        std::uint64_t suppressed = 0;
    };
    std::mutex lock_;
    std::unordered_map<std::size_t, Seen> seen_; // guarded by lock_
};

RateLimit& rate_limit() {
    static auto* limit = new RateLimit; // leaked: reports may come from static destructors
    return *limit;
}

/// key_of is the same for identical reports: kind, site and message (a stack overflow's names its fiber).
std::size_t key_of(const PanicRecord& p, const std::string& message) {
    std::size_t key = static_cast<std::size_t>(p.kind);
    if (p.kind != PanicKind::StackOverflow) key = key * 31 + std::hash<std::string>()(message);
    return p.site != nullptr ? key * 31 + p.site->key() : key;
}

// ---- the second stage: the program's handler ----

SpinLock g_handler_lock;
std::shared_ptr<const PanicHandler> g_handler; // guarded by g_handler_lock

std::shared_ptr<const PanicHandler> handler() noexcept {
    std::lock_guard hold(g_handler_lock);
    return g_handler;
}

void call_handler(const PanicReport& report) {
    auto h = handler();
    if (h == nullptr) return;
    if (auto p = catch_panic([&] { (*h)(report); })) write_stderr("weir: panic in the panic handler: " + p->message() + "\n");
}

Stage<PanicReport> g_handling{call_handler};

// ---- the first stage: printing ----

/// describe_waits tells what the fiber had waited for when it panicked, and what its deferred calls and destructors then did.
void describe_waits(PanicReport& r, const LastWait& before, const Obituary& o) {
    if (before.reason != WaitReason::None) {
        r.last_wait = to_string(before.reason);
        r.last_wait_ago = std::chrono::nanoseconds(std::max<std::int64_t>(0, o.ended - before.since));
    }
    if (o.last_wait.since != before.since) r.unwinding_wait = to_string(o.last_wait.reason);
}

PanicReport make_report(const Obituary& o) {
    const PanicRecord& p = *o.panic;
    PanicReport r;
    r.message = record_message(p);
    r.kind = p.kind;
    r.type_name = p.type != nullptr ? type_name(*p.type) : "";
    r.chain = panic_chain_text(p);
    if (p.site != nullptr) r.stack = print_trace(p.site->trace().addresses());
    r.details = p.details;
    r.created_by = print_created(o.created_at, o.parent);
    r.fiber_id = o.fiber_id;
    r.fiber_name = o.fiber_name;
    r.labels = o.labels;
    r.time = o.time;
    describe_waits(r, p.last_wait, o);
    r.locked_to_thread = o.locked_to_thread;
    r.abandoned = p.abandoned;
    return r;
}

void print(const Obituary& o) {
    std::uint64_t suppressed = 0;
    bool passes = rate_limit().pass(key_of(*o.panic, record_message(*o.panic)), o.time, suppressed);
    if (!passes && !o.crash) return;
    auto report = std::make_shared<PanicReport>(make_report(o));
    report->suppressed = suppressed;
    write_stderr(report->text() + "\n");
    if (o.to_handler && handler() != nullptr) g_handling.push(std::move(report));
}

void print_queued(const Obituary& o) {
    print(o);
    if (o.crash) crash_process();
}

Stage<Obituary> g_printing{print_queued};

// ---- lines that are no reports ----

struct Line {
    std::string text;
    std::size_t kind;
};

void print_line(const Line& line) {
    std::uint64_t suppressed = 0;
    if (!rate_limit().pass(line.kind, std::chrono::system_clock::now(), suppressed)) return;
    write_stderr((suppressed != 0 ? "[" + std::to_string(suppressed) + " lines like the next suppressed]\n" : "") + line.text + "\n");
}

Stage<Line> g_lines{print_line};

/// each_stage calls fn with every stage.
template <class F>
void each_stage(F&& fn) {
    fn(g_printing);
    fn(g_handling);
    fn(g_lines);
}

bool all_idle() noexcept {
    bool idle = true;
    each_stage([&](auto& stage) { idle = stage.idle() && idle; });
    return idle;
}

void nap() noexcept {
    timespec time{0, 200'000};
    nanosleep(&time, nullptr);
}

} // namespace

void print_later(std::string line, std::size_t kind) noexcept {
    auto item = std::make_shared<const Line>(Line{std::move(line), kind});
    if (scheduler() == nullptr) return print_line(*item);
    g_lines.push(std::move(item));
}

bool report_later(std::shared_ptr<Obituary> obituary) noexcept { return g_printing.push(std::move(obituary)); }

void report_now(const Obituary& obituary) { print(obituary); }

void crash_process() noexcept {
    for (auto until = std::chrono::steady_clock::now() + kCrashFlush; !g_handling.idle() && std::chrono::steady_clock::now() < until;) sleep(std::chrono::milliseconds(1));
    _exit(2);
}

void reporter_crashed(const Fiber& fiber) noexcept {
    each_stage([&](auto& stage) { stage.crashed(&fiber); });
}

void flush_reports(std::chrono::milliseconds limit) noexcept {
    using Clock = std::chrono::steady_clock;
    // What we print ourselves may take long where the machine is loaded and symbols are read, but is stuck only if nobody reads stderr.
    std::uint64_t taken = 0;
    for (auto until = Clock::now() + kStuck; !(g_printing.idle() && g_lines.idle()) && Clock::now() < until; nap()) {
        const std::uint64_t so_far = g_printing.taken() + g_lines.taken();
        if (so_far == taken) continue;
        taken = so_far;
        until = Clock::now() + kStuck;
    }
    // The program's handler gets all that by then, and may be stuck for any reason.
    for (auto until = Clock::now() + limit; !all_idle() && Clock::now() < until;) nap();
}

bool reports_idle() noexcept { return all_idle(); }

std::string report_text(const Obituary& obituary) { return make_report(obituary).text(); }

void forget_reports() noexcept {
    each_stage([](auto& stage) { stage.forget(); });
}

} // namespace detail

void set_panic_handler(PanicHandler handler) {
    auto fresh = handler ? std::make_shared<const PanicHandler>(std::move(handler)) : nullptr;
    std::lock_guard hold(detail::g_handler_lock);
    detail::g_handler.swap(fresh); // the old one is destroyed after the lock is released
}

std::uint64_t reports_dropped_total() noexcept { return detail::g_dropped.load(std::memory_order_relaxed); }

} // namespace weir
