#include <weir/pool.h>

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include <weir/detail/planted.h>
#include <weir/detail/sched_point.h>
#include <weir/detail/spinlock.h>
#include <weir/detail/timer.h>
#include <weir/mutex.h>

#include "thread_slot.h"

namespace weir::detail {

namespace {

/// Stack is a stack of objects in chunks, of which only the top one may be empty. Guarded by its shard's lock, under which it does not allocate.
class Stack {
public:
    struct Chunk {
        static constexpr std::uint32_t kSize = 61;
        Chunk* below = nullptr;
        std::uint32_t n = 0;
        void* items[kSize];
    };

    /// push is false when it needs another chunk.
    bool push(void* object) noexcept {
        if (top_ == nullptr || top_->n == Chunk::kSize) return false;
        top_->items[top_->n++] = object;
        return true;
    }
    void add(Chunk* empty) noexcept {
        empty->below = top_;
        top_ = empty;
    }
    /// pop gives null when empty; and `spare`, if a chunk was left over, to delete.
    void* pop(Chunk*& spare) noexcept {
        if (top_ != nullptr && top_->n == 0) {
            spare = top_;
            top_ = top_->below;
        }
        return top_ != nullptr ? top_->items[--top_->n] : nullptr;
    }

private:
    Chunk* top_ = nullptr;
};

} // namespace

struct alignas(64) PoolShard {
    /// Generation is what has been put since the last ageing, or what was left then.
    enum Generation { Current, Victims };

    std::atomic<void*> hot{nullptr};
    std::uint32_t puts = 0; // its own thread's
    SpinLock lock;
    Stack stacks[2];            // guarded by lock
    void* hot_victim = nullptr; // guarded by lock

    // acquire: pairs with the release in PoolCore::put(); what the last holder did to the object is visible.
    void* take_hot() noexcept {
        void* seen = hot.load(std::memory_order_relaxed);
        if (seen == nullptr) return nullptr;
        if (!planted(Bug::PoolGivesTwice)) return hot.exchange(nullptr, std::memory_order_acquire);
        sched_point(); // where another thread would come between the two
        hot.store(nullptr, std::memory_order_relaxed);
        return seen;
    }

    void* pop(Generation from) noexcept {
        Stack::Chunk* spare = nullptr;
        lock.lock();
        void* object = stacks[from].pop(spare);
        if (object == nullptr && from == Victims) object = std::exchange(hot_victim, nullptr);
        lock.unlock();
        delete spare;
        if (object == nullptr && from == Current) object = take_hot();
        return object;
    }

    void push(void* object) {
        Stack::Chunk* spare = nullptr;
        lock.lock();
        while (!stacks[Current].push(object)) {
            if (spare != nullptr) {
                stacks[Current].add(std::exchange(spare, nullptr));
                continue;
            }
            lock.unlock();
            spare = new Stack::Chunk;
            lock.lock();
        }
        lock.unlock();
        delete spare;
    }
};

namespace {

/// Doomed are victims on their way out.
struct Doomed {
    void destroy_all() {
        Stack::Chunk* spare = nullptr;
        while (void* object = objects.pop(spare)) {
            destroy(object);
            delete std::exchange(spare, nullptr);
        }
        delete spare;
        if (hot != nullptr) destroy(hot);
    }

    PoolCore::Destroy destroy;
    Stack objects;
    void* hot;
};

/// age makes victims of what is in the shard, and returns those there were.
Doomed age(PoolShard& shard, PoolCore::Destroy destroy) noexcept {
    const std::lock_guard lock(shard.lock);
    return {destroy, std::exchange(shard.stacks[PoolShard::Victims], std::exchange(shard.stacks[PoolShard::Current], Stack())),
            std::exchange(shard.hot_victim, shard.take_hot())};
}

} // namespace

/// PoolRegistry knows all pools, and ages them.
class PoolRegistry {
public:
    void add(PoolCore& pool) {
        const Hold lock(mu_);
        pool.next_ = first_;
        if (first_ != nullptr) first_->previous_ = &pool;
        first_ = &pool;
    }

    void remove(PoolCore& pool) {
        const Hold lock(mu_);
        (pool.previous_ != nullptr ? pool.previous_->next_ : first_) = pool.next_;
        if (pool.next_ != nullptr) pool.next_->previous_ = pool.previous_;
    }

