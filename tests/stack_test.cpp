// Stacks: growth by small and by large frames, buffers for system calls, overflow, give-back, many of them, the mprotect
// fall-back.
#include "fixture.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include <weir/chan.h>
#include <weir/defer.h>
#include <weir/waitgroup.h>

TEST_SUITE_BEGIN("stack");

namespace {

using namespace weir::literals;

// Sanitizers make each frame several times larger and the runtime gives fibers more room for it; the depths here are for plain
// builds.
const std::size_t kRoom = slow_build() ? 64_KiB : 200_KiB;

/// bytes_below is how far the stack at `at` is below `top`.
std::size_t bytes_below(const void* top, const void* at) {
    return reinterpret_cast<std::uintptr_t>(top) - reinterpret_cast<std::uintptr_t>(at);
}

/// small_frames recurses until `room` bytes of stack are in use, and returns the number of frames.
__attribute__((noinline)) std::size_t small_frames(const void* top, std::size_t room, int value) {
    volatile int kept = value;
    if (bytes_below(top, const_cast<const int*>(&kept)) >= room) return 1;
    const std::size_t below = small_frames(top, room, value + 1);
    return kept == value ? below + 1 : 0;
}

/// frames_of recurses through frames of Size bytes, all of them written and checked on the way back.
template <std::size_t Size>
__attribute__((noinline)) std::size_t frames_of(const void* top, std::size_t room, unsigned char value) {
    volatile unsigned char frame[Size];
    for (std::size_t i = 0; i < Size; i += 64) frame[i] = value;
    std::size_t below = 0;
    if (bytes_below(top, const_cast<const unsigned char*>(frame)) < room)
        below = frames_of<Size>(top, room, static_cast<unsigned char>(value + 1));
    for (std::size_t i = 0; i < Size; i += 64) {
        if (frame[i] != value) return 0;
    }
    return below + 1;
}

/// one_frame uses one frame of (i + 1) KiB.
template <std::size_t... I>
std::size_t one_frame(std::size_t i, std::index_sequence<I...>) {
    const char top = 0;
    std::size_t frames = 0;
    (void)((i == I && (frames = frames_of<(I + 1) * 1024>(&top, 1, 5), true)) || ...);
    return frames;
}

template <typename Fn>
void on_fiber(Fn&& fn) {
    std::atomic<bool> done{false};
    weir::go([&] {
        fn();
        done = true;
    });
    CHECK(eventually([&] { return done.load(); }));
}

volatile bool g_for_ever = true; // so that compilers do not see through it

__attribute__((noinline)) int runaway(int depth) {
    volatile char frame[200];
    frame[depth % 200] = static_cast<char>(depth);
    return g_for_ever ? runaway(depth + 1) + frame[depth % 200] : 0;
}

} // namespace

TEST_CASE("a fiber recurses through 200 KiB of small frames") {
    each_workers([] {
        on_fiber([] {
            const char top = 0;
            CHECK(small_frames(&top, kRoom, 0) > kRoom / 512);
        });
    });
}

TEST_CASE("a fiber recurses through 200 KiB of 8 KiB frames") {
    each_workers([] {
        on_fiber([] {
            const char top = 0;
            CHECK(frames_of<8192>(&top, kRoom, 1) >= kRoom / 8192 / 2);
        });
    });
}

TEST_CASE("one frame of 128 KiB grows the stack at once") {
    each_workers([] {
        on_fiber([] {
            const char top = 0;
            CHECK(frames_of<128 * 1024>(&top, 1, 9) == 1);
        });
    });
}

TEST_CASE("the main fiber's stack grows too") {
    each_workers([] {
        const char top = 0;
        CHECK(small_frames(&top, kRoom, 0) > kRoom / 512);
    });
}

TEST_CASE("read into a fresh 64 KiB buffer on the stack succeeds") {
    each_workers([] {
        on_fiber([] {
            int ends[2];
            REQUIRE(::pipe(ends) == 0);
            const std::vector<char> sent(60000, 'w');
            REQUIRE(::write(ends[1], sent.data(), sent.size()) == static_cast<ssize_t>(sent.size()));
            [&]() __attribute__((noinline)) {
                char buffer[64 * 1024]; // untouched before the call: the kernel sees guarded memory unless growth goes first
                const ssize_t n = ::read(ends[0], buffer, sizeof buffer);
                CHECK(n == static_cast<ssize_t>(sent.size()));
                CHECK(std::memcmp(buffer, sent.data(), sent.size()) == 0);
            }
            ();
            ::close(ends[0]);
            ::close(ends[1]);
        });
    });
}

