// Channels: Go's rules for send, receive, close, range, len and cap, with every kind of element.
#include "fixture.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <weir/chan.h>
#include <weir/defer.h>
#include <weir/explore.h>
#include <weir/select.h>
#include <weir/waitgroup.h>

TEST_SUITE_BEGIN("chan");

namespace {

struct Empty {
    friend bool operator==(Empty, Empty) { return true; }
};

struct Kilobyte {
    std::array<std::uint32_t, 256> words{};
    Kilobyte() = default;
    explicit Kilobyte(int seed) { std::iota(words.begin(), words.end(), static_cast<std::uint32_t>(seed)); }
    friend bool operator==(const Kilobyte&, const Kilobyte&) = default;
};

/// values<T>(n) are n values, different where T can tell.
template <typename T>
std::vector<T> values(int n) {
    std::vector<T> result;
    for (int i = 0; i < n; ++i) {
        if constexpr (std::is_same_v<T, Empty>) {
            result.emplace_back();
        } else if constexpr (std::is_same_v<T, bool>) {
            result.push_back(i % 3 == 0);
        } else if constexpr (std::is_same_v<T, std::string>) {
            result.push_back("a text that is too long for the small string of " + std::to_string(i));
        } else if constexpr (std::is_same_v<T, weir::chan<int>>) {
            result.push_back(weir::chan<int>(static_cast<std::size_t>(i)));
        } else {
            result.push_back(static_cast<T>(i + 1));
        }
    }
    return result;
}

/// pass_values sends and receives every value over channels of several capacities, in order, then closes.
template <typename T>
void pass_values() {
    for (std::size_t cap : {0, 1, 3, 100}) {
        weir::chan<T> c(cap);
        const std::vector<T> all = values<T>(50);
        weir::go([c, all] {
            for (const T& v : all) c.send(v);
            c.close();
        });
        int wrong = 0;
        for (const T& v : all) wrong += !(c.recv() == v);
        CHECK(wrong == 0);
        const auto [v, ok] = c.recv_ok();
        CHECK_FALSE(ok);
        if constexpr (std::is_same_v<T, weir::chan<int>>) {
            CHECK(v == weir::nil); // Go's zero value of a channel
        } else {
            CHECK(v == T());
        }
    }
}

} // namespace

TEST_CASE("a try that would block leaves the channel to other threads [b21]") {
    each_workers([] {
        weir::chan<int> c;
        CHECK(!c.try_recv());
        CHECK(!c.try_send(1));
        std::thread([&] {
            CHECK(!c.try_recv());
            CHECK(!c.try_send(1));
        }).join();
        CHECK(!c.try_recv());
    });
}

TEST_CASE("len and cap: 0 of N, then k of N; a nil channel 0 of 0 [b10]") {
    each_workers([] {
        weir::chan<int> c(10);
        CHECK(c.len() == 0);
        CHECK(c.cap() == 10);
        for (int k = 1; k <= 7; ++k) {
            c.send(k);
            CHECK(c.len() == static_cast<std::size_t>(k));
        }
        CHECK(c.cap() == 10);
        c.recv();
        CHECK(c.len() == 6);
        weir::chan<int> unbuffered;
        CHECK(unbuffered.len() == 0);
        CHECK(unbuffered.cap() == 0);
        weir::chan<int> nothing = weir::nil;
        CHECK(nothing.len() == 0);
        CHECK(nothing.cap() == 0);
        CHECK(nothing == weir::nil);
        CHECK(c != weir::nil);
    });
}

TEST_CASE("an absurd capacity panics: makechan: size out of range [b11]") {
    each_workers([] {
        constexpr auto most = std::numeric_limits<std::size_t>::max();
        CHECK(panic_text([] { weir::chan<int> c(most); }) == "makechan: size out of range");
        CHECK(panic_text([] { weir::chan<int> c(most / 4 + 1); }) == "makechan: size out of range");
        CHECK(panic_text([] { weir::chan<Kilobyte> c(most / 1024); }) == "makechan: size out of range");
        CHECK(panic_text([] { weir::chan<int> c(static_cast<std::size_t>(-1)); }) == "makechan: size out of range");
        const auto panic = weir::catch_panic([] { weir::chan<int> c(most); });
        REQUIRE(panic);
        CHECK(panic->kind() == weir::PanicKind::RuntimeError);
    });
}

