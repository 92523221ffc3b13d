// planted: bugs that the tests build into libraries of their own, to prove that exploring schedules finds them
// (tests/planted_test.cpp).
//
// In every other build planted() is a constant: nothing of the bugs is in the code, no branch either.
#pragma once

#include <cstdint>

namespace weir::detail {

enum class Bug : std::uint8_t {
    None,
    CondLosesWake,          // a waiter signalled between its unlock and its park parks all the same
    WaitGroupWakesEarly,    // a wait that loses its race to a done takes that for the last one
    SelectKeepsWaiting,     // a select leaves its waiters on the lists of the cases that lost
    SelectLooksOnce,        // a select parks without looking again under the locks
    MutexLosesWake,         // a lock queues itself although the mutex has been released meanwhile
    RWMutexMissesDeparture, // a writer waits for readers that have left while it came
    CloseWakesOne,          // close wakes one receiver
    ChanStrandsSender,      // a receive from a full channel does not let the waiting sender in
    OnceLetsPass,           // a latecomer does not wait for the call that is under way
    SemaphoreJumpsLine,     // a newcomer that fits goes before those who wait
    ContextMissesChild,     // a child made while its parent ends does not end
    MapLosesStore,          // an emptied node is taken out although somebody may be storing into it
    PoolGivesTwice,         // a get looks at the cached object and takes it in two steps
    ErrGroupKeepsSlot,      // a task gives its place under the limit back only after it has been counted off
};

#ifdef WEIR_PLANTED
extern Bug g_planted; // the test's choice
inline bool planted(Bug bug) noexcept { return g_planted == bug; }
#else
constexpr bool planted(Bug) noexcept { return false; }
#endif

} // namespace weir::detail
