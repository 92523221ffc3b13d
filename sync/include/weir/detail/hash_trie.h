// HashTrie: the lock-free tree behind Map, without its keys and values.
//
// Each node has 16 children, chosen by the next four bits of a hash, from the top. A child is nothing, an inner node, or a chain of entries
// that all have the same hash, nearly always one. Chains are immutable: every change swaps one child by a CAS.
//
//     child:   0                   nothing
//              1                   closed: nothing, and its node is being removed
//              address             a chain of entries
//              address | 1         an inner node
//
// Invariants:
//   - Entries only move down: two hashes that meet in a child get an inner node between. A word that a child once held never comes back
//     while a section that saw it lasts, since entries and nodes are not reused before; so a CAS that succeeds has seen no change.
//   - A node is removed when all its children are closed, in order from the first: who closes that one is alone with the node. Meanwhile
//     readers take closed for nothing, and writers start again from the root. The root is never removed.
//   - clear() swaps the root. Who began before may go on changing the old tree: that counts as done before the clear.
// All but the constructor and the destructor want the caller in a ReadSection, and what they unlink retired once it has left it.
#pragma once

#include <atomic>
#include <cstdint>

#include <weir/detail/config.h>
#include <weir/detail/reclaim.h>

namespace weir::detail {

/// TrieEntry is the base of Map's entries.
struct WEIR_API TrieEntry : Retired {
    explicit TrieEntry(std::uint64_t h) noexcept : hash(h) {}
    const std::uint64_t hash;
    TrieEntry* next = nullptr; // constant once the entry is in the trie
};

struct WEIR_API TrieNode final : Retired {
    static constexpr int kBits = 4;
    static constexpr unsigned kChildren = 1u << kBits;
    static constexpr int kTop = 64 - kBits; // the root's shift

    explicit TrieNode(TrieNode* up) noexcept : parent(up) {}
    /// Destroys everything below too.
    ~TrieNode() override;

    static unsigned index(std::uint64_t hash, int shift) noexcept { return static_cast<unsigned>(hash >> shift) % kChildren; }

    std::atomic<std::uintptr_t> children[kChildren] = {};
    TrieNode* const parent; // null for a root
};

/// TrieWord is what a child holds.
struct TrieWord {
    static constexpr std::uintptr_t kNothing = 0;
    static constexpr std::uintptr_t kClosed = 1;

    static std::uintptr_t of(const TrieEntry* chain) noexcept { return reinterpret_cast<std::uintptr_t>(chain); }
    static std::uintptr_t of(const TrieNode* node) noexcept { return reinterpret_cast<std::uintptr_t>(node) | 1; }

    bool is_node() const noexcept { return (word & 1) != 0 && word != kClosed; }
    TrieNode* node() const noexcept { return reinterpret_cast<TrieNode*>(word & ~std::uintptr_t{1}); }
    /// chain is null for nothing and for closed.
    TrieEntry* chain() const noexcept { return reinterpret_cast<TrieEntry*>(word & ~std::uintptr_t{1}); }

    std::uintptr_t word;
};

/// TriePlace is where a hash belongs, as it was when somebody looked.
struct TriePlace {
    /// chain_of is the chain that is there if it is that of `hash`, else null.
    TrieEntry* chain_of(std::uint64_t hash) const noexcept {
        TrieEntry* chain = seen.chain();
        return chain != nullptr && chain->hash == hash ? chain : nullptr;
    }

    TrieNode* node;
    int shift;
    TrieWord seen; // not a node
};

class WEIR_API HashTrie {
public:
    HashTrie() : root_(new TrieNode(nullptr)) {}
    HashTrie(const HashTrie&) = delete;
    HashTrie& operator=(const HashTrie&) = delete;
    ~HashTrie() { delete root_.load(std::memory_order_relaxed); }

    /// spread makes a good hash of a poor one, different ones of different ones. Only the top bits must be good.
    static std::uint64_t spread(std::uint64_t hash) noexcept { return hash * 0x9e3779b97f4a7c15; }

    /// find is the chain of `hash`, or null. Never waits.
    TrieEntry* find(std::uint64_t hash) const noexcept { return descend(hash).chain_of(hash); }

    /// locate finds the place of `hash`, not closed.
    TriePlace locate(std::uint64_t hash) const noexcept;

    /// put makes `chain` the chain of its hash, in place of the one seen there, if any; false if the place has changed meanwhile.
    static bool put(const TriePlace& place, TrieEntry& chain);

    /// remove takes the chain seen there out; false if the place has changed meanwhile. `gone` gets nodes that have no children any more, not
    /// the chain.
    static bool remove(const TriePlace& place, std::uint64_t hash, Unlinked& gone) noexcept;

    /// first_from is the chain with the lowest hash from `hash` on, or null.
    TrieEntry* first_from(std::uint64_t hash) const noexcept;

    /// clear makes the trie empty.
    void clear(Unlinked& gone);

private:
    TriePlace descend(std::uint64_t hash) const noexcept {
        TrieNode* node = root_.load(std::memory_order_acquire); // acquire: pairs with the release in clear()
        for (int shift = TrieNode::kTop;; shift -= TrieNode::kBits) {
            // acquire: pairs with the release in replace(); what the word leads to is complete.
            const TrieWord seen{node->children[TrieNode::index(hash, shift)].load(std::memory_order_acquire)};
            if (!seen.is_node()) return {node, shift, seen};
            node = seen.node();
        }
    }

    static bool replace(const TriePlace& place, std::uint64_t hash, std::uintptr_t word) noexcept;

    std::atomic<TrieNode*> root_;
};

} // namespace weir::detail
