// Stacks: small, guarded, growing.
//
// A Stack is a slot of the arena: [low, top), and below it a gap that belongs to it. [window, top) is open; everything below the window is
// guarded, so that neither a large frame nor a system call's buffer can jump the guard. A fault below the window enlarges it
// (stack_grow()), down to the floor, kReserve above low. What lies below the floor is opened when the stack overflows, so that the code in
// it can reach a place where a panic can be thrown, and throw it (overflow.h); the gap takes the large frame that went beyond. Guards are
// page-table markers (MADV_GUARD_INSTALL, Linux 6.13) that need no mapping each; on older kernels, mprotect, at two mappings a stack.
//
// Ownership: a Stack belongs to one fiber, one worker's cache, or the pool. Stack records are never freed: the fault handler reads them
// without a lock.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include <weir/detail/config.h>
#include <weir/detail/spinlock.h>
#include "sanitizer.h"

namespace weir::detail {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kMinStack = 32 << 10;
constexpr std::size_t kMaxStack = std::size_t{1} << 30;
constexpr std::size_t kDefaultStack = 256 << 10;
constexpr std::size_t kInitialWindow = 16 << 10;
constexpr std::size_t kKeptWindow = 64 << 10; // a window up to this size stays open while its stack is in a worker's cache
constexpr std::size_t kReserve = 12 << 10;    // at the low end: not used before the stack overflows
constexpr std::size_t kOverflowRoom = 64 << 10; // below low, opened with the reserve: the largest frame that an overflow may begin with
constexpr std::size_t kGap = kOverflowRoom + kPage; // its last page is never opened

/// Overflow is how far a stack's overflow has come. Changed by the thread that runs on the stack, its signal handlers included.
enum class Overflow : std::uint8_t {
    None,     // what lies below the floor is guarded
    Stepping, // it is open, and the code that went there is followed to a place where it can panic
    Raised,   // it is open, and the panic is under way
};

struct Stack {
    char* low = nullptr;
    char* top = nullptr;
    std::atomic<char*> window{nullptr}; // lowest open byte; written by the thread that runs on the stack, read by dumps
    Stack* next = nullptr;              // link in a cache; guarded by its owner
    std::atomic<std::uint64_t> fiber{0}; // id of the fiber that runs on it, for the overflow report
    bool guarded = false;               // its guards stand; false for a slot never used
    volatile Overflow overflow = Overflow::None; // volatile: signal handlers of the same thread change it
    std::uint32_t steps = 0;            // instructions followed since the stack overflowed
    san::Context san;

    std::size_t size() const noexcept { return static_cast<std::size_t>(top - low); }
    WEIR_ALWAYS_INLINE char* floor() const noexcept { return low + kReserve; }
    WEIR_ALWAYS_INLINE char* bottom() const noexcept { return low - kOverflowRoom; } // the lowest byte that is ever open
};

enum class GuardMode : std::uint8_t { PageTable, Mprotect };

/// StackError says why no stack could be had; empty text means success.
struct StackError {
    std::string text;
    explicit operator bool() const noexcept { return !text.empty(); }
};

/// stack_class rounds a wanted stack_max up to the size of a slot.
std::size_t stack_class(std::size_t stack_max) noexcept;

extern GuardMode g_guard_mode; // set by stack_init(), before any fiber exists

/// stack_init finds out how to guard. Called when a run begins.
void stack_init() noexcept;

/// stack_guard_mode is how guards are made on this kernel; WEIR_STACK_GUARD=mprotect forces the fall-back.
WEIR_ALWAYS_INLINE GuardMode stack_guard_mode() noexcept { return g_guard_mode; }

/// stack_reserve makes sure that `count` stacks of that class can be had without a further mapping.
StackError stack_reserve(std::size_t size_class, std::size_t count);

/// stack_open returns up to `want` stacks of that class (at least one, or null and an error), linked by next, guarded and ready to run on; the pool's
/// warm ones first.
Stack* stack_open(std::size_t size_class, std::size_t want, StackError& error);

/// stack_recycle gives a list of finished stacks (linked by next, of one class) back to the pool, at their initial windows.
void stack_recycle(Stack* list, std::size_t size_class) noexcept;

/// stack_shrink closes a grown window again and gives its memory back.
void stack_shrink(Stack& stack, std::size_t window) noexcept;

/// stack_trim gives memory of pooled stacks beyond the resident cap back to the system: of those that nobody has wanted between the last two
/// calls with `new_period`, a bounded number a call. True while there is more to be given back, now or in a later period. The monitor's work.
bool stack_trim(std::size_t max_stacks, bool new_period) noexcept;

enum class Growth : std::uint8_t {
    NotGrowth, // no address that the stack may grow to
    Grown,
    Overflow,  // it lies below the floor
    Exhausted, // it lies below the floor, where all is open already
};

/// stack_grow handles a fault at `address` of code that runs on `stack`: opens the window down to it. Async-signal-safe.
Growth stack_grow(Stack& stack, const void* address) noexcept;

/// stack_open_below_floor opens all that is kept for an overflow; false when the system refuses. Async-signal-safe.
bool stack_open_below_floor(Stack& stack) noexcept;

/// stack_close_below_floor guards it again. Nothing below the floor may be in use. Async-signal-safe.
void stack_close_below_floor(Stack& stack) noexcept;

/// stack_of finds the stack that contains an address, or null. Async-signal-safe.
Stack* stack_of(const void* address) noexcept;

} // namespace weir::detail
