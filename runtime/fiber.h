// Fiber: the control block of one green thread.
//
// Control blocks are 256 bytes, carved from chunks that are never unmapped, so that dumps may look at any of them at any time. A stack is
// bound at the first run, not at spawn: a fiber that waits to start costs one control block, and one that starts on a worker
// where another has just ended takes over its warm stack without a switch.
//
//   Free -> New -> Runnable -> Running -> Parked -> Runnable ... -> Running -> Free
//           spawn  commit      picked     park      ready                    end
//
// A fiber that could not be unwound goes from Running to Abandoned and stays there: its stack and control block are never used again, because
// other fibers may hold pointers to what lies in them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <weir/detail/park.h>
#include <weir/go.h>
#include "stack.h"

namespace weir::detail {

struct Bubble;
struct Worker;
struct PanicContext;
struct LocalValues;
struct AbandonHook;

enum class FiberState : std::uint8_t { Free, New, Runnable, Running, Parked, Abandoned };

constexpr std::size_t kInlineClosure = 128;

/// FiberExtra holds what most fibers have not: options given to go(), OnAbandon objects.
struct FiberExtra {
    std::string name;
    Labels labels;
    std::optional<PanicPolicy> panic_policy;
    std::size_t stack_class = 0;
    AbandonHook* abandon_hooks = nullptr; // owned; the last one made first (abandon_hooks.h)

    FiberExtra() = default;
    FiberExtra(const GoOptions& options, std::size_t own_stack_class)
        : name(options.name), labels(options.labels), panic_policy(options.panic_policy), stack_class(own_stack_class) {}
    ~FiberExtra();
    FiberExtra(const FiberExtra&) = delete;
    FiberExtra& operator=(const FiberExtra&) = delete;
};

/// Ties is what binds a fiber to more than the runtime: to one OS thread (lock_os_thread), to a bubble (bubble.h). Most fibers have none.
/// Changed by the fiber itself, save as noted; a waker may read them while the fiber is parked.
struct Ties {
    Worker* locked_to = nullptr;    // the worker of lock_os_thread
    std::uint32_t lock_depth = 0;   // lock_os_thread nesting
    std::uint32_t bubble_id = 0;    // for dumps
    Bubble* bubble = nullptr;
    Fiber* fiber = nullptr;         // whose they are, if listed in the bubble
    Ties* next = nullptr;           // in the bubble's list; guarded by its lock
    Ties** place = nullptr;         // what points here in that list; likewise
    bool durable = false;           // parked where only the bubble can wake it: set before the park is published, cleared by the waker
};

struct alignas(64) Fiber {
    // First line: touched by every switch. Owned by the worker that runs the fiber; by the waker between claim and ready.
    void* context = nullptr;      // saved fcontext; null until the first run
    Stack* stack = nullptr;       // null until the first run
    Fiber* next = nullptr;        // link in the list or queue that holds the fiber
    Ties* ties = nullptr;         // null: none
    std::atomic<std::int64_t> parked_since{0}; // or, before its first run, since when it has waited for that
    void* eh_caught = nullptr;    // the C++ exception globals while the fiber does not run
    unsigned eh_uncaught = 0;
    int saved_errno = 0;
    std::atomic<FiberState> state{FiberState::Free};
    std::atomic<WaitReason> reason{WaitReason::None};
    bool is_main : 1 = false;
    bool is_system : 1 = false;   // the runtime's own: counted and shown nowhere
    bool answers_abandon : 1 = false; // its entry takes an Abandoned
    bool overflowing : 1 = false; // its instructions are followed (overflow.h); written by the thread that runs it
    std::atomic<std::uint32_t> runs{0}; // times resumed: a dump that sees it unchanged has read a consistent stack

    // Second line: touched at spawn, end, and by slow paths.
    std::atomic<std::uint64_t> id{0};
    std::uint64_t parent = 0;
    FiberExtra* extra = nullptr;
    LocalValues* locals = nullptr;
    void* created_at = nullptr;
    void (*entry)(void*) = nullptr;
    void* closure = nullptr;
    PanicContext* panics = nullptr;

    alignas(16) std::byte inline_closure[kInlineClosure];

    std::size_t stack_class() const noexcept;
};

static_assert(sizeof(Fiber) == 256, "four cache lines");

/// set_extra gives a fiber its FiberExtra, or none; what it had is deleted. Under a lock: dumps read those of other fibers. The fiber itself, which
/// alone changes it, reads its own without.
void set_extra(Fiber& f, FiberExtra* extra) noexcept;

/// name_and_labels copies them, of any fiber.
std::pair<std::string, Labels> name_and_labels(const Fiber& f);

/// Free control blocks travel between workers in magazines: chains, linked by next, of so many.
constexpr std::uint32_t kFiberMagazine = 64;

/// fiber_pool_take returns a chain of free control blocks, at most a magazine, and its length. On failure null and an error.
Fiber* fiber_pool_take(std::uint32_t& count, StackError& error);
/// fiber_pool_give_magazine takes back a full magazine.
void fiber_pool_give_magazine(Fiber* magazine) noexcept;
/// fiber_pool_give takes back a chain of any length (which it walks).
void fiber_pool_give(Fiber* list) noexcept;
/// for_each_fiber visits every control block there ever was, in address order; most may be Free.
void for_each_fiber(void (*visit)(Fiber&, void*), void* arg);

/// default_stack_class is the slot size of fibers without stack_max of their own. Set by run.
extern std::atomic<std::size_t> g_default_stack_class;
inline std::size_t default_stack_class() noexcept { return g_default_stack_class.load(std::memory_order_relaxed); }
inline void set_default_stack_class(std::size_t size_class) noexcept { g_default_stack_class.store(size_class, std::memory_order_relaxed); }
/// check_stack_max panics when no stack of that size can be had.
void check_stack_max(std::size_t bytes);

inline std::size_t Fiber::stack_class() const noexcept {
    return extra != nullptr && extra->stack_class != 0 ? extra->stack_class : default_stack_class();
}

/// next_fiber_id hands out ids; workers take them in blocks.
std::uint64_t take_fiber_ids(std::uint64_t count) noexcept;

/// ties_of gives a fiber ties if it has none yet.
inline Ties& ties_of(Fiber& f) {
    if (f.ties == nullptr) f.ties = new Ties;
    return *f.ties;
}
inline Worker* locked_to(const Fiber& f) noexcept { return f.ties != nullptr ? f.ties->locked_to : nullptr; }

void destroy_locals(Fiber& fiber) noexcept;
void copy_locals(const Fiber& from, Fiber& to);

} // namespace weir::detail
