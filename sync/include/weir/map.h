// Map<K, V>: a map for many fibers at once, Go's sync.Map.
//
//     weir::Map<std::string, Session> sessions;
//     sessions.store(id, session);
//     if (auto s = sessions.load(id)) use(*s);               // a copy
//     auto [s, loaded] = sessions.load_or_store(id, Session());
//     sessions.range([](const std::string& id, const Session& s) { return s.live(); });   // false ends it
//
// Reading takes no lock and writes no memory that other threads read often; writing locks nothing either. So it suits keys that are read much
// more often than changed, and fibers that work on different keys; for others a std::unordered_map and a Mutex cost less memory. Every
// operation but range happens at one moment. Keys and values are copied out; keep a std::shared_ptr in it when copies are dear. What was erased
// or replaced is destroyed when the last operation that may be reading it has ended, on the fiber that notices. Works on fibers and on plain OS
// threads.
//
// The tree behind it: <weir/detail/hash_trie.h>. Hash, Equal and V's operator== run under no lock; they may use the map itself.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <weir/detail/config.h>
#include <weir/detail/hash_trie.h>
#include <weir/detail/reclaim.h>

namespace weir {

template <class K, class V, class Hash = std::hash<K>, class Equal = std::equal_to<K>>
    requires std::copy_constructible<K> && std::copy_constructible<V>
class Map {
public:
    /// An empty map. Allocates.
    Map() = default;
    Map(const Map&) = delete;
    Map& operator=(const Map&) = delete;
    /// Nobody may be using it.
    ~Map() = default;

    /// load is a copy of the key's value; nullopt if the key is not there. Lock-free, allocates nothing itself.
    std::optional<V> load(const K& key) const {
        const std::uint64_t hash = hash_of(key);
        const detail::ReadSection section;
        const Entry* entry = match(static_cast<const Entry*>(trie_.find(hash)), key);
        return entry != nullptr ? std::optional<V>(entry->value) : std::nullopt;
    }

    /// store sets the key's value. Allocates.
    void store(const K& key, V value) {
        change(key, value, [](const V*) { return Change::Put; });
    }

    /// swap is store, and returns the value before: nullopt if the key was not there.
    std::optional<V> swap(const K& key, V value) {
        std::optional<V> previous;
        change(key, value, [&](const V* current) {
            copy_to(previous, current);
            return Change::Put;
        });
        return previous;
    }

    /// load_or_store returns the key's value and true; if the key is not there it stores `value` and returns that and false.
    std::pair<V, bool> load_or_store(const K& key, V value) {
        if (std::optional<V> found = load(key)) return {*std::move(found), true};
        V stored(value);
        std::optional<V> found;
        change(key, value, [&](const V* current) {
            copy_to(found, current);
            return current != nullptr ? Change::None : Change::Put;
        });
        const bool loaded = found.has_value();
        return {loaded ? *std::move(found) : std::move(stored), loaded};
    }

    /// load_and_delete erases the key and returns its value; nullopt if it was not there.
    std::optional<V> load_and_delete(const K& key) {
        std::optional<V> found; // of the last attempt, which may have come too late
        const bool removed = remove(key, [&](const V& current) {
            copy_to(found, &current);
            return true;
        });
        return removed ? std::move(found) : std::nullopt;
    }

    /// erase takes the key out; true if it was there. Go's Delete.
    bool erase(const K& key) {
        return remove(key, [](const V&) { return true; });
    }

    /// compare_and_swap stores `fresh` if the key is there with a value == old; true if so.
    bool compare_and_swap(const K& key, const V& old, V fresh)
        requires std::equality_comparable<V>
    {
        return change(key, fresh, [&](const V* current) { return current != nullptr && *current == old ? Change::Put : Change::None; });
    }

    /// compare_and_delete erases the key if it is there with a value == old; true if so.
    bool compare_and_delete(const K& key, const V& old)
        requires std::equality_comparable<V>
    {
        return remove(key, [&](const V& current) { return current == old; });
    }

    /// range calls fn(key, value) for each key, until it returns false (if it returns anything). fn may do anything, with the map too. A key that
    /// is there all the time comes exactly once, one that comes or goes meanwhile at most once, with a value it had during the call. The order
    /// is that of the hashes.
    template <class F>
        requires std::invocable<F&, const K&, const V&>
    void range(F&& fn) const {
        std::vector<std::pair<K, V>> chain;
        std::optional<std::uint64_t> hash = 0;
        while (hash) {
            chain.clear();
            hash = copy_chain(*hash, chain);
            for (const auto& [key, value] : chain) {
                if constexpr (std::is_void_v<std::invoke_result_t<F&, const K&, const V&>>) {
                    fn(key, value);
                } else {
                    if (!fn(key, value)) return;
                }
            }
        }
    }