    void age_all() {
        std::vector<Doomed> doomed;
        {
            const Hold lock(mu_);
            for (PoolCore* pool = first_; pool != nullptr; pool = pool->next_) age(*pool, doomed);
        }
        for (Doomed& d : doomed) d.destroy_all();
    }

    void age_if_due() {
        const std::int64_t now = mono_now();
        std::int64_t due = due_.load(std::memory_order_relaxed);
        if (now < due || !due_.compare_exchange_strong(due, now + kPeriodNs, std::memory_order_relaxed)) return;
        if (due != 0) age_all(); // the first time only starts the clock
    }

    static void age(PoolCore& pool, std::vector<Doomed>& doomed) {
        for (auto& slot : pool.shards_) {
            // acquire: pairs with the release in my_shard(); the shard is made.
            if (PoolShard* shard = slot.load(std::memory_order_acquire)) doomed.push_back(detail::age(*shard, pool.destroy_));
        }
    }

private:
    static constexpr std::int64_t kPeriodNs = 2'000'000'000;

    /// Hold is held over no scheduling point: a fiber that a seeded run leaves behind would hold it for ever.
    struct Hold {
        explicit Hold(Mutex& mu) : lock(mu) {}
        NoSchedPoints none;
        std::lock_guard<Mutex> lock;
    };

    Mutex mu_;
    PoolCore* first_ = nullptr; // guarded by mu_
    std::atomic<std::int64_t> due_{0};
};

namespace {
constinit PoolRegistry registry;
} // namespace

PoolCore::PoolCore(Destroy destroy) : destroy_(destroy) { registry.add(*this); }

PoolCore::~PoolCore() {
    registry.remove(*this);
    std::vector<Doomed> doomed;
    PoolRegistry::age(*this, doomed);
    PoolRegistry::age(*this, doomed);
    for (Doomed& d : doomed) d.destroy_all();
    for (auto& slot : shards_) delete slot.load(std::memory_order_relaxed);
}

void* PoolCore::get() noexcept {
    sched_point();
    const std::uint32_t mine = std::min(this_thread_slot().index, kShards - 1);
    PoolShard* shard = shards_[mine].load(std::memory_order_acquire); // acquire: pairs with the release in my_shard()
    if (shard != nullptr) {
        if (void* object = shard->take_hot()) [[likely]]
            return object;
    }
    return get_slow(mine);
}

WEIR_NOINLINE void* PoolCore::get_slow(std::uint32_t mine) noexcept {
    for (auto generation : {PoolShard::Current, PoolShard::Victims}) {
        for (std::uint32_t i = 0; i < kShards; ++i) {
            PoolShard* shard = shards_[(mine + i) % kShards].load(std::memory_order_acquire);
            if (shard == nullptr) continue;
            if (void* object = shard->pop(generation)) return object;
        }
    }
    return nullptr;
}

PoolShard& PoolCore::my_shard() {
    auto& slot = shards_[std::min(this_thread_slot().index, kShards - 1)];
    PoolShard* shard = slot.load(std::memory_order_acquire);
    if (shard != nullptr) [[likely]]
        return *shard;
    auto* fresh = new PoolShard;
    // acq_rel: publishes the shard, or finds that of another thread: several share the last one.
    if (slot.compare_exchange_strong(shard, fresh, std::memory_order_acq_rel)) return *fresh;
    delete fresh;
    return *shard;
}

void PoolCore::put(void* object) {
    constexpr std::uint32_t kOften = 256; // puts between two looks at the clock
    sched_point();
    PoolShard& shard = my_shard();
    const bool shared = &shard == shards_[kShards - 1].load(std::memory_order_relaxed);
    if (shared) return shard.push(object);
    if (shard.hot.load(std::memory_order_relaxed) == nullptr) {
        shard.hot.store(object, std::memory_order_release); // release: pairs with the acquire in take_hot()
    } else {
        shard.push(object);
    }
    if (++shard.puts % kOften == 0) registry.age_if_due();
}

void age_pools() { registry.age_all(); }

} // namespace weir::detail

void weir::shrink_pools() {
    detail::age_pools();
    detail::age_pools();
}