TEST_CASE("send and receive on a nil channel block for ever [b12]") {
    static std::atomic<int> passed;
    passed = 0;
    each_workers(Workers{.parked = 4}, [] {
        const auto block = [](auto&& operation) {
            weir::go([operation] {
                operation();
                ++passed;
            });
        };
        block([] { weir::chan<int>(weir::nil).send(1); });
        block([] { weir::chan<int>(weir::nil).recv(); });
        block([] { weir::chan<void>(weir::nil).recv(); });
        block([] {
            for ([[maybe_unused]] int v : weir::chan<int>(weir::nil)) {
            }
        });
        CHECK(come_to_wait(1, "chan send (nil chan)"));
        CHECK(come_to_wait(3, "chan receive (nil chan)"));
        CHECK(passed == 0);
        weir::chan<int> nothing = weir::nil;
        CHECK_FALSE(nothing.try_send(1));
        CHECK_FALSE(nothing.try_recv());
    });
    CHECK(passed == 0);
}

TEST_CASE("close of nil, close of closed and send on closed panic with Go's words [b13]") {
    each_workers([] {
        for (std::size_t cap : {0, 1}) {
            weir::chan<int> c(cap);
            c.close();
            for (const auto& [operation, text] : std::vector<std::pair<std::function<void()>, std::string>>{
                     {[&] { c.close(); }, "close of closed channel"},
                     {[&] { c.send(1); }, "send on closed channel"},
                     {[&] { c << 1; }, "send on closed channel"},
                     {[&] { c.try_send(1); }, "send on closed channel"},
                     {[&] { weir::select(weir::send(c, 1), weir::otherwise([] {})); }, "send on closed channel"},
                     {[&] { weir::chan<int>(weir::nil).close(); }, "close of nil channel"},
                 }) {
                const auto panic = weir::catch_panic(operation);
                REQUIRE(panic);
                CHECK(panic->message() == text);
                CHECK(panic->kind() == weir::PanicKind::RuntimeError);
                CHECK(panic->value<weir::RuntimeError>());
            }
        }
    });
}

TEST_CASE("closing wakes blocked senders, who panic [b13]") {
    each_workers([] {
        for (std::size_t cap : {0, 2}) {
            weir::chan<int> c(cap);
            for (std::size_t i = 0; i < cap; ++i) c.send(0);
            std::atomic<int> panicked{0};
            for (int i = 0; i < 5; ++i) {
                weir::go([&, c] {
                    if (panic_text([&] { c.send(7); }) == "send on closed channel") ++panicked;
                });
            }
            CHECK(come_to_wait(5, "chan send"));
            c.close();
            CHECK(eventually([&] { return panicked == 5; }));
            CHECK(c.len() == cap);
        }
    });
}

TEST_CASE("after close: the buffered values with ok, then zero without, for ever, in every form [b14]") {
    each_workers([] {
        for (int form = 0; form < 7; ++form) {
            weir::chan<int> c(10), never;
            for (int i = 1; i <= 5; ++i) c.send(i);
            c.close();
            for (int i = 1; i <= 12; ++i) {
                const int want = i <= 5 ? i : 0;
                int v = -1;
                bool ok = i > 5; // the wrong one
                switch (form) {
                case 0:
                    std::tie(v, ok) = c.recv_ok();
                    break;
                case 1:
                    ok = (c >> v);
                    break;
                case 2:
                    v = c.recv(), ok = i <= 5;
                    break;
                case 3:
                    weir::select(weir::recv(c, v, ok));
                    break;
                case 4:
                    weir::select(weir::recv(c, v, ok), weir::recv(never));
                    break;
                case 5:
                    weir::select(weir::recv(c, v, ok), weir::otherwise([] { FAIL_CHECK("default although closed"); }));
                    break;
                case 6: {
                    const auto next = c.next();
                    v = next.value_or(0), ok = next.has_value();
                    break;
                }
                }
                CHECK(v == want);
                CHECK(ok == (i <= 5));
            }
        }
    });
}

TEST_CASE("a send that panics on a closed channel enqueues nothing [b15]") {
    each_workers([] {
        weir::chan<std::string> c(4);
        c.send("kept");
        c.close();
        CHECK(panic_text([&] { c.send("lost"); }) == "send on closed channel");
        CHECK(panic_text([&] { c.try_send("lost"); }) == "send on closed channel");
        CHECK(c.len() == 1);
        CHECK(c.recv() == "kept");
        CHECK_FALSE(c.recv_ok().second);
    });
}

