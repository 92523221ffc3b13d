#include "fixture.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include <weir/chaos.h>
#include <weir/waitgroup.h>

namespace chaos = weir::chaos;

namespace {

/// Calm takes every rule away, before and after a test.
struct Calm {
    Calm() { chaos::disarm_all(), chaos::seed(1); }
    ~Calm() { chaos::disarm_all(), chaos::seed(1); }
};

bool panics_at(const char* point) {
    const auto p = weir::catch_panic([&] { chaos::point(point); });
    return p.has_value();
}

/// draws are the calls, of n, that were struck.
std::vector<int> draws(int n) {
    std::vector<int> out;
    for (int i = 0; i < n; ++i) {
        if (panics_at("draw")) out.push_back(i);
    }
    return out;
}

} // namespace

TEST_SUITE_BEGIN("chaos");

TEST_CASE("a point where nothing is armed does nothing; an armed one panics with its name, and no other") {
    each_workers([] {
        const Calm calm;
        chaos::point("db.query");
        const int rule = chaos::arm({.point = "db.query"});
        const auto total = chaos::injected_total();
        const auto p = weir::catch_panic([] { chaos::point("db.query"); });
        REQUIRE(p);
        CHECK(p->message() == "chaos: injected panic at db.query");
        CHECK(p->value<chaos::Injected>()->point == "db.query");
        CHECK_FALSE(panics_at("db.querying"));
        CHECK(chaos::injected_total() == total + 1);
        CHECK(chaos::stats()[0].calls == 1);
        CHECK(chaos::stats()[0].injected == 1);
        chaos::disarm(rule);
        CHECK_FALSE(panics_at("db.query"));
        CHECK(chaos::stats().empty());
        chaos::arm({.point = "db.*"});
        CHECK(panics_at("db.query"));
        CHECK_FALSE(panics_at("cache.get"));
    });
}

TEST_CASE("a delay parks its fiber, not its thread, and the rules after it strike too") {
    each_workers([] {
        const Calm calm;
        chaos::arm({.point = "slow", .delay = 20ms});
        CHECK(in_some_try([] {
            const auto begun = Clock::now();
            weir::WaitGroup wg;
            for (int i = 0; i < 50; ++i) wg.go([] { chaos::point("slow"); });
            wg.wait();
            CHECK(Clock::now() - begun >= 20ms);
            return Clock::now() - begun < patience(500ms); // 50 * 20 ms, one after the other, would be a second
        }));
        chaos::arm({.point = "slow"});
        const auto again = Clock::now();
        CHECK(panics_at("slow"));
        CHECK(Clock::now() - again >= 20ms);
        std::thread([] { CHECK(panics_at("slow")); }).join();
    });
}

TEST_CASE("the probability holds, and a seed gives the same draws again, whoever calls") {
    each_workers([] {
        const Calm calm;
        chaos::arm({.point = "draw", .probability = 0.3});
        const std::vector<int> first = draws(2000);
        CHECK(first.size() > 500);
        CHECK(first.size() < 700);
        chaos::seed(1);
        CHECK((draws(2000) == first));
        chaos::seed(2);
        const std::vector<int> second = draws(2000);
        for (int shift : {-1, 0, 1}) { // chance makes 180 of them the same
            const auto common = std::count_if(second.begin(), second.end(), [&](int n) { return std::binary_search(first.begin(), first.end(), n + shift); });
            CHECK(common < 260);
        }
        chaos::seed(1);
        std::atomic<std::size_t> struck{0};
        weir::WaitGroup wg;
        for (int i = 0; i < 20; ++i) wg.go([&] { struck += draws(100).size(); });
        wg.wait();
        CHECK(struck == first.size());
        chaos::disarm_all();
        chaos::arm({.point = "draw", .probability = 0});
        CHECK(draws(1000).empty());
        CHECK(panic_text([] { chaos::arm({.point = "draw", .probability = 1.1}); }) == "chaos: a probability must be from 0 to 1");
    });
}

