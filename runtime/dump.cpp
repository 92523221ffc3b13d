#include <weir/detail/dump.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <sys/uio.h>
#include <tuple>
#include <unistd.h>
#include <vector>

#include <weir/detail/timer.h>
#include "bubble.h"
#include "fiber.h"
#include "fiber_text.h"
#include "jump.h"
#include "symbols.h"
#include "worker.h"

namespace weir::detail {

namespace {

constexpr std::size_t kMostFibers = 10'000;  // printed; the rest is counted
constexpr std::size_t kMostStack = 64 << 10; // bytes of a stack looked at

/// Snapshot of one fiber. A parked fiber's stack is copied while it may run again: `runs`, read before and after, tells whether the copy is good.
struct Snapshot {
    FiberTitle title;
    std::uint64_t parent;
    std::uint32_t bubble; // 0: none
    FiberState state;
    WaitReason reason;
    std::int64_t parked_since;
    void* created_at;
    Trace trace;
    bool has_stack = false;
};

/// Unguarded fields, which the fiber's worker may be writing for the next fiber in this control block: a dump may mix the two, and does no harm.
struct Unguarded {
    std::uint64_t parent;
    void* created_at;
    const Ties* ties;
    const char* context;
    const Stack* stack;
    bool is_system;
};

WEIR_NO_TSAN Unguarded unguarded(const Fiber& f) noexcept {
    return {f.parent, f.created_at, f.ties, static_cast<const char*>(f.context), f.stack, f.is_system};
}

/// copy_memory reads this process's memory without faulting: a stack may be given back while it is read.
bool copy_memory(void* to, const void* from, std::size_t n) noexcept {
    iovec local{to, n};
    iovec remote{const_cast<void*>(from), n};
    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == static_cast<ssize_t>(n);
}

bool trace_parked(const Fiber& f, Trace& out) {
#if defined(__x86_64__)
    std::uint32_t runs = f.runs.load(std::memory_order_acquire);
    const Unguarded u = unguarded(f);
    const char* context = u.context;
    const Stack* stack = u.stack;
    if (context == nullptr || stack == nullptr || context < stack->low || context >= stack->top) return false;
    std::size_t n = std::min(static_cast<std::size_t>(stack->top - context), kMostStack);
    std::vector<std::byte> buffer(n);
    if (!copy_memory(buffer.data(), context, n)) return false;
    if (f.state.load(std::memory_order_acquire) != FiberState::Parked || f.runs.load(std::memory_order_acquire) != runs) return false;
    SavedFrame saved;
    std::memcpy(&saved, buffer.data(), sizeof saved);
    SavedContext c{saved.pc, reinterpret_cast<std::uintptr_t>(context) + sizeof saved, saved.bp, saved.bx, saved.r12, saved.r13, saved.r14, saved.r15};
    out = unwind_saved(c, {buffer.data() + sizeof saved, n - sizeof saved});
    return true;
#else
    (void)f;
    (void)out;
    return false;
#endif
}

/// copy_ties may read ties that are just being freed: any values will do then, a fault will not.
Ties copy_ties(const Ties* ties) noexcept {
    Ties t;
    return ties != nullptr && copy_memory(&t, ties, sizeof t) ? t : Ties();
}

/// title_of names the fiber; the labels are those of the very id.
FiberTitle title_of(const Fiber& f) {
    FiberTitle title;
    do {
        title.id = f.id.load(std::memory_order_acquire);
        std::tie(title.name, title.labels) = name_and_labels(f);
    } while (f.id.load(std::memory_order_acquire) != title.id);
    return title;
}

Snapshot snapshot(const Fiber& f) {
    const Unguarded u = unguarded(f);
    const Ties ties = copy_ties(u.ties);
    Snapshot s{title_of(f),
               u.parent,
               ties.bubble_id,
               f.state.load(std::memory_order_acquire),
               f.reason.load(std::memory_order_relaxed),
               f.parked_since.load(std::memory_order_relaxed),
               u.created_at,
               {},
               false};
    if (s.state == FiberState::Parked) {
        s.title.locked_to_thread = ties.locked_to != nullptr;
        s.has_stack = trace_parked(f, s.trace);
    }
    return s;
}

std::string since(std::int64_t parked_at) {
    std::int64_t minutes = (mono_now() - parked_at) / 60'000'000'000;
    return minutes >= 1 ? ", " + std::to_string(minutes) + " minutes" : "";
}

/// durable marks what only the bubble can end, unless the reason says so itself.
const char* durable(const Snapshot& s) {
    const std::string_view reason = to_string(s.reason);
    return s.bubble != 0 && is_durable(s.reason) && !reason.ends_with("(durable)") ? " (durable)" : "";
}

std::string state_text(const Snapshot& s) {
    switch (s.state) {
    case FiberState::Running: return "running";
    case FiberState::Parked: return std::string(to_string(s.reason)) + durable(s) + since(s.parked_since);
    default: return "runnable";
    }
}

std::string header(const Snapshot& s) {
    return fiber_header(s.title, state_text(s) + (s.bubble != 0 ? ", synctest bubble " + std::to_string(s.bubble) : ""));
}

struct Collected {
    std::vector<Snapshot> fibers;
    std::size_t more = 0;