TEST_CASE("an unbuffered send returns only once a receiver has the value [b21]") {
    each_workers([] {
        weir::chan<int> c;
        std::atomic<int> received{0}, wrong{0};
        weir::WaitGroup receiver;
        receiver.go([&] {
            for (int i = 1; i <= 200; ++i) {
                weir::yield();
                c.recv();
                // The sender may go on from here on; it must see this receive as begun, hence the count is behind by at most one.
                received = i;
            }
        });
        for (int i = 1; i <= 200; ++i) {
            c.send(i);
            if (received < i - 1) ++wrong;
        }
        receiver.wait();
        CHECK(wrong == 0);
        std::atomic<bool> sent{false};
        weir::WaitGroup sender;
        sender.go([&] {
            c.send(1);
            sent = true;
        });
        CHECK(come_to_wait(1, "chan send"));
        CHECK_FALSE(sent);
        c.recv();
        sender.wait();
        CHECK(sent);
    });
}

TEST_CASE("a non-blocking send succeeds just when a receiver waits or there is room [b21]") {
    each_workers([] {
        weir::chan<int> c;
        CHECK_FALSE(c.try_send(1));
        CHECK_FALSE(c.try_recv());
        std::atomic<int> got{0};
        weir::go([&, c] { got = c.recv(); });
        CHECK(eventually([&] { return c.try_send(42); }));
        CHECK(eventually([&] { return got == 42; }));
        CHECK_FALSE(c.try_send(1));

        weir::go([c] { c.send(43); });
        std::optional<int> received;
        CHECK(eventually([&] { return (received = c.try_recv()).has_value(); }));
        CHECK(received == 43);

        weir::chan<int> buffered(2);
        CHECK(buffered.try_send(1));
        CHECK(buffered.try_send(2));
        CHECK_FALSE(buffered.try_send(3));
        CHECK(buffered.try_recv() == 1);
        CHECK(buffered.try_send(3));
        CHECK(buffered.try_recv() == 2);
        CHECK(buffered.try_recv() == 3);
        CHECK_FALSE(buffered.try_recv());
    });
}

TEST_CASE("elements of every kind pass in order [b22]") {
    each_workers([] {
        pass_values<Empty>();
        pass_values<bool>();
        pass_values<std::int32_t>();
        pass_values<std::int64_t>();
        pass_values<std::string>();
        pass_values<Kilobyte>();
        pass_values<weir::chan<int>>();
    });
}

TEST_CASE("move-only elements pass, and nothing of them is copied or lost [b22]") {
    each_workers([] {
        for (std::size_t cap : {0, 1, 8}) {
            weir::chan<std::unique_ptr<int>> c(cap);
            weir::go([c] {
                for (int i = 0; i < 50; ++i) c.send(std::make_unique<int>(i));
                c.close();
            });
            int expected = 0, wrong = 0;
            for (std::unique_ptr<int>& p : c) wrong += p == nullptr || *p != expected++;
            CHECK(wrong == 0);
            CHECK(expected == 50);
        }
        weir::chan<std::unique_ptr<int>> c(1);
        auto kept = std::make_unique<int>(1);
        CHECK(c.try_send(std::move(kept)));
        auto refused = std::make_unique<int>(2);
        CHECK_FALSE(c.try_send(std::move(refused)));
        CHECK(refused != nullptr); // a send that did not happen leaves the value where it was
        CHECK(*c.recv() == 1);
    });
}

TEST_CASE("elements without a default constructor pass through next and range [b22]") {
    struct Bare {
        explicit Bare(int n) : number(n) {}
        int number;
    };
    each_workers([] {
        weir::chan<Bare> c(2);
        weir::go([c] {
            for (int i = 0; i < 10; ++i) c.send(Bare(i));
            c.close();
        });
        const auto first = c.next();
        REQUIRE(first);
        CHECK(first->number == 0);
        int sum = 0;
        for (Bare& b : c) sum += b.number;
        CHECK(sum == 45);
        CHECK_FALSE(c.next());
    });
}

TEST_CASE("values left in a channel are destroyed with it") {
    each_workers([] {
        auto counted = std::make_shared<int>(0);
        {
            weir::chan<std::shared_ptr<int>> c(10);
            for (int i = 0; i < 6; ++i) c.send(counted);
            c.recv();
            CHECK(counted.use_count() == 6);
        }
        CHECK(counted.use_count() == 1);
    });
}

