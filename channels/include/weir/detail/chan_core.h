// ChanCore: a channel without its element type.
//
// Invariants, under `lock`:
//   - At least one of senders and receivers is empty, but for a select that both sends to and receives from the same channel.
//   - Receivers wait only while count == 0; senders wait only while count == capacity.
//   - Once closed, nothing is added; who waits has been woken.
//   - Slot i of the ring holds a value iff i is one of the `count` slots from `head` on.
// Values move outside the lock where two parties meet: the one that takes the other's ChanWaiter off the list owns its slot until ready().
// Into and out of the ring they move under the lock, which is why only types that move without throwing lie there (see Cell).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <weir/detail/biased_lock.h>
#include <weir/detail/bubble.h>
#include <weir/detail/config.h>
#include <weir/detail/park.h>

namespace weir::detail {

/// ElementType says how a channel's elements are handled: `move` constructs at `to` from `from`, which stays to be destroyed by its owner.
struct ElementType {
    std::size_t size;
    std::size_t align;
    void (*move)(void* to, void* from) noexcept;
    void (*destroy)(void* value) noexcept;
    std::uint8_t plain; // 4 or 8: so many bytes, to be copied and not destroyed, as numbers and pointers are; 0: for the functions
};

/// ChanWaiter is a fiber (or thread) waiting in a channel's list, alone or as one case of a select.
struct ChanWaiter : Waiter {
    using Waiter::Waiter;

    void* slot = nullptr;       // sender: the value; receiver: uninitialised room for one
    bool ok = false;            // set by the other party: a value was handed over (false: the channel was closed)
    std::size_t case_index = 0; // of a select
    ChanWaiter** winner = nullptr; // of a select: where the other party notes which case won
};

struct WEIR_API ChanCore {
    ChanCore(const ElementType& element, std::size_t cap);
    virtual ~ChanCore();
    ChanCore(const ChanCore&) = delete;
    ChanCore& operator=(const ChanCore&) = delete;

    static constexpr std::uint8_t kClosed = 1;
    static constexpr std::uint8_t kBubbled = 2; // made in a bubble: for its fibers only

    BiasedLock lock;
    std::atomic<std::uint8_t> flags{0};   // 0 as a rule. kClosed is set under lock, kBubbled before the channel is shared
    const std::uint8_t plain;             // the element type's
    std::atomic<std::uint32_t> refs{1};
    std::atomic<std::size_t> count{0};    // written under lock
    std::size_t head = 0;                 // guarded by lock
    std::size_t capacity;
    std::byte* ring = nullptr;            // guarded by lock
    WaitList receivers;                   // guarded by lock
    WaitList senders;                     // guarded by lock
    const ElementType& type;
    std::uint32_t bubble_id = 0;          // 0: none; as kBubbled

    bool is_closed() const noexcept { return (flags.load(std::memory_order_relaxed) & kClosed) != 0; }
    bool is_bubbled() const noexcept { return (flags.load(std::memory_order_relaxed) & kBubbled) != 0; }

    /// put_in_bubble makes it a channel of that bubble, or of none (0). Only before anyone else knows it.
    void put_in_bubble(std::uint32_t id) noexcept {
        bubble_id = id;
        flags.store(id != 0 ? kBubbled : 0, std::memory_order_relaxed);
    }
    /// put_out_of_bubble makes it a channel of no bubble.
    void put_out_of_bubble() noexcept {
        bubble_id = 0;
        flags.fetch_and(kClosed, std::memory_order_relaxed);
    }
    /// is_foreign tells whether the caller must not touch it.
    bool is_foreign() const noexcept { return is_bubbled() && bubble_id != current_bubble_id(); }

    /// move constructs an element at `to` from the one at `from`.
    WEIR_ALWAYS_INLINE void move(void* to, void* from) const noexcept {
        if (plain == 8) {
            std::memcpy(to, from, 8);
        } else if (plain == 4) {
            std::memcpy(to, from, 4);
        } else {
            type.move(to, from);
        }
    }
    WEIR_ALWAYS_INLINE void destroy_element(void* value) const noexcept {
        if (plain == 0) type.destroy(value);
    }
    void* slot(std::size_t i) noexcept {
        std::size_t at = head + i;
        return ring + (at >= capacity ? at - capacity : at) * type.size;
    }
    void advance() noexcept { head = head + 1 == capacity ? 0 : head + 1; }

    /// first takes the first waiter that has not won elsewhere off a list; lock held.
    static ChanWaiter* first(WaitList& list) noexcept {
        while (Waiter* w = list.pop_front()) {
            if (w->claim()) return static_cast<ChanWaiter*>(w);
        }
        return nullptr;
    }

    void retain() noexcept { refs.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept {
        // acq_rel: the last holder sees what all others did before they let go.
        if (refs.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(this);
    }
    WEIR_API static void destroy(ChanCore* core) noexcept;
};

/// Outcome of an operation that did not block. WouldBlockDurably: on a channel of the caller's bubble.
enum class Try : std::uint8_t { Done, Closed, WouldBlock, WouldBlockDurably };

// All of these panic, as Go is fatal: "send on synctest channel from outside bubble" and the like.

WEIR_API ChanCore* make_chan(const ElementType& type, std::ptrdiff_t capacity);
WEIR_API void chan_close(ChanCore* core);

/// chan_try_send sends *value if that needs no waiting; Closed: nothing was sent. The value is moved from only when Done.
WEIR_API Try chan_try_send(ChanCore* core, void* value);
/// chan_try_recv receives into uninitialised `room`. Closed: closed and drained.
WEIR_API Try chan_try_recv(ChanCore* core, void* room);

/// chan_send blocks until a receiver has the value or the ring has room. Panics "send on closed channel".
WEIR_API void chan_send(ChanCore* core, void* value);
/// chan_recv blocks until there is a value (true) or the channel is closed and drained (false, room untouched).
WEIR_API bool chan_recv(ChanCore* core, void* room);

/// One case of a select, without its type.
struct SelectEntry {
    ChanCore* core = nullptr; // null: never ready
    bool is_send = false;
    void* slot = nullptr;         // as ChanWaiter::slot
    bool ok = false;              // out: of the case that won
    std::uint32_t lock_order = 0; // select's own: of the entry in this place, the index of the one whose channel is locked at this turn
};

constexpr std::size_t kSelectDefault = static_cast<std::size_t>(-1);
constexpr std::size_t kSelectTimeout = static_cast<std::size_t>(-2);

/// select_run runs one case of entries[0..n): fair among those that are ready. With `has_default`, kSelectDefault when none is; with timeout_ns
/// >= 0, kSelectTimeout when none is in that time; otherwise blocks. `scratch` is room for n SelectWaits. Panics when the case is a
/// send on a closed channel.
union SelectWait;
WEIR_API std::size_t select_run(SelectEntry* entries, std::size_t n, bool has_default, std::int64_t timeout_ns, SelectWait* scratch);

/// SelectWait is room for the waiter of a case, which exists from when the select has to block.
union SelectWait {
    SelectWait() noexcept {}
    ChanWaiter waiter;
};

} // namespace weir::detail
