// select: default, nil cases, fairness, close, timeouts, and the form whose cases are built at run time.
#include "fixture.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <weir/chan.h>
#include <weir/select.h>
#include <weir/waitgroup.h>

TEST_SUITE_BEGIN("select");

TEST_CASE("default runs only if nothing is ready [b25]") {
    each_workers([] {
        weir::chan<int> c(1);
        int ran = 0;
        CHECK(weir::select(weir::recv(c, [&] { ran = 1; }), weir::otherwise([&] { ran = 2; })) == 1);
        CHECK(ran == 2);
        c.send(5);
        int got = 0;
        CHECK(weir::select(weir::recv(c, [&](int v) { got = v; }), weir::otherwise([&] { ran = 3; })) == 0);
        CHECK(got == 5);
        CHECK(ran == 2);
        CHECK(weir::select(weir::send(c, 6, [&] { ran = 4; }), weir::otherwise([&] { ran = 5; })) == 0);
        CHECK(ran == 4);
        CHECK(weir::select(weir::send(c, 7, [&] { ran = 6; }), weir::otherwise([&] { ran = 7; })) == 1);
        CHECK(ran == 7);
        CHECK(c.recv() == 6);
        CHECK(c.len() == 0);
    });
}

TEST_CASE("an empty and an all-nil select block for ever [b25]") {
    static std::atomic<int> passed;
    passed = 0;
    each_workers(Workers{.parked = 2}, [] {
        weir::go([] {
            weir::select();
            ++passed;
        });
        weir::go([] {
            weir::chan<int> a = weir::nil, b = weir::nil;
            weir::select(weir::recv(a), weir::send(b, 1));
            ++passed;
        });
        CHECK(come_to_wait(2, "select (no cases)"));
        CHECK(passed == 0);
    });
}

TEST_CASE("a nil case is never chosen, and setting a case's channel to nil disables it [b26]") {
    each_workers([] {
        weir::chan<int> a, b, nothing = weir::nil;
        const auto count = [](weir::chan<int> c, int n) {
            weir::go([c, n] {
                for (int i = 0; i < n; ++i) c.send(i);
                c.close();
            });
        };
        count(a, 30);
        count(b, 50);
        int from_a = 0, from_b = 0, from_nil = 0;
        while (a != weir::nil || b != weir::nil) {
            weir::select(weir::recv(a,
                                    [&](int, bool ok) {
                                        if (ok)
                                            ++from_a;
                                        else
                                            a = weir::nil;
                                    }),
                         weir::recv(nothing, [&] { ++from_nil; }),
                         weir::recv(b,
                                    [&](int, bool ok) {
                                        if (ok)
                                            ++from_b;
                                        else
                                            b = weir::nil;
                                    }),
                         weir::send(nothing, 1, [&] { ++from_nil; }));
        }
        CHECK(from_a == 30);
        CHECK(from_b == 50);
        CHECK(from_nil == 0);
        CHECK(weir::select(weir::recv(a), weir::otherwise([] {})) == 1);
    });
}

TEST_CASE("every case's channel and value are evaluated once, chosen or not [b27]") {
    each_workers([] {
        weir::chan<int> a(1), b(1), c(1);
        c.send(1);
        int channels = 0, numbers = 0;
        const auto channel = [&](weir::chan<int>& ch) -> weir::chan<int>& { return ++channels, ch; };
        const auto number = [&](int n) { return ++numbers, n; };
        weir::select(weir::recv(channel(a)), weir::recv(channel(b)), weir::send(channel(c), number(7)),
                     weir::timeout(1ms, [] {}));
        CHECK(channels == 3);
        CHECK(numbers == 1);
    });
}

TEST_CASE("a destination is written only if its case is chosen [b28]") {
    each_workers([] {
        weir::chan<int> a(1), b(1);
        int va = -1, vb = -2;
        bool oka = true, okb = true;
        b.send(9);
        CHECK(weir::select(weir::recv(a, va, oka), weir::recv(b, vb, okb)) == 1);
        CHECK(va == -1);
        CHECK(oka);
        CHECK(vb == 9);
        weir::select(weir::recv(a, va), weir::recv(b, vb), weir::otherwise([] {}));
        CHECK(va == -1);
        CHECK(vb == 9);
        weir::select(weir::recv(a, va), weir::recv(b, vb), weir::timeout(1ms, [] {}));
        CHECK(va == -1);
        CHECK(vb == 9);
    });
}

