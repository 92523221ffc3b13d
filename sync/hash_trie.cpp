#include <weir/detail/hash_trie.h>

#include <memory>
#include <utility>

#include <weir/detail/planted.h>
#include <weir/detail/sched_point.h>
#include "spin.h"

namespace weir::detail {

namespace {

void destroy_chain(TrieEntry* chain) noexcept {
    while (chain != nullptr) {
        delete std::exchange(chain, chain->next);
    }
}

bool has_children(const TrieNode& node) noexcept {
    for (const auto& child : node.children) {
        if (child.load(std::memory_order_relaxed) != TrieWord::kNothing) return true;
    }
    return false;
}

/// close closes all children, or none if there is any, or if another is at it. Relaxed: a closed child leads nowhere.
bool close(TrieNode& node) noexcept {
    if (planted(Bug::MapLosesStore)) return true;
    for (unsigned i = 0; i < TrieNode::kChildren; ++i) {
        std::uintptr_t nothing = TrieWord::kNothing;
        if (node.children[i].compare_exchange_strong(nothing, TrieWord::kClosed, std::memory_order_relaxed)) continue;
        while (i-- > 0) node.children[i].store(TrieWord::kNothing, std::memory_order_relaxed);
        return false;
    }
    return true;
}

TrieEntry* first_below(const TrieNode& node, int shift, std::uint64_t from) noexcept {
    for (unsigned i = TrieNode::index(from, shift); i < TrieNode::kChildren; ++i) {
        const TrieWord seen{node.children[i].load(std::memory_order_acquire)}; // acquire: pairs with the release in replace()
        if (seen.is_node()) {
            if (TrieEntry* found = first_below(*seen.node(), shift - TrieNode::kBits, from)) return found;
        } else if (TrieEntry* chain = seen.chain(); chain != nullptr && chain->hash >= from) {
            return chain;
        }
        from = 0; // all that is further to the right counts
    }
    return nullptr;
}

/// Fork is a branch of new nodes in which two hashes part.
struct Fork {
    Fork(const TriePlace& place, const TrieEntry& a, const TrieEntry& b) : top(std::make_unique<TrieNode>(place.node)), bottom(top.get()) {
        int shift = place.shift - TrieNode::kBits;
        for (; TrieNode::index(a.hash, shift) == TrieNode::index(b.hash, shift); shift -= TrieNode::kBits) {
            auto* below = new TrieNode(bottom);
            hold(a.hash, shift, TrieWord::of(below));
            bottom = below;
        }
        hold(a.hash, shift, TrieWord::of(&a));
        hold(b.hash, shift, TrieWord::of(&b));
    }
    ~Fork() {
        if (top == nullptr) return;
        for (auto& child : bottom->children) child.store(TrieWord::kNothing, std::memory_order_relaxed); // the entries are not its own
    }

    void hold(std::uint64_t hash, int shift, std::uintptr_t word) noexcept {
        bottom->children[TrieNode::index(hash, shift)].store(word, std::memory_order_relaxed); // published by replace()
    }

    std::unique_ptr<TrieNode> top; // until it is in the trie
    TrieNode* bottom;
};

} // namespace

TrieNode::~TrieNode() {
    for (const auto& child : children) {
        const TrieWord held{child.load(std::memory_order_relaxed)};
        if (held.is_node()) {
            delete held.node();
        } else {
            destroy_chain(held.chain());
        }
    }
}

TriePlace HashTrie::locate(std::uint64_t hash) const noexcept {
    sched_point();
    Backoff backoff;
    for (;;) {
        const TriePlace place = descend(hash);
        if (place.seen.word != TrieWord::kClosed) return place;
        backoff.wait();
    }
}

bool HashTrie::replace(const TriePlace& place, std::uint64_t hash, std::uintptr_t word) noexcept {
    std::uintptr_t expected = place.seen.word;
    // release: pairs with the acquire in descend() and first_below(); publishes what the word leads to.
    return place.node->children[TrieNode::index(hash, place.shift)].compare_exchange_strong(expected, word, std::memory_order_release,
                                                                                            std::memory_order_relaxed);
}

bool HashTrie::put(const TriePlace& place, TrieEntry& chain) {
    sched_point(); // somebody may have been at the same place since locate()
    TrieEntry* other = place.seen.chain();
    if (other == nullptr || other->hash == chain.hash) return replace(place, chain.hash, TrieWord::of(&chain));
    Fork fork(place, *other, chain);
    if (!replace(place, chain.hash, TrieWord::of(fork.top.get()))) return false;
    fork.top.release();
    return true;
}

bool HashTrie::remove(const TriePlace& place, std::uint64_t hash, Unlinked& gone) noexcept {
    sched_point(); // as in put()
    if (!replace(place, hash, TrieWord::kNothing)) return false;
    sched_point(); // before the branch, which may be empty now, is taken out
    int shift = place.shift;
    for (TrieNode* node = place.node; node->parent != nullptr && !has_children(*node) && close(*node); node = node->parent) {
        shift += TrieNode::kBits;
        // A child that leads to a node is changed by nobody but who closed that node. Release: as in replace().
        node->parent->children[TrieNode::index(hash, shift)].store(TrieWord::kNothing, std::memory_order_release);
        gone.add(*node);
    }
    return true;
}

TrieEntry* HashTrie::first_from(std::uint64_t hash) const noexcept {
    sched_point();
    return first_below(*root_.load(std::memory_order_acquire), TrieNode::kTop, hash); // acquire: pairs with the release in clear()
}

void HashTrie::clear(Unlinked& gone) {
    sched_point();
    auto fresh = std::make_unique<TrieNode>(nullptr);
    // acq_rel: publishes the new root; the old one goes with all that was put below it.
    gone.add(*root_.exchange(fresh.release(), std::memory_order_acq_rel));
}

} // namespace weir::detail
