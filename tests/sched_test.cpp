// The scheduler: stuck workers are replaced, nobody starves, time is shared.
#include "fixture.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include <weir/chan.h>
#include <weir/select.h>
#include <weir/ticker.h>
#include <weir/waitgroup.h>

TEST_SUITE_BEGIN("sched");

namespace {

/// others_finish starts four fibers that hold their workers, then has 1,000 others do some work.
void others_finish(const std::function<void()>& hold, const std::function<void()>& release) {
    with_workers(2, [&] {
        for (int i = 0; i < 4; ++i) weir::go(hold);
        std::atomic<int> finished{0};
        for (int i = 0; i < 1000; ++i) {
            weir::go([&] {
                for (int j = 0; j < 3; ++j) weir::yield();
                weir::sleep(1ms);
                ++finished;
            });
        }
        CHECK(eventually([&] { return finished == 1000 && weir::num_fibers() == 5; }));
        release();
    });
}

} // namespace

TEST_CASE("two workers, four endless loops: 1,000 other fibers still finish") {
    std::atomic<bool> stop{false};
    others_finish(
        [&] {
            while (!stop.load(std::memory_order_relaxed)) {
            }
        },
        [&] { stop = true; });
}

TEST_CASE("two workers, four unannounced reads of empty pipes: 1,000 other fibers still finish") {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    std::atomic<int> got{0};
    others_finish(
        [&] {
            char c;
            if (::read(ends[0], &c, 1) == 1) ++got;
        },
        [&] { CHECK(::write(ends[1], "four", 4) == 4); });
    CHECK(got == 4);
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_CASE("one worker in an endless loop does not stop timers or channels") {
    with_workers(1, [] {
        StopFlag stop;
        weir::go([&] {
            while (!stop.load(std::memory_order_relaxed)) {
            }
        });
        weir::chan<int> c;
        weir::go([c] {
            for (int i = 0; i < 20; ++i) {
                weir::sleep(1ms);
                c.send(i);
            }
            c.close();
        });
        int n = 0;
        for ([[maybe_unused]] int v : c) ++n;
        CHECK(n == 20);
        stop = true;
    });
}

TEST_CASE("a receiver between two busy senders leaves by its timer promptly [b5]") {
    each_workers([] {
        weir::chan<int> a, b;
        weir::chan<void> stop;
        for (const auto& c : {a, b}) {
            weir::go([=] {
                for (bool go_on = true; go_on;) {
                    weir::select(weir::send(c, 1), weir::recv(stop, [&] { go_on = false; }));
                }
            });
        }
        CHECK(in_some_try([&] {
            const auto begun = Clock::now();
            const auto timer = weir::after(20ms);
            std::size_t received = 0;
            for (bool go_on = true; go_on;) {
                weir::select(weir::recv(a, [&] { ++received; }), weir::recv(b, [&] { ++received; }),
                             weir::recv(timer, [&] { go_on = false; }));
            }
            const auto took = Clock::now() - begun;
            CHECK(took >= 20ms);
            return took < patience(500ms) && received > 0;
        }));
        stop.close();
    });
}

TEST_CASE("pairs that swap often and seldom get like shares of one worker [b6]") {
    // 100 ms of two pairs on one worker, of processor time: that is what they share. Each round of a pair is some increments, then a hand-over to its
    // partner.
    with_workers(1, [] {
        std::atomic<long> seldom{0}, often{0};
        StopFlag stop;
        const auto pair = [&](int increments, std::atomic<long>& total) {
            weir::chan<void> there, back;
            const auto spin = [&stop, &total, increments](weir::recv_chan<void> in, weir::send_chan<void> out) {
                while (in.next()) {
                    volatile int counter = 0;
                    for (int i = 0; i < increments; ++i) counter = counter + 1;
                    total += increments;
                    if (stop) {
                        out.close();
                        return;
                    }
                    out.send();
                }
                out.close();
            };
            weir::go(spin, there, back);
            weir::go(spin, back, there);
            weir::go([there] { there.send(); });
        };
        pair(1000000, seldom);
        pair(1000, often);
        const auto begun = cpu_time();
        while (cpu_time() - begun < patience(100ms)) weir::sleep(10ms);
        stop = true;
        // Both pairs end when they next look: one partner returns and closes, the other sees that.
        CHECK(all_gone());
        CHECK(seldom > 0);
        CHECK(often > 0);
        const double ratio = static_cast<double>(seldom) / static_cast<double>(often);
        CHECK(ratio < 20.0);
        CHECK(ratio > 1 / 20.0);
    });
}

TEST_CASE("a ping-pong pair does not starve the rest of its worker") {
    each_workers([] {
        StopFlag stop;
        const int pairs = weir::max_procs() + 1;
        for (int i = 0; i < pairs; ++i) {
            weir::chan<int> ping, pong;
            weir::go([&stop, ping, pong] {
                while (!stop) {
                    ping.send(1);
                    pong.recv();
                }
                ping.close();
            });
            weir::go([ping, pong] {
                while (ping.recv_ok().second) pong.send(1);
            });
        }
        std::atomic<int> others{0};
        for (int i = 0; i < 100; ++i) {
            weir::go([&] {
                for (int j = 0; j < 5; ++j) weir::yield();
                ++others;
            });
        }
        CHECK(eventually([&] { return others == 100; }));
        stop = true;
    });
}

TEST_CASE("a sleeper among fibers that compute wakes after few of their slices") {
    with_workers(1, [] {
        StopFlag stop;
        std::vector<Clock::time_point> begun; // of the slices; one worker
        for (int i = 0; i < 4; ++i) {
            weir::go([&] {
                while (!stop) {
                    const auto start = Clock::now();
                    begun.push_back(start);
                    while (Clock::now() < start + 200us) {
                    }
                    weir::yield();
                }
            });
        }
        const auto slices_too_many = [&] { // that began after its time had come
            const auto due = Clock::now() + 5ms;
            weir::sleep(5ms);
            return std::count_if(begun.begin(), begun.end(), [&](auto t) { return t > due; });
        };
        while (begun.size() < 200) weir::yield(); // how long they are has to be learnt
        CHECK(in_some_try([&] { return slices_too_many() <= 12; })); // its turn comes after four
    });
}

TEST_CASE("fibers that only yield do not starve timers, sleepers or new fibers") {
    each_workers([] {
        StopFlag stop;
        for (int i = 0; i < 8; ++i) {
            weir::go([&] {
                while (!stop) weir::yield();
            });
        }
        CHECK(in_some_try([] {
            const auto begun = Clock::now();
            weir::sleep(10ms);
            return Clock::now() - begun < patience(500ms);
        }));
        std::atomic<bool> ran{false};
        weir::go([&] { ran = true; });
        while (!ran) weir::sleep(1ms);
        stop = true;
    });
}

TEST_CASE("a tree of fibers runs depth first: few of it have started and not ended at any time") {
    with_workers(1, [] {
        const auto most_alive = [] {
            std::atomic<int> alive{0}, most{0}, leaves{0};
            std::function<void(int)> grow = [&](int depth) {
                const int now = ++alive;
                for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
                }
                if (depth == 0) ++leaves;
                weir::WaitGroup children;
                for (int i = 0; depth > 0 && i < 10; ++i) children.go([&, depth] { grow(depth - 1); });
                children.wait();
                --alive;
            };
            grow(3);
            CHECK(leaves == 1000);
            return most.load();
        };
        // Level by level it is the 111 that are no leaves, and one. Again, if this thread was held up meanwhile: another one then helps.
        CHECK(eventually([&] { return most_alive() < 50; }));
    });
}

