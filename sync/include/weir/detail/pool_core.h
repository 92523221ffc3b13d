// PoolCore: the caches behind Pool<T>, without its type.
//
// Each OS thread has a shard: one hot object in an atomic word, and a stack under a lock. Only the shard's own thread stores an object into
// `hot`, when it has seen it empty; anybody takes it out, by an exchange. So no object is ever in two hands.
// Ageing is Go's: it drops each shard's victims and makes what is in the shard the new victims. Nobody puts into victims; a get that finds
// nothing else takes from them. So an object that is not wanted between two ageings is given back.
// Allocated by itself, whatever its Pool lies in: the registry still has it when a run has left the Pool behind on the stack of a fiber.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include <weir/detail/config.h>

namespace weir::detail {

struct PoolShard;

class WEIR_API PoolCore {
public:
    using Destroy = void (*)(void* object);

    explicit PoolCore(Destroy destroy);
    PoolCore(const PoolCore&) = delete;
    PoolCore& operator=(const PoolCore&) = delete;
    ~PoolCore();

    /// get takes an object out, or gives null.
    void* get() noexcept;
    /// put takes `object` over.
    void put(void* object);

private:
    friend class PoolRegistry;

    static constexpr std::uint32_t kShards = 64; // threads beyond that share the last one's stack

    PoolShard& my_shard();
    void* get_slow(std::uint32_t mine) noexcept;

    const Destroy destroy_;
    std::array<std::atomic<PoolShard*>, kShards> shards_ = {}; // each made at its first put, never changed again
    PoolCore* next_ = nullptr; // guarded by the registry's lock, as is:
    PoolCore* previous_ = nullptr;
};

} // namespace weir::detail