TEST_CASE("a received value is not kept by the channel") {
    each_workers([] {
        weir::chan<std::shared_ptr<int>> c(3);
        auto counted = std::make_shared<int>(0);
        for (int i = 0; i < 10; ++i) {
            c.send(counted);
            CHECK(c.recv() == counted);
            CHECK(counted.use_count() == 1);
        }
    });
}

TEST_CASE("range ends after close and drain [b23]") {
    each_workers([] {
        for (std::size_t cap : {0, 5, 100}) {
            weir::chan<int> c(cap);
            weir::go([c] {
                weir::defer close{[&] { c.close(); }};
                for (int i = 1; i <= 100; ++i) c << i;
            });
            int sum = 0, last = 0, disorder = 0;
            for (int& v : c) {
                disorder += v != last + 1;
                last = v;
                sum += v;
            }
            CHECK(sum == 5050);
            CHECK(disorder == 0);
        }
        weir::chan<int> closed;
        closed.close();
        for ([[maybe_unused]] int v : closed) FAIL_CHECK("a value from a closed, empty channel");
    });
}

TEST_CASE("leaving a range early loses no value") {
    each_workers([] {
        weir::chan<int> c(10);
        for (int i = 0; i < 10; ++i) c << i;
        for (int v : c) {
            if (v == 3) break;
        }
        CHECK(c.len() == 6);
        CHECK(c.recv() == 4);
    });
}

TEST_CASE("a channel converts to its directions, which are the same channel [b24]") {
    each_workers([] {
        weir::chan<int> c(3);
        weir::send_chan<int> in = c;
        weir::recv_chan<int> out = c;
        in.send(1);
        in << 2;
        CHECK(out.len() == 2);
        CHECK(out.cap() == 3);
        CHECK(out.recv() == 1);
        in.close();
        int sum = 0;
        for (int v : out) sum += v;
        CHECK(sum == 2);
        CHECK(out == weir::recv_chan<int>(c));
        weir::send_chan<int> no_in = weir::nil;
        weir::recv_chan<int> no_out = weir::nil;
        CHECK(no_in == weir::nil);
        CHECK(no_out == weir::nil);
    });
}

TEST_CASE("chan<void> signals: send, recv, next, close") {
    each_workers([] {
        weir::chan<void> c(2), done;
        c.send();
        CHECK(c.try_send());
        CHECK_FALSE(c.try_send());
        CHECK(c.len() == 2);
        CHECK(std::is_same_v<decltype(c.recv()), bool>);
        c.recv();
        CHECK(c.next());
        CHECK_FALSE(c.try_recv());
        weir::go([done] { done.send(); });
        CHECK(done.recv_ok());
        weir::go([done] { done.close(); });
        CHECK_FALSE(done.recv_ok());
        CHECK_FALSE(done.next());
        CHECK(panic_text([&] { done.send(); }) == "send on closed channel");
        int n = 0;
        weir::chan<void> ticks(5);
        for (int i = 0; i < 4; ++i) ticks.send();
        ticks.close();
        while (ticks.next()) ++n;
        CHECK(n == 4);
    });
}

TEST_CASE("a channel is a shared handle: copies are the same channel") {
    each_workers([] {
        weir::chan<int> a(1);
        weir::chan<int> b = a;
        CHECK(a == b);
        CHECK(a != weir::chan<int>(1));
        b.send(5);
        CHECK(a.recv() == 5);
        a = weir::nil;
        CHECK(a == weir::nil);
        CHECK(b != weir::nil);
        b.send(6);
        CHECK(b.recv() == 6);
    });
}

TEST_CASE("close refuses all waiting senders at one moment: none gets through once another has been refused") {
    weir::explore(static_cast<int>(stress(500)), [] {
        weir::chan<int> c(1);
        bool refused = false;
        weir::WaitGroup all;
        for (int i = 0; i < 40; ++i) {
            all.go([&] {
                weir::defer note([&] {
                    if (weir::recover()) refused = true;
                });
                for (;;) c.send(1);
            });
        }
        for (int i = 0; i < 100; ++i) weir::yield();
        int late = 0;
        all.go([&] {
            for (bool ok = true; ok;) {
                const bool after = refused;
                ok = c.recv_ok().second;
                late += after && ok;
            }
        });
        c.close();
        all.wait();
        if (late > 1) weir::panic("values got through after a sender had been refused"); // one lay in the channel
        while (weir::num_fibers() > 1) weir::yield(); // what they hold goes before the run does
    });
}