TEST_CASE("locals and pointers to them survive parking on a deep stack [b9]") {
    each_workers([] {
        weir::chan<int*> out;
        weir::chan<int> back;
        struct Deep {
            static int descend(int depth, const weir::chan<int*>& out, const weir::chan<int>& back) {
                int local = depth;
                volatile char pad[600];
                pad[0] = static_cast<char>(depth);
                if (depth == 0) {
                    out.send(&local);
                    const int got = back.recv();
                    return local + got;
                }
                const int below = descend(depth - 1, out, back);
                return local == depth && pad[0] == static_cast<char>(depth) ? below : -1;
            }
        };
        for (int i = 0; i < 20; ++i) {
            std::atomic<int> result{0};
            weir::go([&] { result = Deep::descend(100, out, back); });
            int* deep = out.recv();
            for (int j = 0; j < 50; ++j) weir::go([] { weir::yield(); }); // churn, so that the fiber may move
            *deep = 70;
            back.send(7);
            CHECK(eventually([&] { return result == 77; }));
        }
    });
}

TEST_CASE("runaway recursion is reported as stack overflow, with the fiber and what to raise [b9]") {
    for (int n : {1, 2, 4}) {
        const auto child = dies([n] {
            return weir::run(weir::Options{.max_procs = n, .drain = true}, [] { weir::go([] { runaway(0); }); });
        });
        CHECK(child.status == 0);
        CHECK_MESSAGE(contains(child.err, "stack overflow: fiber "), child.err);
        CHECK_MESSAGE(contains(child.err, " exceeded 256 KiB; raise stack_max"), child.err);
    }
}

TEST_CASE("the overflow report names the stack_max of its fiber [b9]") {
    const auto child = dies([] {
        return weir::run(weir::Options{.drain = true}, [] { weir::go({.stack_max = 1_MiB}, [] { runaway(0); }); });
    });
    CHECK(child.status == 0);
    CHECK_MESSAGE(contains(child.err, " exceeded 1 MiB; raise stack_max"), child.err);
}

TEST_CASE("stack_max of go and of run bounds and widens a stack") {
    for (int n : {1, 2, 4}) {
        weir::Options options{.max_procs = n};
        options.stack_max = 1_MiB;
        CHECK(weir::run(options, [] {
                  on_fiber([] {
                      const char top = 0;
                      CHECK(small_frames(&top, 800_KiB, 0) > 800_KiB / 512);
                  });
              }) == 0);
        CHECK(weir::run(weir::Options{.max_procs = n}, [] {
                  std::atomic<bool> done{false};
                  weir::go({.stack_max = 8_MiB}, [&] {
                      const char top = 0;
                      CHECK(frames_of<8192>(&top, 7_MiB, 0) > 400);
                      done = true;
                  });
                  CHECK(eventually([&] { return done.load(); }));
              }) == 0);
    }
}

TEST_CASE("a grown stack gives its memory back when its fiber has ended") {
    if (slow_build()) return; // RSS is the sanitizer's there
    each_workers([] {
        const auto deep = [](int fibers) {
            std::atomic<int> done{0};
            std::atomic<bool> leave{false};
            for (int i = 0; i < fibers; ++i) {
                weir::go([&] {
                    const char top = 0;
                    CHECK(frames_of<8192>(&top, 200_KiB, 3) > 10);
                    ++done;
                    while (!leave) weir::sleep(1ms);
                });
            }
            CHECK(eventually([&] { return done == fibers; }));
            const std::size_t peak = resident_bytes();
            leave = true;
            CHECK(all_gone());
            return peak;
        };
        deep(10);
        const std::size_t before = resident_bytes();
        const std::size_t peak = deep(500); // 100 MiB
        CHECK(peak > before + 80_MiB);
        CHECK(eventually([&] { return resident_bytes() < before + 40_MiB; }));
    });
}