    /// clear erases all keys, at one moment. Allocates.
    void clear() {
        detail::Unlinked gone;
        trie_.clear(gone);
    }

private:
    struct Entry final : detail::TrieEntry {
        Entry(std::uint64_t hash, const K& k, V v) : TrieEntry(hash), key(k), value(std::move(v)) {}
        const K key;
        const V value;
    };

    enum class Change : std::uint8_t { None, Put };

    /// Others are copies of a chain's entries without one, until they are in the trie. Nearly always none.
    class Others {
    public:
        Others(const Entry* chain, const Entry* without) {
            for (; chain != nullptr; chain = next(chain)) {
                if (chain == without) continue;
                auto* copy = new Entry(chain->hash, chain->key, chain->value);
                copy->next = std::exchange(first_, copy);
            }
        }
        Others(const Others&) = delete;
        Others& operator=(const Others&) = delete;
        ~Others() {
            while (first_ != nullptr) delete std::exchange(first_, next(first_));
        }

        Entry* first() const noexcept { return first_; }
        void release() noexcept { first_ = nullptr; }

    private:
        Entry* first_ = nullptr;
    };

    static std::uint64_t hash_of(const K& key) { return detail::HashTrie::spread(Hash{}(key)); }

    static Entry* next(const Entry* entry) noexcept { return static_cast<Entry*>(entry->next); }

    static const Entry* match(const Entry* chain, const K& key) {
        while (chain != nullptr && !Equal{}(chain->key, key)) chain = next(chain);
        return chain;
    }

    static void copy_to(std::optional<V>& to, const V* value) {
        to.reset();
        if (value != nullptr) to.emplace(*value);
    }

    static void unlinked(Entry* chain, detail::Unlinked& gone) noexcept {
        while (chain != nullptr) gone.add(*std::exchange(chain, next(chain)));
    }

    /// change asks plan(current value, or null) what to do, until that could be done at one moment; true if it stored `value`.
    template <class Plan>
    bool change(const K& key, V& value, Plan plan) {
        const std::uint64_t hash = hash_of(key);
        std::unique_ptr<Entry> fresh;
        detail::Unlinked gone;
        const detail::ReadSection section;
        for (;;) {
            const detail::TriePlace place = trie_.locate(hash);
            auto* chain = static_cast<Entry*>(place.chain_of(hash));
            const Entry* current = match(chain, key);
            if (plan(current != nullptr ? &current->value : nullptr) == Change::None) return false;
            if (fresh == nullptr) fresh = std::make_unique<Entry>(hash, key, std::move(value));
            Entry* replaced = current != nullptr ? chain : nullptr; // a new key goes before the chain, which stays
            Others others(replaced, current);
            fresh->next = current != nullptr ? others.first() : chain;
            if (!trie_.put(place, *fresh)) continue;
            fresh.release();
            others.release();
            unlinked(replaced, gone);
            return true;
        }
    }

    /// remove erases the key if it is there and plan(current value) says so; true if it did.
    template <class Plan>
    bool remove(const K& key, Plan plan) {
        const std::uint64_t hash = hash_of(key);
        detail::Unlinked gone;
        const detail::ReadSection section;
        for (;;) {
            const detail::TriePlace place = trie_.locate(hash);
            auto* chain = static_cast<Entry*>(place.chain_of(hash));
            const Entry* current = match(chain, key);
            if (current == nullptr || !plan(current->value)) return false;
            Others others(chain, current);
            const bool done = others.first() != nullptr ? trie_.put(place, *others.first()) : trie_.remove(place, hash, gone);
            if (!done) continue;
            others.release();
            unlinked(chain, gone);
            return true;
        }
    }

    /// copy_chain copies the keys with the lowest hash from `from` on, and returns the hash to go on from, if any.
    std::optional<std::uint64_t> copy_chain(std::uint64_t from, std::vector<std::pair<K, V>>& to) const {
        const detail::ReadSection section;
        const auto* chain = static_cast<const Entry*>(trie_.first_from(from));
        if (chain == nullptr) return std::nullopt;
        for (const Entry* entry = chain; entry != nullptr; entry = next(entry)) to.emplace_back(entry->key, entry->value);
        if (chain->hash == UINT64_MAX) return std::nullopt;
        return chain->hash + 1;
    }

    detail::HashTrie trie_;
};

} // namespace weir