TEST_CASE("two sends on one channel are chosen fairly [b31]") {
    each_workers([] {
        for (std::size_t cap : {0, 100}) {
            weir::chan<int> c(cap);
            weir::go([c] {
                for (int i = 0; i < 100; ++i) weir::select(weir::send(c, 0), weir::send(c, 1));
                c.close();
            });
            int times[2] = {0, 0};
            for (int v : c) ++times[v];
            CHECK(times[0] > 10);
            CHECK(times[1] > 10);
            CHECK(times[0] + times[1] == 100);
        }
    });
}

TEST_CASE("ready cases are chosen fairly, wherever they stand") {
    each_workers([] {
        std::vector<weir::chan<int>> c;
        for (int i = 0; i < 4; ++i) {
            c.emplace_back(1000);
            for (int j = 0; j < 1000; ++j) c.back().send(j);
        }
        int times[4] = {};
        for (int i = 0; i < 1000; ++i) {
            ++times[weir::select(weir::recv(c[0]), weir::recv(c[1]), weir::recv(c[2]), weir::recv(c[3]))];
        }
        for (int n : times) {
            CHECK(n > 150);
            CHECK(n < 350);
        }
    });
}

TEST_CASE("a case that lost its select takes nothing: the next receive does [b35]") {
    each_workers([] {
        for (int round = 0; round < 50; ++round) {
            weir::chan<int> c1, c2, done(2);
            weir::go([=] { done.send(c1.recv()); });
            CHECK(come_to_wait(1, "chan receive"));
            weir::go([=] {
                weir::select(weir::recv(c1, [] { FAIL_CHECK("nobody sent on c1 yet"); }), weir::recv(c2));
                done.send(c1.recv());
            });
            CHECK(eventually([&] { return c2.try_send(1); }));
            c1.send(10);
            c1.send(20);
            CHECK(done.recv() + done.recv() == 30);
        }
    });
}

TEST_CASE("close wakes a parked select's receive with ok false [b36]") {
    each_workers([] {
        for (std::size_t cap : {0, 3}) {
            weir::chan<int> a(cap), b, result;
            weir::go([=] {
                int v = 5;
                bool ok = true;
                const std::size_t i = weir::select(weir::recv(a, v, ok), weir::recv(b));
                result.send(i == 0 && v == 0 && !ok ? 1 : 0);
            });
            CHECK(come_to_wait(1, "select"));
            a.close();
            CHECK(result.recv() == 1);
        }
    });
}

TEST_CASE("close makes a parked select's send panic") {
    each_workers([] {
        weir::chan<int> a, b;
        std::atomic<bool> panicked{false};
        weir::go([&, a, b] { panicked = panic_text([&] { weir::select(weir::recv(b), weir::send(a, 1)); }) == "send on closed channel"; });
        CHECK(come_to_wait(1, "select"));
        a.close();
        CHECK(eventually([&] { return panicked.load(); }));
    });
}

TEST_CASE("select returns the index of the case that ran, in source order") {
    each_workers([] {
        weir::chan<int> never, full(1), ready(1);
        full.send(1);
        ready.send(1);
        CHECK(weir::select(weir::recv(never), weir::send(full, 2), weir::recv(ready)) == 2);
        CHECK(weir::select(weir::timeout(1ms, [] {}), weir::recv(never), weir::send(full, 2)) == 0);
        CHECK(weir::select(weir::recv(never), weir::timeout(1h, [] {}), weir::recv(full)) == 2);
        CHECK(weir::select(weir::recv(never), weir::otherwise([] {}), weir::recv(full)) == 1);
    });
}

TEST_CASE("one channel may stand in several cases, sending and receiving") {
    each_workers([] {
        weir::chan<int> c(1);
        int sent = 0, received = 0;
        for (int i = 0; i < 100; ++i) {
            weir::select(weir::send(c, i, [&] { ++sent; }), weir::recv(c, [&] { ++received; }),
                         weir::recv(c, [&] { ++received; }));
        }
        CHECK(sent + received == 100);
        CHECK(sent - received == static_cast<int>(c.len()));
        weir::chan<int> unbuffered;
        // A select never meets itself.
        CHECK(weir::select(weir::send(unbuffered, 1), weir::recv(unbuffered), weir::timeout(2ms, [] {})) == 2);
    });
}