TEST_CASE("a fiber that waits to start is not kept waiting by those that come later") {
    with_workers(1, [] {
        StopFlag stop;
        std::atomic<int> waiting{0};
        std::atomic<bool> first_ran{false};
        weir::go([&] { first_ran = true; });
        weir::go([&] { // keeps some hundreds waiting, always newer ones
            while (!stop) {
                for (int i = waiting < 200 ? 4 : 1; i > 0; --i) {
                    ++waiting;
                    weir::go([&] { --waiting; });
                }
                weir::yield();
            }
        });
        CHECK(eventually([&] { return first_ran.load(); }));
        stop = true;
    });
}

TEST_CASE("work made ready by one worker is stolen by the idle ones") {
    with_workers(4, [] {
        // Each fiber holds its worker until all four run at once: only possible when idle workers steal.
        std::atomic<int> here{0};
        for (int i = 0; i < 4; ++i) {
            weir::go([&] {
                ++here;
                const auto until = Clock::now() + patience(20s);
                while (here < 4 && Clock::now() < until) {
                }
                CHECK(here == 4);
            });
        }
        CHECK(eventually([&] { return here == 4 && weir::num_fibers() == 1; }));
    });
}

namespace {

/// hand_over_for has two fibers hand a token to and fro: meanwhile an idle worker finds nothing worth taking, and looks but now and then.
void hand_over_for(std::chrono::nanoseconds time) {
    weir::chan<int> there, back;
    weir::go([=] {
        for (int v : there) back.send(v);
        back.close();
    });
    for (const auto until = Clock::now() + time; Clock::now() < until;) {
        for (int i = 0; i < 100; ++i) {
            there.send(i);
            back.recv();
        }
    }
    there.close();
    back.recv_ok();
}

} // namespace

TEST_CASE("beside a pair that hands over and then computes, new fibers and sleepers run elsewhere") {
    with_workers(2, [] {
        for (std::size_t i = 0; i < stress(20); ++i) {
            std::atomic<int> ran{0};
            weir::go([&] {
                weir::sleep(3ms);
                ++ran;
            });
            hand_over_for(2ms);
            weir::go([&] { ++ran; });
            const auto until = Clock::now() + patience(20s);
            while (ran < 2 && Clock::now() < until) { // holds its worker
            }
            CHECK(ran == 2);
        }
    });
}

TEST_CASE("plain threads wake fibers while a pair hands over") {
    each_workers([] {
        weir::chan<int> c, answers;
        weir::WaitGroup pair;
        std::atomic<bool> stop{false};
        pair.go([&] {
            while (!stop) hand_over_for(100us);
        });
        weir::go([=] {
            for (int v : c) answers.send(v);
        });
        const int n = static_cast<int>(stress(2000));
        std::thread sender([=] {
            for (int i = 0; i < n; ++i) {
                c.send(i);
                CHECK(answers.recv() == i);
            }
        });
        weir::blocking([&] { sender.join(); });
        c.close();
        stop = true;
        pair.wait();
    });
}

TEST_CASE("no wake-up is lost between idle workers and single hand-offs") {
    each_workers([] {
        // Long idle, one wake-up at a time, over and over: a lost wake-up hangs here.
        weir::chan<int> c, d;
        weir::go([=] {
            for (int v : c) {
                if (v % 50 == 0) weir::sleep(1ms);
                d.send(v);
            }
            d.close();
        });
        const int n = static_cast<int>(stress(20000));
        int sum = 0;
        for (int i = 0; i < n; ++i) {
            c.send(i);
            sum += d.recv() == i;
        }
        c.close();
        CHECK(sum == n);
    });
}

TEST_SUITE_END();
