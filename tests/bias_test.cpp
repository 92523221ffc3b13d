// Bias and BiasedLock, and the queues built on them: one thread that works without locked instructions, and others that come now
// and then.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include <weir/detail/biased_lock.h>
#include "next_slot.h"
#include "run_queue.h"
#include "start_stack.h"

TEST_SUITE_BEGIN("bias");

namespace {

using namespace std::chrono_literals;
using weir::detail::Fiber;

/// Items are numbers that travel as pointers to fibers which nobody looks at; each is to arrive once.
class Items {
public:
    explicit Items(std::size_t count) : seen_(count) {}
    static Fiber* item(std::size_t i) { return reinterpret_cast<Fiber*>((i + 1) * alignof(std::max_align_t)); }
    void arrived(Fiber* f) {
        seen_[reinterpret_cast<std::uintptr_t>(f) / alignof(std::max_align_t) - 1].fetch_add(1, std::memory_order_relaxed);
    }
    std::size_t size() const { return seen_.size(); }
    std::size_t wrong() const {
        std::size_t n = 0;
        for (const auto& times : seen_) n += times.load() != 1;
        return n;
    }

private:
    std::vector<std::atomic<std::uint8_t>> seen_;
};

/// beside runs `visit` on two threads now and then, in bursts, while `owner` runs on this one.
void beside(const std::function<void()>& visit, const std::function<void()>& owner) {
    weir::detail::fence_init();
    std::atomic<bool> over{false};
    std::vector<std::thread> visitors;
    for (int i = 0; i < 2; ++i) {
        visitors.emplace_back([&, i] {
            while (!over) {
                for (int burst = 0; burst < 50; ++burst) visit();
                std::this_thread::sleep_for((i + 1) * 100us); // long enough for the owner to have it alone again
            }
        });
    }
    owner();
    over = true;
    for (std::thread& t : visitors) t.join();
}

} // namespace

TEST_CASE("the next slot gives each fiber to its owner or to one thief") {
    Items items(4'000'000);
    weir::detail::NextSlot slot;
    beside(
        [&] {
            if (Fiber* f = slot.steal()) items.arrived(f);
        },
        [&] {
            for (std::size_t i = 0; i < items.size(); ++i) {
                if (Fiber* old = slot.put(Items::item(i))) items.arrived(old);
                if (i % 3 != 0) continue;
                if (Fiber* f = slot.take()) items.arrived(f);
            }
        });
    if (Fiber* f = slot.take()) items.arrived(f);
    CHECK(items.wrong() == 0);
}

TEST_CASE("a run queue gives each fiber to its owner or to one thief") {
    Items items(4'000'000);
    weir::detail::RunQueue queue;
    beside(
        [&] {
            Fiber* batch[16];
            const std::uint32_t n = queue.steal(batch, 16);
            for (std::uint32_t i = 0; i < n; ++i) items.arrived(batch[i]);
        },
        [&] {
            const auto pop = [&] {
                Fiber* f = queue.pop();
                if (f != nullptr) items.arrived(f);
                return f != nullptr;
            };
            for (std::size_t i = 0; i < items.size(); ++i) {
                while (!queue.push(Items::item(i))) pop();
                if (i % 4 != 0) pop();
            }
            while (pop()) {
            }
        });
    CHECK(items.wrong() == 0);
}

TEST_CASE("a start stack gives each fiber to its owner, newest first, or to one thief, oldest first") {
    Items items(4'000'000);
    weir::detail::StartStack starts;
    std::atomic<int> out_of_order{0};
    beside(
        [&] {
            Fiber* batch[16];
            const std::uint32_t n = starts.steal(batch, 16);
            for (std::uint32_t i = 0; i < n; ++i) {
                if (i > 0 && batch[i] <= batch[i - 1]) ++out_of_order;
                items.arrived(batch[i]);
            }
        },
        [&] {
            Fiber* batch[16];
            const auto pop = [&] {
                Fiber* f = starts.pop();
                if (f != nullptr) items.arrived(f);
                return f != nullptr;
            };
            for (std::size_t i = 0; i < items.size(); ++i) {
                while (!starts.push(Items::item(i))) {
                    for (std::uint32_t n = starts.take(batch, 16); n > 0; --n) items.arrived(batch[n - 1]);
                }
                if (i % 4 != 0) pop();
            }
            while (pop()) {
            }
        });
    CHECK(items.wrong() == 0);
    CHECK(out_of_order == 0);
}

TEST_CASE("a biased lock has one holder, its owner or another") {
    constexpr std::int64_t kTimes = 10'000'000;
    weir::detail::BiasedLock lock;
    std::int64_t inside = 0; // guarded by lock, as the next
    std::int64_t visits = 0;
    std::atomic<std::int64_t> visited{0};
    beside(
        [&] {
            lock.lock();
            ++inside;
            ++visits;
            lock.unlock();
            ++visited;
        },
        [&] {
            for (std::int64_t i = 0; i < kTimes; ++i) {
                lock.lock();
                ++inside;
                lock.unlock();
            }
        });
    CHECK(visits == visited);
    CHECK(inside == kTimes + visits);
}

TEST_CASE("a biased lock has one holder while many threads use it in rows long enough to own it") {
    constexpr int kThreads = 4;
    constexpr int kRounds = 3000;
    weir::detail::fence_init();
    weir::detail::BiasedLock lock;
    std::int64_t inside = 0; // guarded by lock
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < kRounds; ++i) {
                for (int row = 0; row < 300; ++row) {
                    lock.lock();
                    ++inside;
                    lock.unlock();
                }
                if (i % 8 == 0) std::this_thread::yield();
            }
        });
    }
    for (std::thread& t : threads) t.join();
    CHECK(inside == std::int64_t{kThreads} * kRounds * 300);
}

TEST_SUITE_END();
