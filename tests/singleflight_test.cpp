#include "fixture.h"

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <weir/chan.h>
#include <weir/select.h>
#include <weir/singleflight.h>
#include <weir/waitgroup.h>

using weir::Error;
using Flight = weir::SingleFlight<std::string, std::string>;

namespace {

/// Gate is a function body that says when it has begun, and ends when told.
struct Gate {
    void pass() {
        begun.send();
        finish.recv();
    }
    weir::chan<void> begun, finish;
};

/// join_all runs `caller` on n fibers while a call is held in `gate`, and lets it go once all of them have joined it.
template <class Caller>
void join_all(Gate& gate, weir::WaitGroup& wg, int n, Caller caller) {
    wg.go(caller);
    gate.begun.recv();
    for (int i = 1; i < n; ++i) wg.go(caller);
    CHECK(come_to_wait(static_cast<std::size_t>(n) - 1, "sync.WaitGroup.Wait"));
    gate.finish.send();
}

} // namespace

TEST_SUITE_BEGIN("singleflight");

TEST_CASE("run returns what the function returns [b104]") {
    each_workers([] {
        Flight flight;
        auto [value, err, shared] = flight.run("key", [] { return std::string("bar"); });
        CHECK(value == "bar");
        CHECK_FALSE(err);
        CHECK_FALSE(shared);
        const Error bad("bad");
        auto failed = flight.run("key", [&] { return std::pair(std::string(), bad); });
        CHECK(failed.value == "");
        CHECK(failed.err == bad);
    });
}

TEST_CASE("callers at the same time share one call; its result, value and error, is for all [b104]") {
    each_workers([] {
        for (const Error& outcome : {Error(), Error("bad")}) {
            Flight flight;
            Gate gate;
            std::atomic<int> calls{0}, sharing{0};
            weir::WaitGroup wg;
            join_all(gate, wg, 10, [&] {
                auto [value, err, shared] = flight.run("key", [&] {
                    ++calls;
                    gate.pass();
                    return std::pair(std::string("bar"), outcome);
                });
                CHECK(value == "bar");
                CHECK(err == outcome);
                sharing += shared;
            });
            wg.wait();
            CHECK(calls == 1);
            CHECK(sharing == 10);
        }
    });
}

TEST_CASE("keys do not disturb each other, and a call that has ended is not shared") {
    each_workers([] {
        Flight flight;
        int calls = 0;
        auto inner = [&] { return flight.run("b", [&] { return std::to_string(++calls); }).value; };
        auto outer = [&] {
            const std::string first = inner();
            return first + std::to_string(++calls);
        };
        CHECK(flight.run("a", outer).value == "12");
        CHECK(flight.run("a", [&] { return std::to_string(++calls); }).value == "3");
    });
}

TEST_CASE("forget makes the next caller start a call of its own") {
    each_workers([] {
        Flight flight;
        Gate gate;
        weir::WaitGroup wg;
        auto held = [&] {
            gate.pass();
            return std::string("old");
        };
        wg.go([&] {
            auto old = flight.run("key", held);
            CHECK(old.value == "old");
            CHECK_FALSE(old.shared);
        });
        gate.begun.recv();
        flight.forget("key");
        auto fresh = flight.run_chan("key", held);
        gate.begun.recv(); // both calls are under way now
        gate.finish.send();
        gate.finish.send();
        CHECK(fresh.recv().value == "old");
        wg.wait();
        flight.forget("nobody");
    });
}

TEST_CASE("run_chan delivers once and never closes [b104]") {
    each_workers([] {
        Flight flight;
        auto c = flight.run_chan("key", [] { return std::string("bar"); });
        auto [value, err, shared] = c.recv();
        CHECK(value == "bar");
        CHECK_FALSE(err);
        CHECK_FALSE(shared);
        CHECK(eventually([] { return weir::num_fibers() == 1; })); // the call's fiber has done all that it will
        CHECK(weir::select(weir::recv(c), weir::otherwise()) == 1);
    });
}

