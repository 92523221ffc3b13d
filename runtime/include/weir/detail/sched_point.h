// sched_point: where a seeded run may go on with another fiber.
//
// Every operation of channels and sync passes one before it takes effect; ready() and go() are points afterwards. In any other
// run a point is a load that is shared by all and written by nobody, and a branch not taken. An operation whose fast path only
// reads needs none there: its slow path has one and then looks again, which is all that an interrupted fast path could come to
// (Once::call, WaitGroup::wait).
//
// A point under a lock is allowed: whoever comes for the lock meanwhile lets the others run (SpinLock::lock_slow, Backoff).
#pragma once

#include <atomic>
#include <cstdint>

#include <weir/detail/config.h>

namespace weir::detail {

/// g_seeded: a seeded run is under way. Changes only while no fiber exists.
extern WEIR_API std::atomic<bool> g_seeded;

/// sched_point_slow goes on with a fiber drawn from the seed, the caller among them. Nothing on a thread that is not the seeded
/// run's, and outside any fiber.
WEIR_API WEIR_COLD void sched_point_slow() noexcept;

/// in_seeded_run costs a comparison with memory and a jump. Compilers make three instructions of an atomic load, hence the assembly.
WEIR_ALWAYS_INLINE bool in_seeded_run() noexcept {
#if defined(__x86_64__)
    asm goto("cmpb $0, %0\n\tjne %l1" : : "m"(g_seeded) : "cc" : yes);
    return false;
yes:
    return true;
#else
    return g_seeded.load(std::memory_order_relaxed);
#endif
}

WEIR_ALWAYS_INLINE void sched_point() noexcept {
    if (in_seeded_run()) [[unlikely]] sched_point_slow();
}

/// seeded_random draws a number from the seed; false on a thread that is not the seeded run's.
WEIR_API bool seeded_random(std::uint32_t& number) noexcept;

/// NoSchedPoints: none in this scope. For what another fiber could not wait for: the initialisation of a static variable, a lock
/// that outlives the run.
class NoSchedPoints {
public:
    NoSchedPoints() noexcept { add(1); }
    ~NoSchedPoints() { add(-1); }
    NoSchedPoints(const NoSchedPoints&) = delete;
    NoSchedPoints& operator=(const NoSchedPoints&) = delete;

private:
    WEIR_API static void add(int n) noexcept;
};

} // namespace weir::detail