TEST_CASE("close wakes every receiver, and does not touch the channel once the last has been woken") {
    each_workers([] {
        for (const int receivers : {1, 31, 32, 33, 64, 100}) {
            auto* c = new weir::chan<void>;
            std::atomic<int> about{0}, woken{0};
            std::atomic<bool> freed{false}, closed{false};
            for (int i = 0; i < receivers; ++i) {
                weir::go([&, receivers] {
                    ++about;
                    c->recv();
                    if (++woken < receivers) return;
                    delete c; // maybe within close()
                    freed = true;
                });
            }
            CHECK(eventually([&] { return about == receivers; }));
            weir::yield();
            weir::go([&] {
                c->close();
                closed = true;
            });
            CHECK(eventually([&] { return freed && closed; }));
        }
    });
}

TEST_CASE("close wakes every receiver") {
    each_workers([] {
        weir::chan<int> c;
        std::atomic<int> woken{0};
        for (int i = 0; i < 100; ++i) {
            weir::go([&, c] {
                if (!c.recv_ok().second) ++woken;
            });
        }
        CHECK(come_to_wait(100, "chan receive"));
        c.close();
        CHECK(eventually([&] { return woken == 100; }));
    });
}

TEST_CASE("receivers are served in the order they came") {
    each_workers([] {
        weir::chan<int> c;
        std::atomic<int> in_order{0};
        weir::WaitGroup wg;
        for (int i = 0; i < 10; ++i) {
            wg.go([&, i] { in_order += c.recv() == i; });
            CHECK(come_to_wait(static_cast<std::size_t>(i) + 1, "chan receive"));
        }
        for (int i = 0; i < 10; ++i) c.send(i);
        wg.wait();
        CHECK(in_order == 10);
    });
}

TEST_CASE("blocked senders are served in the order they came, and behind the buffer") {
    each_workers([] {
        weir::chan<int> c(2);
        for (int i = 0; i < 2; ++i) c.send(i);
        for (int i = 2; i < 10; ++i) {
            weir::go([c, i] { c.send(i); });
            CHECK(come_to_wait(static_cast<std::size_t>(i) - 1, "chan send"));
        }
        for (int i = 0; i < 10; ++i) CHECK(c.recv() == i);
    });
}

TEST_CASE("plain threads send, receive and close as fibers do") {
    each_workers([] {
        for (std::size_t cap : {0, 4}) {
            weir::chan<int> up(cap), down(cap);
            std::thread plain([=] {
                for (int v : up) down.send(2 * v);
                down.close();
            });
            weir::go([=] {
                for (int i = 1; i <= 500; ++i) up.send(i);
                up.close();
            });
            int sum = 0;
            for (int v : down) sum += v;
            CHECK(sum == 250500);
            weir::blocking([&] { plain.join(); });
        }
    });
}

TEST_CASE("an exception out of a value's copy leaves the channel as it was") {
    struct Moody {
        int number = 0;
        bool throws = false;
        Moody() = default;
        explicit Moody(int n, bool t = false) : number(n), throws(t) {}
        Moody(const Moody& o) : number(o.number), throws(o.throws) {
            if (throws) throw std::runtime_error("no copy today");
        }
        Moody& operator=(const Moody&) = default;
    };
    each_workers([] {
        weir::chan<Moody> c(2);
        const Moody bad(1, true), good(2);
        CHECK(panic_text([&] { c.send(bad); }) == "no copy today");
        CHECK(c.len() == 0);
        c.send(good);
        CHECK(c.recv().number == 2);
    });
}

TEST_CASE("many senders, many receivers: each value arrives once") {
    each_workers([] {
        for (std::size_t cap : {0, 1, 64}) {
            weir::chan<int> c(cap);
            const int n = static_cast<int>(stress(2000));
            std::atomic<int> senders{8};
            weir::WaitGroup wg;
            for (int s = 0; s < 8; ++s) {
                wg.go([&, s] {
                    for (int i = 0; i < n; ++i) c.send(s * n + i);
                    if (--senders == 0) c.close();
                });
            }
            std::vector<std::atomic<int>> seen(static_cast<std::size_t>(8 * n));
            for (int r = 0; r < 8; ++r) {
                wg.go([&] {
                    for (int v : c) ++seen[static_cast<std::size_t>(v)];
                });
            }
            wg.wait();
            CHECK(std::all_of(seen.begin(), seen.end(), [](const auto& times) { return times == 1; }));
        }
    });
}

TEST_SUITE_END();