TEST_CASE("two selects meet each other on unbuffered channels") {
    each_workers([] {
        weir::chan<int> a, b;
        const int n = static_cast<int>(stress(4000));
        std::atomic<int> balance{0};
        const auto party = [&](int sign) {
            for (int i = 0; i < n; ++i) {
                weir::select(weir::send(a, sign), weir::recv(b, [&](int v) { balance += v; }));
            }
        };
        const auto counterpart = [&](int sign) {
            for (int i = 0; i < n; ++i) {
                weir::select(weir::recv(a, [&](int v) { balance += v; }), weir::send(b, sign));
            }
        };
        weir::WaitGroup wg;
        wg.go(party, 1);
        wg.go(counterpart, 1);
        wg.wait();
        CHECK(balance == n);
    });
}

TEST_CASE("a timeout ends a select that nothing else ends, and never early") {
    each_workers([] {
        weir::chan<int> never;
        const auto begun = Clock::now();
        bool timed_out = false;
        CHECK(weir::select(weir::recv(never), weir::timeout(20ms, [&] { timed_out = true; })) == 1);
        CHECK(timed_out);
        CHECK(Clock::now() - begun >= 20ms);
        weir::chan<int> ready(1);
        ready.send(1);
        CHECK(weir::select(weir::timeout(1h, [] {}), weir::recv(ready)) == 1);
    });
}

TEST_CASE("a receive's callback may be a generic lambda") {
    each_workers([] {
        weir::chan<std::string> c(1);
        c.send("four");
        std::size_t size = 0;
        weir::select(weir::recv(c, [&](auto text) { size = text.size(); }));
        CHECK(size == 4);
    });
}

TEST_CASE("a select of nothing but a timeout leaves its frame alone once the timer is armed") {
    each_workers([] {
        weir::WaitGroup wg;
        for (int i = 0; i < 8; ++i) {
            wg.go([] {
                for (std::size_t j = 0; j < stress(5000); ++j) {
                    weir::select(weir::recv(weir::chan<int>(weir::nil)), weir::timeout(1us));
                    volatile char over[2048]; // what lay there is overwritten
                    for (std::size_t k = 0; k < sizeof over; k += 8) over[k] = 'A';
                }
            });
        }
        wg.wait();
    });
}

TEST_CASE("move-only values pass through select both ways, and stay where they are when not sent") {
    each_workers([] {
        weir::chan<std::unique_ptr<int>> c(1);
        CHECK(weir::select(weir::send(c, std::make_unique<int>(7)), weir::otherwise([] {})) == 0);
        int got = 0;
        CHECK(weir::select(weir::recv(c, [&](std::unique_ptr<int> p) { got = *p; })) == 0);
        CHECK(got == 7);
        c.send(std::make_unique<int>(8));
        std::unique_ptr<int> into;
        CHECK(weir::select(weir::recv(c, into)) == 0);
        CHECK(*into == 8);
    });
}

TEST_CASE("a polling select that yields lets a sender complete and get its answer [b2]") {
    each_workers([] {
        weir::chan<int> c, ack;
        weir::go([=] {
            c.send(1);
            ack.send(1);
        });
        bool received = false, acknowledged = false;
        while (!received || !acknowledged) {
            weir::select(weir::recv(c, [&] { received = true; }), weir::recv(ack, [&] { acknowledged = true; }),
                         weir::otherwise([] { weir::yield(); }));
        }
        CHECK(acknowledged);
    });
}

TEST_CASE("a branch may block, panic, spawn and select again") {
    each_workers([] {
        weir::chan<int> a(1), inner;
        a.send(1);
        int got = 0;
        weir::select(weir::recv(a, [&](int v) {
            weir::go([inner, v] { inner.send(v + 1); });
            weir::select(weir::recv(inner, got));
        }));
        CHECK(got == 2);
        a.send(1);
        CHECK(panic_text([&] { weir::select(weir::recv(a, [] { weir::panic("in a branch"); })); }) == "in a branch");
        CHECK(a.len() == 0);
        CHECK(weir::select(weir::send(a, 1)) == 0);
    });
}

