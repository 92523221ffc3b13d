// The programs of explore_programs.h, over libraries with a bug planted (weir/detail/planted.h): exploring must find each.
#include "fixture.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string_view>
#include <vector>

#include <weir/detail/planted.h>
#include <weir/explore.h>

#include "explore_programs.h"

namespace weir::detail {
Bug g_planted = Bug::None;
} // namespace weir::detail

TEST_SUITE_BEGIN("planted");

namespace {

using weir::detail::Bug;

struct Planted {
    Bug bug;
    std::string_view name;
    std::string_view program; // that finds it
};

constexpr Planted kPlanted[] = {
    {Bug::CondLosesWake, "CondLosesWake", "Cond, signal"},
    {Bug::WaitGroupWakesEarly, "WaitGroupWakesEarly", "WaitGroup"},
    {Bug::SelectKeepsWaiting, "SelectKeepsWaiting", "select leaves the others"},
    {Bug::SelectLooksOnce, "SelectLooksOnce", "select of send and receive"},
    {Bug::MutexLosesWake, "MutexLosesWake", "Mutex"},
    {Bug::RWMutexMissesDeparture, "RWMutexMissesDeparture", "RWMutex"},
    {Bug::CloseWakesOne, "CloseWakesOne", "close"},
    {Bug::ChanStrandsSender, "ChanStrandsSender", "buffered channel, making room"},
    {Bug::OnceLetsPass, "OnceLetsPass", "Once"},
    {Bug::SemaphoreJumpsLine, "SemaphoreJumpsLine", "Semaphore"},
    {Bug::ContextMissesChild, "ContextMissesChild", "Context, a tree"},
    {Bug::MapLosesStore, "MapLosesStore", "Map, a branch that comes and goes"},
    {Bug::PoolGivesTwice, "PoolGivesTwice", "Pool"},
    {Bug::ErrGroupKeepsSlot, "ErrGroupKeepsSlot", "ErrGroup, used again"},
};

/// Plant is one bug while it lives.
struct Plant {
    explicit Plant(Bug bug) { weir::detail::g_planted = bug; }
    ~Plant() { weir::detail::g_planted = Bug::None; }
};

} // namespace

TEST_CASE("exploring finds each planted bug within 10,000 seeds") {
    for (const Planted& p : kPlanted) {
        const Program& program = explore_program(p.program);
        CHECK_MESSAGE(!weir::find_failure(WEIR_TSAN ? 10 : stress(1000), program.run), p.program, " fails without a bug");
        const LeaksAllowed abandoned;
        const Plant plant(p.bug);
        std::vector<std::uint64_t> runs; // from several places in the sequence of seeds
        for (std::uint64_t i = 0; i < (slow_build() ? 2u : 11u); ++i) {
            const auto failure = weir::find_failure({.first_seed = 1'000'000 * i + 1}, 10'000, program.run);
            CHECK_MESSAGE(failure.has_value(), p.name, " was not found by ", p.program);
            runs.push_back(failure ? failure->runs() : 10'000);
        }
        std::sort(runs.begin(), runs.end());
        std::printf("\n    %-24.*s found by \"%.*s\" after %llu runs (median; at most %llu)", static_cast<int>(p.name.size()),
                    p.name.data(), static_cast<int>(p.program.size()), p.program.data(),
                    static_cast<unsigned long long>(runs[runs.size() / 2]), static_cast<unsigned long long>(runs.back()));
    }
    std::puts("");
}

TEST_SUITE_END();