TEST_CASE("labels bound a rule to fibers and to scopes, which a child can inherit") {
    each_workers([] {
        const Calm calm;
        chaos::arm({.point = "p", .labels = {{"task", "sync_user"}}});
        CHECK_FALSE(panics_at("p"));
        std::atomic<int> struck{0};
        const auto hit = [&] { struck += panics_at("p"); };
        const auto ended = [] { return all_gone(); };
        weir::go({.labels = {{"task", "sync_user"}}}, hit);
        weir::go({.labels = {{"task", "other"}}}, hit);
        CHECK(ended());
        CHECK(struck == 1);
        {
            const chaos::Scope outer("task", "sync_user");
            {
                const chaos::Scope inner("task", "inner");
                CHECK(panics_at("p"));
            }
            weir::go(hit);
            weir::go({.inherit_locals = true}, hit);
            CHECK(ended());
            CHECK(struck == 2);
        }
        CHECK_FALSE(panics_at("p"));
        chaos::arm({.point = "both", .labels = {{"handler", "buy"}, {"transaction", "pay"}}});
        const chaos::Scope handler("handler", "buy");
        CHECK_FALSE(panics_at("both"));
        const chaos::Scope transaction("transaction", "pay");
        CHECK(panics_at("both"));
    });
}

TEST_CASE("a limit ends a rule") {
    each_workers([] {
        const Calm calm;
        chaos::arm({.point = "draw", .limit = 7});
        std::atomic<std::size_t> struck{0};
        weir::WaitGroup wg;
        for (int i = 0; i < 10; ++i) wg.go([&] { struck += draws(10).size(); });
        wg.wait();
        CHECK(struck == 7);
        CHECK(chaos::stats()[0].injected == 7);
        CHECK(chaos::stats()[0].calls == 100);
    });
}

TEST_CASE("the text of WEIR_CHAOS: all of it is understood, or it says what is not") {
    each_workers([] {
        const Calm calm;
        REQUIRE(!chaos::arm("db.query:panic:1,label task=sync_user; cache.get:delay=1.5ms:0.5,limit 3;die:abort;"));
        const auto armed = chaos::stats();
        REQUIRE(armed.size() == 3);
        CHECK(armed[1].point == "cache.get");
        CHECK_FALSE(panics_at("db.query"));
        const chaos::Scope scope("task", "sync_user");
        CHECK(panics_at("db.query"));
        const auto wrong = [](const char* text) { return chaos::arm(text).message(); };
        CHECK(wrong("p") == "chaos: p: a rule begins with POINT:ACTION");
        CHECK(wrong("p:boom") == "chaos: p:boom: \"boom\" must be panic, abort or delay=DURATION");
        CHECK(wrong("p:delay=5") == "chaos: p:delay=5: \"delay\" must be panic, abort or delay=DURATION");
        CHECK(wrong("q:panic;p:panic:2") == "chaos: p:panic:2: \"2\" must be a probability from 0 to 1");
        CHECK(wrong("p:panic,label task") == "chaos: p:panic,label task: \"label task\" must be label KEY=VALUE or limit N");
        CHECK(chaos::stats().size() == 3);
    });
}

TEST_CASE("replay of an environment" * doctest::skip()) {
    weir::run([] {
        for (int i = 0; i < 1000; ++i) {
            if (panics_at("draw")) std::printf("%d ", i);
        }
    });
}

TEST_CASE("WEIR_CHAOS and WEIR_CHAOS_SEED are read at the first point; wrong ones panic there") {
    const auto with = [](std::vector<std::string> environment) {
        const Death death = run_alone("replay of an environment", environment);
        const auto at = death.out.find("environment");
        return death.out.substr(at, death.out.find(": ok") - at);
    };
    const std::string first = with({"WEIR_CHAOS=draw:panic:0.1"});
    CHECK(count_of(first, " ") > 50);
    CHECK(with({"WEIR_CHAOS=draw:panic:0.1", "WEIR_CHAOS_SEED=1"}) == first);
    CHECK(with({"WEIR_CHAOS=draw:panic:0.1", "WEIR_CHAOS_SEED=2"}) != first);
    for (const char* wrong : {"WEIR_CHAOS=draw", "WEIR_CHAOS_SEED=x"}) CHECK(contains(with({wrong}), " 998 999 ")); // every point panics
}

TEST_SUITE_END();
