#include "stack.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <new>
#include <sys/mman.h>
#include <utility>

#include "check.h"
#include "runtime_lock.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

namespace weir::detail {

GuardMode g_guard_mode = GuardMode::PageTable;

namespace {

constexpr std::size_t kClasses = 16;                                // 32 KiB to 1 GiB, powers of two
constexpr std::size_t kMaxRegions = 1024;
constexpr std::size_t kFirstRegion = std::size_t{64} << 20;
constexpr std::size_t kLargestRegion = std::size_t{4} << 30;
constexpr std::size_t kResidentCap = std::size_t{256} << 20;        // bytes of warm windows that the pool keeps for good

/// Region is one mapping cut into slots. Published by count_ and never changed or freed afterwards.
struct Region {
    char* base = nullptr;
    char* end = nullptr;
    std::size_t slot = 0;
    Stack* stacks = nullptr;
};

/// Pool of one size class. All fields guarded by lock.
struct Pool {
    RuntimeLock lock;
    Stack* warm = nullptr;  // open windows, pages resident
    std::size_t warm_count = 0;
    std::size_t least_warm = 0; // the smallest warm_count in this period
    std::size_t spare = 0;      // warm ones to be given back: so many were not wanted in the last period
    Stack* cold = nullptr;  // guarded, no pages
    Region* region = nullptr; // the region that unused slots come from
    std::size_t used = 0;   // slots of it handed out
    std::size_t total = 0;  // slots of all regions
    std::size_t last_bytes = 0;
};

Region g_regions[kMaxRegions];
std::atomic<std::size_t> g_region_count{0};
RuntimeLock g_region_lock;
Pool g_pools[kClasses];

std::size_t class_index(std::size_t size_class) noexcept { return std::countr_zero(size_class) - std::countr_zero(kMinStack); }

GuardMode probe_guard_mode() noexcept {
    if (const char* env = std::getenv("WEIR_STACK_GUARD"); env != nullptr && std::strcmp(env, "mprotect") == 0) return GuardMode::Mprotect;
    void* p = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return GuardMode::Mprotect;
    bool works = madvise(p, kPage, MADV_GUARD_INSTALL) == 0;
    munmap(p, kPage);
    return works ? GuardMode::PageTable : GuardMode::Mprotect;
}

std::string kernel_limit(const char* path) {
    std::ifstream in(path);
    std::string value;
    in >> value;
    return value;
}

/// Guards by mprotect stop short of vm.max_map_count: where a process has no mapping left, brk fails as well as mmap, and who cannot do without a little
/// memory (the global queue, a thread's first use of a thread_local) ends it. Invariant: 2 * (slots guarded) <= vm.max_map_count - kSpareMappings.
constexpr std::size_t kSpareMappings = 2048;
std::atomic<std::size_t> g_guards_left{0}; // of mprotect's; a slot keeps its guards for good

void count_guards_left() noexcept {
    const std::size_t known = std::strtoull(kernel_limit("/proc/sys/vm/max_map_count").c_str(), nullptr, 10);
    const std::size_t most = known != 0 ? known : SIZE_MAX; // no /proc here: the kernel says when
    g_guards_left.store(most > kSpareMappings ? (most - kSpareMappings) / 2 : 0, std::memory_order_relaxed);
}

/// take_guard counts one slot's guards; false when only the spare mappings are left.
bool take_guard() noexcept {
    std::size_t left = g_guards_left.load(std::memory_order_relaxed);
    while (left != 0 && !g_guards_left.compare_exchange_weak(left, left - 1, std::memory_order_relaxed)) {
    }
    if (left == 0) errno = ENOMEM;
    return left != 0;
}

StackError describe(const char* call, int error) {
    std::string text = std::string("cannot make a fiber's stack: ") + call + ": " + std::strerror(error);
    if (stack_guard_mode() == GuardMode::Mprotect) {
        text += "; this kernel needs two memory mappings for each guarded stack and the limit is reached: raise vm.max_map_count (now " +
                kernel_limit("/proc/sys/vm/max_map_count") + ") with sysctl, or use Linux 6.13 or later";
    } else if (kernel_limit("/proc/sys/vm/overcommit_memory") == "2") {
        text += "; vm.overcommit_memory is 2 (strict): set it to 0 or 1, or lower stack_max";
    } else {
        text += "; check the address-space limit (ulimit -v) or lower stack_max";
    }
    return {text};
}

/// slot_bytes is what a stack of that class takes of the address space.
std::size_t slot_bytes(std::size_t size_class) noexcept { return size_class + kGap; }

/// new_stack makes the record of a slot that is used for the first time.
Stack* new_stack(Region& region, std::size_t index) noexcept {
    Stack* s = new (&region.stacks[index]) Stack;
    s->low = region.base + index * region.slot + kGap;
    s->top = region.base + (index + 1) * region.slot;
    return s;
}

/// map_region adds a region of at least `count` slots to a pool whose lock is held by nobody. Smaller regions are tried when large ones fail.
StackError map_region(Pool& pool, std::size_t size_class, std::size_t count) {
    std::size_t slot = slot_bytes(size_class);
    std::size_t least = std::max(slot * count, slot);
    std::size_t bytes = std::max(least, std::clamp(pool.last_bytes * 2, kFirstRegion, kLargestRegion));
    int prot = stack_guard_mode() == GuardMode::PageTable ? PROT_READ | PROT_WRITE : PROT_NONE;
    void* base = MAP_FAILED;
    for (;;) {
        bytes = bytes / slot * slot;
        base = mmap(nullptr, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (base != MAP_FAILED || bytes <= least) break;
        bytes = std::max(bytes / 2, least);
    }
    if (base == MAP_FAILED) return describe("mmap", errno);
    madvise(base, bytes, MADV_NOHUGEPAGE);
    std::size_t slots = bytes / slot;
    void* records = mmap(nullptr, slots * sizeof(Stack), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (records == MAP_FAILED) {
        int error = errno;
        munmap(base, bytes);
        return describe("mmap", error);
    }
    std::lock_guard hold(g_region_lock);
    std::size_t index = g_region_count.load(std::memory_order_relaxed);
    if (index == kMaxRegions) return {"cannot make a fiber's stack: all stack regions are in use"};
    Region& region = g_regions[index];
    region = {static_cast<char*>(base), static_cast<char*>(base) + bytes, slot, static_cast<Stack*>(records)};
    g_region_count.store(index + 1, std::memory_order_release); // release: pairs with the acquire in stack_of()
    std::lock_guard hold_pool(pool.lock);
    pool.last_bytes = bytes;
    pool.total += slots;
    // What is left of the last region is put on the cold list: nothing is lost when a larger request opens a new one early.
    for (; pool.region != nullptr && pool.used < static_cast<std::size_t>(pool.region->end - pool.region->base) / slot; ++pool.used) {
        Stack* s = new_stack(*pool.region, pool.used);
        s->next = pool.cold;
        pool.cold = s;
    }
    pool.region = &region;
    pool.used = 0;
    return {};
}

WEIR_NO_TSAN bool open_window(char* from, char* to) noexcept {
    std::size_t bytes = static_cast<std::size_t>(to - from);
    if (stack_guard_mode() == GuardMode::PageTable) return madvise(from, bytes, MADV_GUARD_REMOVE) == 0;
    return mprotect(from, bytes, PROT_READ | PROT_WRITE) == 0;
}

/// guard_slot puts the first guards of a slot: everything below its initial window.
bool guard_slot(Stack& s) noexcept {
    char* window = s.top - kInitialWindow;
    bool ok = stack_guard_mode() == GuardMode::PageTable ? madvise(s.low - kGap, static_cast<std::size_t>(window - s.low) + kGap, MADV_GUARD_INSTALL) == 0
                                                         : take_guard() && mprotect(window, kInitialWindow, PROT_READ | PROT_WRITE) == 0;
    if (!ok) return false;
    s.window.store(window, std::memory_order_relaxed);
    s.guarded = true;
    return true;
}

/// take_one takes a slot out of a pool whose lock is held: a warm one, a cold one, or a new one.
Stack* take_one(Pool& pool, std::size_t size_class) {
    if (Stack* s = pool.warm; s != nullptr) {
        pool.warm = s->next;
        pool.least_warm = std::min(pool.least_warm, --pool.warm_count);
        return s;
    }
    if (Stack* s = pool.cold; s != nullptr) {
        pool.cold = s->next;
        return s;
    }
    if (pool.region == nullptr || pool.used == static_cast<std::size_t>(pool.region->end - pool.region->base) / slot_bytes(size_class)) return nullptr;
    return new_stack(*pool.region, pool.used++);
}

/// take_slots takes up to `want` slots, linked by next in the order of their addresses where they are new.
Stack* take_slots(Pool& pool, std::size_t size_class, std::size_t want) {
    std::lock_guard hold(pool.lock);
    Stack* first = nullptr;
    Stack** end = &first;
    for (; want > 0; --want) {
        Stack* s = take_one(pool, size_class);
        if (s == nullptr) break;
        *end = s;
        end = &s->next;
    }
    *end = nullptr;
    return first;
}

void put_cold(Pool& pool, Stack* list) noexcept {
    std::lock_guard hold(pool.lock);
    while (list != nullptr) {
        Stack* s = std::exchange(list, list->next);
        s->next = pool.cold;
        pool.cold = s;
    }
}

} // namespace

std::size_t stack_class(std::size_t stack_max) noexcept { return std::bit_ceil(std::clamp(stack_max, kMinStack, kMaxStack)); }

void stack_init() noexcept {
    static const GuardMode mode = [] { // once: slots keep the guards they were made with
        const GuardMode probed = probe_guard_mode();
        if (probed == GuardMode::Mprotect) count_guards_left();
        return probed;
    }();
    g_guard_mode = mode;
}

StackError stack_reserve(std::size_t size_class, std::size_t count) {
    Pool& pool = g_pools[class_index(size_class)];
    std::size_t total;
    {
        std::lock_guard hold(pool.lock);
        total = pool.total;
    }
    return total >= count ? StackError{} : map_region(pool, size_class, count - total);
}

Stack* stack_open(std::size_t size_class, std::size_t want, StackError& error) {
    Pool& pool = g_pools[class_index(size_class)];
    Stack* list = take_slots(pool, size_class, want);
    while (list == nullptr) {
        error = map_region(pool, size_class, 1);
        if (error) return nullptr;
        list = take_slots(pool, size_class, want);
    }
    Stack** end = &list;
    for (Stack* s = list; s != nullptr; end = &s->next, s = s->next) {
        if (!s->guarded && !guard_slot(*s)) { // those before it will do, if there are any
            error = describe(stack_guard_mode() == GuardMode::PageTable ? "madvise" : "mprotect", errno);
            *end = nullptr;
            put_cold(pool, s);
            break;
        }
        san::init_stack(s->san, s->bottom(), s->size() + kOverflowRoom);
    }
    return list;
}

void stack_recycle(Stack* list, std::size_t size_class) noexcept {
    std::size_t count = 0;
    Stack* last = nullptr;
    for (Stack* s = list; s != nullptr; s = s->next) {
        if (s->top - s->window.load(std::memory_order_relaxed) > static_cast<std::ptrdiff_t>(kInitialWindow)) stack_shrink(*s, kInitialWindow);
        san::end_stack(s->san);
        last = s;
        ++count;
    }
    if (last == nullptr) return;
    Pool& pool = g_pools[class_index(size_class)];
    std::lock_guard hold(pool.lock);
    last->next = pool.warm;
    pool.warm = list;
    pool.warm_count += count;
}

WEIR_NO_TSAN void stack_shrink(Stack& s, std::size_t window) noexcept {
    char* from = s.window.load(std::memory_order_relaxed);
    char* to = s.top - window;
    if (from >= to) return;
    std::size_t bytes = static_cast<std::size_t>(to - from);
    // MADV_GUARD_INSTALL drops the pages itself; mprotect does not.
    if (stack_guard_mode() == GuardMode::PageTable) {
        if (madvise(from, bytes, MADV_GUARD_INSTALL) != 0) return;
    } else {
        madvise(from, bytes, MADV_DONTNEED);
        if (mprotect(from, bytes, PROT_NONE) != 0) return;
    }
    s.window.store(to, std::memory_order_relaxed);
    if (to >= s.floor()) s.overflow = Overflow::None;
}

namespace {

constexpr std::size_t kKeptWarm = kResidentCap / kPage;

/// begin_period finds out what was spare in the one that ends.
void begin_period(Pool& pool) noexcept {
    std::lock_guard hold(pool.lock);
    pool.spare = std::max(pool.least_warm, kKeptWarm) - kKeptWarm;
    pool.least_warm = pool.warm_count;
}

/// take_spare takes a warm stack to be given back; null when none is spare.
Stack* take_spare(Pool& pool) noexcept {
    std::lock_guard hold(pool.lock);
    if (pool.spare == 0 || pool.warm_count <= kKeptWarm) return nullptr;
    --pool.spare;
    return take_one(pool, 0);
}

bool holds_too_much(Pool& pool) noexcept {
    std::lock_guard hold(pool.lock);
    return pool.warm_count > kKeptWarm;
}

} // namespace

bool stack_trim(std::size_t max_stacks, bool new_period) noexcept {
    bool more = false;
    for (Pool& pool : g_pools) {
        if (new_period) begin_period(pool);
        for (std::size_t i = 0; i < max_stacks; ++i) {
            Stack* s = take_spare(pool);
            if (s == nullptr) break;
            char* window = s->window.load(std::memory_order_relaxed);
            madvise(window, static_cast<std::size_t>(s->top - window), MADV_DONTNEED);
            s->next = nullptr;
            put_cold(pool, s);
        }
        more |= holds_too_much(pool);
    }
    return more;
}

WEIR_NO_TSAN Stack* stack_of(const void* address) noexcept {
    const char* p = static_cast<const char*>(address);
    std::size_t count = g_region_count.load(std::memory_order_acquire); // acquire: pairs with the release in map_region()
    for (std::size_t i = 0; i < count; ++i) {
        const Region& r = g_regions[i];
        if (p < r.base || p >= r.end) continue;
        Stack* s = &r.stacks[static_cast<std::size_t>(p - r.base) / r.slot];
        return s->low != nullptr ? s : nullptr;
    }
    return nullptr;
}

WEIR_NO_TSAN Growth stack_grow(Stack& s, const void* address) noexcept {
    char* window = s.window.load(std::memory_order_relaxed);
    char* p = static_cast<char*>(const_cast<void*>(address));
    if (p < s.low - kGap || p >= window) return Growth::NotGrowth;
    if (s.overflow != Overflow::None) return Growth::Exhausted;
    if (p < s.floor()) return Growth::Overflow;
    char* page = s.low + (p - s.low) / static_cast<std::ptrdiff_t>(kPage) * static_cast<std::ptrdiff_t>(kPage);
    char* doubled = s.top - 2 * (s.top - window);
    char* wanted = page < doubled ? page : doubled;
    char* target = wanted > s.floor() ? wanted : s.floor();
    if (!open_window(target, window)) return Growth::Overflow;
    s.window.store(target, std::memory_order_relaxed);
    return Growth::Grown;
}

WEIR_NO_TSAN bool stack_open_below_floor(Stack& s) noexcept {
    char* window = s.window.load(std::memory_order_relaxed);
    if (!open_window(s.bottom(), window)) return false;
    s.window.store(s.bottom(), std::memory_order_relaxed);
    return true;
}

WEIR_NO_TSAN void stack_close_below_floor(Stack& s) noexcept { stack_shrink(s, static_cast<std::size_t>(s.top - s.floor())); }

} // namespace weir::detail