TEST_CASE("select on directional channels and on chan<void>") {
    each_workers([] {
        weir::chan<int> c(1);
        weir::send_chan<int> in = c;
        weir::recv_chan<int> out = c;
        weir::chan<void> stop;
        CHECK(weir::select(weir::send(in, 3), weir::recv(stop)) == 0);
        CHECK(weir::select(weir::recv(stop), weir::recv(out, [](int v) { CHECK(v == 3); })) == 1);
        stop.close();
        bool told = false;
        CHECK(weir::select(weir::recv(out), weir::recv(stop, [&] { told = true; })) == 1);
        CHECK(told);
    });
}

TEST_CASE("select over cases built at run time: index, values, fairness, default, closed, nil") {
    each_workers([] {
        std::vector<weir::chan<int>> c;
        std::vector<int> got(20, -1);
        std::vector<weir::SelectCase> cases;
        for (std::size_t i = 0; i < 20; ++i) {
            c.emplace_back(1);
            cases.emplace_back(weir::recv(c[i], got[i]));
        }
        for (int i = 0; i < 20; ++i) c[static_cast<std::size_t>(i)].send(100 + i);
        for (int i = 0; i < 20; ++i) {
            const std::size_t k = weir::select(std::span<weir::SelectCase>{cases});
            CHECK(got[k] == 100 + static_cast<int>(k));
            got[k] = -2;
        }
        CHECK(std::count(got.begin(), got.end(), -2) == 20);

        cases.emplace_back(weir::otherwise([] {}));
        CHECK(weir::select(std::span<weir::SelectCase>{cases}) == 20);
        weir::go([ch = c[13]] { ch.send(7); });
        CHECK(eventually([&] { return weir::select(std::span<weir::SelectCase>{cases}) == 13; }));
        CHECK(got[13] == 7);
        c[4].close();
        CHECK(weir::select(std::span<weir::SelectCase>{cases}) == 4);
        CHECK(got[4] == 0);

        weir::chan<int> nothing = weir::nil, out(1);
        std::vector<weir::SelectCase> mixed;
        mixed.emplace_back(weir::recv(nothing));
        mixed.emplace_back(weir::send(out, 3));
        mixed.emplace_back(weir::timeout(1h, [] {}));
        CHECK(weir::select(std::span<weir::SelectCase>{mixed}) == 1);
        CHECK(out.recv() == 3);
        std::vector<weir::SelectCase> late;
        late.emplace_back(weir::recv(nothing));
        late.emplace_back(weir::timeout(1ms, [] {}));
        CHECK(weir::select(std::span<weir::SelectCase>{late}) == 1);
    });
}

TEST_CASE("a hundred cases built at run time, one sender each: every value arrives once") {
    each_workers([] {
        constexpr std::size_t kChannels = 100;
        std::vector<weir::chan<std::size_t>> c(kChannels);
        std::vector<std::size_t> seen(kChannels);
        std::vector<weir::SelectCase> cases;
        for (std::size_t i = 0; i < kChannels; ++i) {
            cases.emplace_back(weir::recv(c[i], [&seen](std::size_t v) { ++seen[v]; }));
            weir::go([ch = c[i], i] {
                for (int j = 0; j < 5; ++j) ch.send(i);
            });
        }
        for (std::size_t i = 0; i < 5 * kChannels; ++i) weir::select(std::span<weir::SelectCase>{cases});
        CHECK(std::count(seen.begin(), seen.end(), 5u) == static_cast<std::ptrdiff_t>(kChannels));
    });
}

TEST_CASE("plain threads select as fibers do") {
    each_workers([] {
        weir::chan<int> a, b;
        weir::chan<void> stop;
        std::atomic<int> sum{0};
        std::thread plain([&] {
            for (bool stopped = false; !stopped;) {
                weir::select(weir::recv(a, [&](int v) { sum += v; }), weir::recv(b, [&](int v) { sum += 100 * v; }),
                             weir::recv(stop, [&] { stopped = true; }), weir::timeout(1h, [] {}));
            }
        });
        for (int i = 0; i < 50; ++i) {
            a.send(1);
            b.send(1);
        }
        stop.close();
        weir::blocking([&] { plain.join(); });
        CHECK(sum == 5050);
    });
}

TEST_SUITE_END();
