#include "fiber.h"

#include <mutex>
#include <new>
#include <sys/mman.h>

#include "check.h"
#include "runtime_lock.h"

namespace weir::detail {

std::atomic<std::size_t> g_default_stack_class{kDefaultStack};

namespace {

constexpr std::size_t kChunkFibers = 1024;
constexpr std::size_t kMaxChunks = std::size_t{1} << 15; // 33 million fibers

struct Chunks {
    RuntimeLock lock;
    Fiber* magazines = nullptr;                   // full ones, each head naming the next in `closure`; guarded by lock
    Fiber* loose = nullptr;                       // the rest; guarded by lock
    std::atomic<Fiber*> chunk[kMaxChunks] = {};   // written once each, under lock
    std::atomic<std::size_t> count{0};
};

Chunks g_chunks;

/// extra_lock guards Fiber::extra against readers on other threads: one of several, so that fibers that end do not meet there.
RuntimeLock& extra_lock(const Fiber& f) noexcept {
    struct alignas(64) Padded {
        RuntimeLock lock;
    };
    static Padded locks[32];
    return locks[reinterpret_cast<std::uintptr_t>(&f) / sizeof(Fiber) % 32].lock;
}

std::atomic<std::uint64_t> g_next_id{1};

/// new_chunk maps control blocks and reserves as many stacks, so that binding a stack at the first run cannot fail for want of address space.
StackError new_chunk() {
    std::size_t have = g_chunks.count.load(std::memory_order_relaxed);
    if (have == kMaxChunks) return {"cannot start another fiber: 33 million exist"};
    if (stack_guard_mode() == GuardMode::PageTable) {
        if (StackError e = stack_reserve(default_stack_class(), (have + 1) * kChunkFibers)) return e;
    }
    void* p = mmap(nullptr, kChunkFibers * sizeof(Fiber), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return {"cannot start another fiber: out of memory for control blocks"};
    Fiber* fibers = static_cast<Fiber*>(p);
    Fiber* list = nullptr;
    for (std::size_t i = kChunkFibers; i-- > 0;) {
        Fiber* f = new (&fibers[i]) Fiber;
        f->next = list;
        list = f;
    }
    std::lock_guard hold(g_chunks.lock);
    std::size_t index = g_chunks.count.load(std::memory_order_relaxed);
    g_chunks.chunk[index].store(fibers, std::memory_order_relaxed);
    g_chunks.count.store(index + 1, std::memory_order_release); // release: pairs with the acquire in for_each_fiber()
    fibers[kChunkFibers - 1].next = g_chunks.loose;
    g_chunks.loose = list;
    return {};
}

Fiber* try_take(std::uint32_t& count) noexcept {
    std::lock_guard hold(g_chunks.lock);
    if (Fiber* magazine = g_chunks.magazines; magazine != nullptr) {
        g_chunks.magazines = static_cast<Fiber*>(magazine->closure);
        count = kFiberMagazine;
        return magazine;
    }
    Fiber* first = g_chunks.loose;
    if (first == nullptr) return nullptr;
    Fiber* last = first;
    for (count = 1; count < kFiberMagazine && last->next != nullptr; ++count) last = last->next;
    g_chunks.loose = last->next;
    last->next = nullptr;
    return first;
}

} // namespace

Fiber* fiber_pool_take(std::uint32_t& count, StackError& error) {
    for (;;) {
        if (Fiber* f = try_take(count)) return f;
        error = new_chunk();
        if (error) return nullptr;
    }
}

void fiber_pool_give_magazine(Fiber* magazine) noexcept {
    std::lock_guard hold(g_chunks.lock);
    magazine->closure = g_chunks.magazines;
    g_chunks.magazines = magazine;
}

void fiber_pool_give(Fiber* list) noexcept {
    if (list == nullptr) return;
    Fiber* last = list;
    while (last->next != nullptr) last = last->next;
    std::lock_guard hold(g_chunks.lock);
    last->next = g_chunks.loose;
    g_chunks.loose = list;
}

void for_each_fiber(void (*visit)(Fiber&, void*), void* arg) {
    std::size_t count = g_chunks.count.load(std::memory_order_acquire); // acquire: pairs with the release in new_chunk()
    for (std::size_t c = 0; c < count; ++c) {
        Fiber* fibers = g_chunks.chunk[c].load(std::memory_order_relaxed);
        for (std::size_t i = 0; i < kChunkFibers; ++i) visit(fibers[i], arg);
    }
}

void set_extra(Fiber& f, FiberExtra* extra) noexcept {
    {
        std::lock_guard hold(extra_lock(f));
        std::swap(f.extra, extra);
    }
    delete extra;
}

std::pair<std::string, Labels> name_and_labels(const Fiber& f) {
    std::lock_guard hold(extra_lock(f));
    if (f.extra == nullptr) return {};
    return {f.extra->name, f.extra->labels};
}

std::uint64_t take_fiber_ids(std::uint64_t count) noexcept { return g_next_id.fetch_add(count, std::memory_order_relaxed); }

} // namespace weir::detail
