// Bubble: what other modules must know of <weir/synctest.h>. A bubble is an isolated set of fibers with a clock of their own.
//
// While no bubble exists all of this is one load of g_bubbles. A bubble's id is never used again; 0 stands for none.
#pragma once

#include <atomic>
#include <cstdint>

#include <weir/detail/config.h>

namespace weir::detail {

struct Bubble;

/// g_bubbles counts the bubbles that exist. A fiber of a bubble never finds 0.
extern WEIR_API std::atomic<std::uint32_t> g_bubbles;

WEIR_API Bubble* find_bubble() noexcept;
WEIR_API std::uint32_t find_bubble_id() noexcept;

/// current_bubble is the calling fiber's, or null.
inline Bubble* current_bubble() noexcept { return g_bubbles.load(std::memory_order_relaxed) == 0 ? nullptr : find_bubble(); }
/// current_bubble_id is its id, or 0.
inline std::uint32_t current_bubble_id() noexcept { return g_bubbles.load(std::memory_order_relaxed) == 0 ? 0 : find_bubble_id(); }
/// bubble_exists tells whether the bubble of that id has not ended.
WEIR_API bool bubble_exists(std::uint32_t id) noexcept;

/// clock_now is the clock that weir's time goes by, in ns: the calling fiber's bubble's, else the monotonic one.
WEIR_API std::int64_t clock_now() noexcept;

/// synctest_run runs call(fn) as the main fiber of a new bubble, and synctest_wait is what it says: see <weir/synctest.h>.
WEIR_API void synctest_run(void (*call)(void*), void* fn);
WEIR_API void synctest_wait();

} // namespace weir::detail