TEST_CASE("after a peak the stacks' memory goes back to the system, all but 256 MiB, although nothing runs any more") {
    if (slow_build()) return; // sanitizers keep memory of their own for each stack
    with_workers(2, [] {
        const auto before = resident_bytes();
        weir::chan<void> release;
        weir::WaitGroup parked;
        for (int i = 0; i < 150'000; ++i) parked.go([=] { release.recv(); });
        CHECK(eventually([&] { return resident_bytes() > before + 550_MiB; }));
        release.close();
        parked.wait();
        CHECK(eventually([&] { return resident_bytes() < before + 450_MiB; }, 30s));
    });
}

TEST_CASE("four rounds of 200 fibers with 1 to 16 KiB of stack each [stress: Stacks]") {
    each_workers([] {
        for (int round = 0; round < 4; ++round) {
            std::atomic<int> good{0};
            for (int i = 0; i < 200; ++i) {
                weir::go([&good, i] {
                    weir::yield();
                    if (one_frame(static_cast<std::size_t>(i) % 16, std::make_index_sequence<16>{}) == 1) ++good;
                });
            }
            CHECK(eventually([&] { return good == 200; }));
        }
    });
}

TEST_CASE("defers run at 100 depths of the stack [stress: Stacks]") {
    struct Nested {
        static int descend(int depth, int& deferred) {
            weir::defer d{[&] { ++deferred; }};
            volatile char pad[512];
            pad[0] = 1;
            return depth == 0 ? 0 : descend(depth - 1, deferred) + pad[0];
        }
    };
    each_workers([] {
        on_fiber([] {
            for (int depth = 0; depth < 100; ++depth) {
                int deferred = 0;
                CHECK(Nested::descend(depth, deferred) == depth);
                CHECK(deferred == depth + 1);
            }
        });
    });
}

TEST_CASE("ten thousand fibers park with guarded stacks, and wake") {
    each_workers([] {
        const std::size_t n = stress(10000);
        weir::chan<void> gate;
        std::atomic<std::size_t> woken{0};
        for (std::size_t i = 0; i < n; ++i) {
            weir::go([&] {
                gate.recv();
                ++woken;
            });
        }
        CHECK(weir::num_fibers() == n + 1);
        gate.close();
        CHECK(eventually([&] { return woken == n; }, 60s));
    });
}

TEST_CASE("(alone) mprotect: starts fibers up to the limit" * doctest::skip()) {
    const int status = weir::run(weir::Options{.max_procs = 2}, [] {
        weir::chan<void> gate;
        std::size_t started = 0;
        auto panic = weir::catch_panic([&] {
            for (; started < 200000; ++started) weir::go([gate] { gate.recv(); });
        });
        REQUIRE(panic.has_value());
        CHECK(started > 20000);
        CHECK(contains(panic->message(), "vm.max_map_count"));
        // The process still works: it has memory for threads, those that were started end, and new ones start after them.
        for (int i = 0; i < 50; ++i) std::thread([&] { CHECK(started > 20000); }).join();
        gate.close();
        CHECK(all_gone());
        std::atomic<int> again{0};
        for (int i = 0; i < 100; ++i) weir::go([&] { ++again; });
        CHECK(eventually([&] { return again == 100; }));
    });
    CHECK(status == 0);
}

TEST_CASE("with mprotect guards, go's error at the mapping limit names vm.max_map_count") {
    if (slow_build()) return; // the sanitizers' own mappings come first
    const auto child = run_alone("(alone) mprotect: starts fibers up to the limit", {"WEIR_STACK_GUARD=mprotect"}, 100s);
    CHECK_MESSAGE(child.status == 0, child.out, child.err);
}

TEST_CASE("(alone) mprotect: stacks grow and are reused" * doctest::skip()) {
    each_workers([] {
        for (int round = 0; round < 3; ++round) {
            std::atomic<int> good{0};
            for (int i = 0; i < 200; ++i) {
                weir::go([&] {
                    const char top = 0;
                    if (small_frames(&top, kRoom, 0) > kRoom / 512) ++good;
                });
            }
            CHECK(eventually([&] { return good == 200; }));
        }
        on_fiber([] {
            const char top = 0;
            CHECK(frames_of<128 * 1024>(&top, 1, 9) == 1);
        });
    });
}

TEST_CASE("with mprotect guards stacks grow and are reused all the same") {
    const auto child = run_alone("(alone) mprotect: stacks grow and are reused", {"WEIR_STACK_GUARD=mprotect"});
    CHECK_MESSAGE(child.status == 0, child.out, child.err);
}

TEST_SUITE_END();