TEST_CASE("run and run_chan share a call, and a receiver that never looks holds up nobody") {
    each_workers([] {
        Flight flight;
        Gate gate;
        auto fn = [&] {
            gate.pass();
            return std::string("bar");
        };
        auto c = flight.run_chan("key", fn);
        gate.begun.recv();
        auto ignored = flight.run_chan("key", fn);
        gate.finish.send();
        auto [value, err, shared] = c.recv();
        CHECK(value == "bar");
        CHECK(shared);
    });
}

TEST_CASE("a panic reaches all callers with its value") {
    each_workers([] {
        Flight flight;
        Gate gate;
        std::atomic<int> panicked{0}, calls{0};
        weir::WaitGroup wg;
        join_all(gate, wg, 5, [&] {
            auto p = weir::catch_panic([&] {
                flight.run("key", [&]() -> std::string {
                    ++calls;
                    gate.pass();
                    weir::panic("invalid memory address");
                });
            });
            if (p) panicked += p->value<std::string>() == "invalid memory address";
        });
        wg.wait();
        CHECK(calls == 1);
        CHECK(panicked == 5);
        CHECK(flight.run("key", [] { return std::string("again"); }).value == "again");
    });
}

TEST_CASE("an exception reaches all callers as itself") {
    each_workers([] {
        Flight flight;
        CHECK_THROWS_AS(flight.run("key", []() -> std::string { throw std::out_of_range("far out"); }), std::out_of_range);
    });
}

TEST_CASE("a goexit ends all callers") {
    each_workers([] {
        Flight flight;
        Gate gate;
        std::atomic<int> ended{0}, returned{0};
        weir::WaitGroup wg;
        join_all(gate, wg, 5, [&] {
            weir::defer d{[&] { ++ended; }};
            flight.run("key", [&]() -> std::string {
                gate.pass();
                weir::goexit();
            });
            ++returned;
        });
        wg.wait();
        CHECK(ended == 5);
        CHECK(returned == 0);
        CHECK(flight.run("key", [] { return std::string("again"); }).value == "again");
    });
}

TEST_CASE("channels get a panic and a goexit as errors") {
    each_workers([] {
        Flight flight;
        auto panicked = flight.run_chan("key", []() -> std::string { weir::panic("boom"); }).recv();
        REQUIRE(panicked.err.as<weir::Panic>() != nullptr);
        CHECK(panicked.err.message() == "boom");
        auto exited = flight.run_chan("key", []() -> std::string { weir::goexit(); }).recv();
        CHECK(exited.err == weir::kGoexit);
        CHECK(exited.err.message() == "runtime.Goexit was called");
        CHECK(all_gone());
    });
}

TEST_CASE("plain threads join the calls of fibers, and their goexit is a panic there") {
    each_workers([] {
        const auto text_of_joined = [] {
            Flight flight;
            Gate gate;
            weir::WaitGroup wg;
            wg.go([&] {
                flight.run("key", [&]() -> std::string {
                    gate.pass();
                    weir::goexit();
                });
            });
            gate.begun.recv();
            std::string text;
            std::thread plain([&] {
                text = panic_text([&] { flight.run("key", [] { return std::string("own call"); }); });
            });
            weir::sleep(10ms); // it has joined by then, mostly; else it makes a call of its own
            gate.finish.send();
            weir::blocking([&] { plain.join(); });
            wg.wait();
            return text;
        };
        CHECK(in_some_try([&] { return text_of_joined() == "runtime.Goexit was called"; }));
    });
}

TEST_CASE("many keys, many callers, some forget: each gets a value of its own key [stress]") {
    each_workers([] {
        weir::SingleFlight<int, std::pair<int, int>> flight;
        std::atomic<int> made[4] = {};
        weir::WaitGroup wg;
        for (int i = 0; i < 8; ++i) {
            wg.go([&, i] {
                for (std::size_t j = 0; j < stress(2000); ++j) {
                    const int key = (i + static_cast<int>(j)) % 4;
                    if (j % 64 == 0) flight.forget(key);
                    auto [value, err, shared] = flight.run(key, [&] {
                        weir::yield();
                        return std::pair(std::pair(key, ++made[key]), Error());
                    });
                    CHECK(value.first == key);
                    CHECK(value.second >= 1);
                    CHECK(value.second <= made[key]);
                }
            });
        }
        wg.wait();
    });
}

TEST_SUITE_END();
