#include "context_fixture.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <ctime>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <weir/waitgroup.h>

TEST_SUITE_BEGIN("context");

TEST_CASE("stop and cancel race: the function runs exactly if stop says false") {
    each_workers([] {
        for (std::size_t i = 0; i < stress(500); ++i) {
            auto [ctx, cancel] = weir::with_cancel(weir::background());
            std::atomic<int> ran{0};
            bool stopped = false;
            weir::WaitGroup wg;
            auto stop = weir::after_func(ctx, [&ran] { ++ran; });
            wg.go(cancel);
            wg.go([&] { stopped = stop(); });
            wg.wait();
            CHECK(all_gone());
            CHECK(ran == (stopped ? 0 : 1));
        }
    });
}

TEST_CASE("a child made while its parent is cancelled ends all the same") {
    each_workers([] {
        for (std::size_t i = 0; i < stress(500); ++i) {
            const Error reason("because");
            auto [parent, cancel] = weir::with_cancel_cause(weir::background());
            weir::go([cancel = cancel, reason] { cancel(reason); });
            auto [child, cancel_child] = weir::with_cancel(parent);
            child.done().recv();
            CHECK(child.err() == weir::kCanceled);
            CHECK(weir::cause(child) == reason);
        }
    });
}

TEST_CASE("a tree of more than a hundred contexts, all cancelled at once in random order [stress]") {
    each_workers([] {
        std::mt19937 random(1);
        for (std::size_t round = 0; round < stress(20); ++round) {
            auto [root, cancel_root] = weir::with_cancel(weir::background());
            std::vector<Context> all{root};
            std::vector<weir::CancelFunc> cancels{cancel_root};
            for (std::size_t at = 0; all.size() < 100; ++at) {
                const Context parent = all[at];
                for (int i = 0; i < 4; ++i) {
                    auto [ctx, cancel] = i == 3 ? weir::with_timeout(parent, 1h) : weir::with_cancel(parent);
                    all.push_back(ctx);
                    cancels.push_back(cancel);
                }
            }
            std::shuffle(cancels.begin(), cancels.end(), random);
            weir::WaitGroup wg;
            for (const auto& cancel : cancels) wg.go(cancel);
            for (const auto& ctx : all) ctx.done().recv();
            wg.wait();
            for (const auto& ctx : all) CHECK(ctx.err() == weir::kCanceled);
        }
    });
}