    void add(const Fiber& f) {
        if (fibers.size() < kMostFibers) {
            fibers.push_back(snapshot(f));
        } else {
            ++more;
        }
    }
};

std::string print(const Collected& all) {
    std::string out;
    std::map<std::vector<void*>, std::string> printed; // many fibers wait at the same place: symbolise it once
    for (const Snapshot& s : all.fibers) {
        out += header(s);
        if (s.has_stack) {
            std::vector<void*> key(s.trace.pc.begin(), s.trace.pc.begin() + s.trace.size);
            auto [it, fresh] = printed.try_emplace(key);
            if (fresh) it->second = print_trace(key);
            out += it->second;
        } else if (s.state == FiberState::Running) {
            out += "\tgoroutine running on another thread; stack unavailable\n";
        }
        std::vector<void*> created{s.created_at, reinterpret_cast<void*>(s.parent)};
        auto [it, fresh] = printed.try_emplace(std::move(created));
        if (fresh) it->second = print_created(s.created_at, s.parent);
        out += it->second + "\n";
    }
    if (all.more != 0) out += "...additional goroutines elided: " + std::to_string(all.more) + "...\n";
    return out;
}

} // namespace

std::string dump_bubble(Bubble& bubble) {
    Collected all;
    for (const Ties* t = bubble.fibers; t != nullptr; t = t->next) all.add(*t->fiber);
    std::sort(all.fibers.begin(), all.fibers.end(), [](const Snapshot& a, const Snapshot& b) { return a.title.id < b.title.id; });
    return print(all);
}

std::string dump_all_fibers() {
    Worker* w = this_worker();
    Fiber* self = w != nullptr ? w->current : nullptr;
    std::uint64_t first = self != nullptr ? self->id.load(std::memory_order_relaxed) : 0;
    Collected all;
    for_each_fiber(
        [](Fiber& f, void* arg) {
            auto& c = *static_cast<Collected*>(arg);
            FiberState state = f.state.load(std::memory_order_acquire);
            if (state == FiberState::Free || state == FiberState::New || state == FiberState::Abandoned || unguarded(f).is_system) return;
            c.add(f);
        },
        &all);
    std::sort(all.fibers.begin(), all.fibers.end(),
              [&](const Snapshot& a, const Snapshot& b) { return (a.title.id != first) != (b.title.id != first) ? a.title.id == first : a.title.id < b.title.id; });
    if (!all.fibers.empty() && all.fibers[0].title.id == first) {
        take_trace(all.fibers[0].trace, 1);
        all.fibers[0].has_stack = true;
    }
    return print(all);
}

} // namespace weir::detail