TEST_CASE("a hundred thousand contexts, deep or wide, end with their root, without a fiber [b87][stress]") {
    each_workers([] {
        const std::size_t n = stress(100'000);
        for (const std::size_t width : {std::size_t{1}, std::size_t{10}, n}) { // children of each: a chain, a tree, a star
            auto [root, cancel] = weir::with_cancel(weir::background());
            std::vector<Context> all{root};
            all.reserve(n + 1);
            for (std::size_t i = 0; i < n; ++i) all.push_back(weir::with_cancel(all[i / width]).first);
            CHECK(weir::num_fibers() == 1);
            cancel();
            for (const Context& ctx : all) CHECK(ctx.err() == weir::kCanceled);
        }
    });
}

namespace {

/// cpu_of_cancel is the processor time of ending a root with n contexts below it, each with `width` children.
std::int64_t cpu_of_cancel(std::size_t n, std::size_t width) {
    auto [root, cancel] = weir::with_cancel(weir::background());
    std::vector<Context> all{root};
    all.reserve(n + 1);
    for (std::size_t i = 0; i < n; ++i) all.push_back(weir::with_cancel(all[i / width]).first);
    for (std::size_t i = 0; i < n; i += 2) (void)all[i].done();
    const auto cpu = [] { // of this thread: cancel() does not park
        timespec now{};
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
    };
    const std::int64_t begun = cpu();
    cancel();
    return cpu() - begun;
}

} // namespace

TEST_CASE("ending a tree costs time linear in its size [b87][stress]") {
    each_workers([] {
        const std::size_t n = stress(100'000);
        for (const std::size_t width : {std::size_t{1}, std::size_t{10}, n}) {
            std::int64_t small = 0;
            std::int64_t large = INT64_MAX;
            for (int round = 0; round < 3; ++round) {
                small = std::max(small, cpu_of_cancel(n / 16, width));
                large = std::min(large, cpu_of_cancel(n, width));
            }
            // Linear is 16, and more where only the small one fits into the caches; quadratic is 256.
            CHECK_MESSAGE(large < 80 * small, "width ", width, ": ", small, " ns, then ", large, " ns for sixteen times as many");
        }
    });
}

TEST_CASE("children that end leave their parent, so that a long-lived one does not grow [b87]") {
    each_workers([] {
        auto [parent, cancel_parent] = weir::with_cancel(weir::background());
        const auto kept = std::make_shared<int>(1);
        struct Key {};
        for (std::size_t i = 0; i < stress(10'000); ++i) {
            auto [child, cancel] = weir::with_cancel(weir::with_value<Key>(parent, kept));
            auto [timed, cancel_timed] = weir::with_timeout(child, 1h);
            (void)timed.done();
            cancel();
        }
        CHECK(kept.use_count() == 1);
    });
}

TEST_CASE("whoever cancels finds all below done, however many cancel overlapping trees [b87][stress]") {
    each_workers([] {
        for (std::size_t round = 0; round < stress(300); ++round) {
            std::vector<Context> chain{weir::background()};
            std::vector<weir::CancelFunc> cancels;
            for (int i = 0; i < 12; ++i) {
                auto [ctx, cancel] = weir::with_cancel(chain.back());
                chain.push_back(ctx);
                cancels.push_back(cancel);
            }
            for (const Context& ctx : chain) (void)ctx.done();
            weir::WaitGroup wg;
            for (std::size_t from : {0u, 1u, 4u, 7u}) {
                wg.go([&, from] {
                    cancels[from]();
                    for (std::size_t i = from + 1; i < chain.size(); ++i) CHECK(is_done(chain[i]));
                });
            }
            wg.wait();
        }
    });
}

TEST_CASE("handles dropped while the parent ends: nothing is lost and nothing leaks [stress]") {
    each_workers([] {
        for (std::size_t round = 0; round < stress(500); ++round) {
            auto [parent, cancel] = weir::with_cancel(weir::background());
            weir::WaitGroup wg;
            for (int i = 0; i < 3; ++i) {
                wg.go([parent = parent] {
                    auto done = weir::with_cancel(weir::with_cancel(parent).first).first.done();
                    auto timed = weir::with_timeout(parent, 50us).first.done();
                    timed.recv();
                    done.recv();
                });
            }
            wg.go(cancel);
            wg.wait();
        }
    });
}

namespace {

/// layers is Go's testLayers: a random chain of values, cancels and timeouts.
void layers(unsigned seed, bool expire) {
    std::mt19937 random(seed);
    std::vector<std::unique_ptr<int>> keys;
    std::vector<weir::CancelFunc> cancels;
    int timers = 0;
    Context ctx = weir::background();
    for (int i = 0; i < 30 || timers == 0 || cancels.empty() || keys.empty(); ++i) {
        const unsigned kind = random() % 3;
        if (kind == 0) {
            keys.push_back(std::make_unique<int>(i));
            ctx = weir::with_value(ctx, keys.back().get(), i);
            continue;
        }
        auto [next, cancel] =
            kind == 1 ? weir::with_cancel(ctx) : weir::with_timeout(ctx, expire ? std::chrono::microseconds(500) : 1h);
        timers += kind == 2;
        cancels.push_back(cancel);
        ctx = next;
    }
    auto check_values = [&] {
        for (const auto& key : keys) CHECK(*ctx.value(key.get()).as<int>() == *key);
    };
    CHECK(starts_with(ctx.string(), "context.Background."));
    check_values();
    if (expire) {
        CHECK(done_within(ctx));
        CHECK(ctx.err() == weir::kDeadlineExceeded);
    } else {
        CHECK_FALSE(is_done(ctx));
        cancels[random() % cancels.size()]();
        CHECK(is_done(ctx));
        CHECK(ctx.err() == weir::kCanceled);
    }
    check_values();
    for (const auto& cancel : cancels) cancel();
}

} // namespace

TEST_CASE("thirty random layers, cancelled or expired [stress]") {
    each_workers([] {
        for (unsigned seed = 1; seed <= 20; ++seed) {
            layers(seed, false);
            layers(seed, true);
        }
    });
}

TEST_CASE("deadlines and cancels race") {
    each_workers([] {
        for (std::size_t i = 0; i < stress(300); ++i) {
            auto [ctx, cancel] = weir::with_timeout(weir::background(), std::chrono::microseconds(i % 100));
            auto [child, cancel_child] = weir::with_timeout(ctx, std::chrono::microseconds(i % 70));
            weir::WaitGroup wg;
            wg.go(cancel);
            wg.go(cancel_child);
            wg.go([child = child] {
                child.done().recv();
                const Error err = child.err();
                CHECK((err == weir::kCanceled || err == weir::kDeadlineExceeded));
                CHECK(err == child.err());
            });
            wg.wait();
        }
    });
}

TEST_SUITE_END();
