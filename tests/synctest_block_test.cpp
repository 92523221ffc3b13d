// synctest: what blocks durably, and what does not. The cases follow those of Go's internal/synctest.
#include "synctest_fixture.h"

#include <array>
#include <mutex>
#include <string>
#include <thread>

#include <unistd.h>

#include <weir/weir.h>

TEST_SUITE_BEGIN("synctest");

namespace {

/// TimeStandsStill checks that no time has passed when it goes, with a sleeper there that time would have woken.
struct TimeStandsStill {
    TimeStandsStill() {
        weir::go([] { weir::sleep(1s); });
    }
    ~TimeStandsStill() {
        CHECK(watch.elapsed() == 0s);
        weir::sleep(1s); // for the sleeper
    }
    Watch watch;
};

} // namespace

TEST_CASE("a channel from outside may end a wait from there: time stands still meanwhile [b124]") {
    each_workers([] {
        const auto inside = [](const std::function<void()>& fn, const std::function<void()>& outside) {
            weir::after_func(1ms, outside); // by the real clock
            weir::synctest::test([&] {
                const TimeStandsStill check;
                fn();
            });
        };
        weir::chan<int> never;
        weir::chan<int> c;
        inside([&] { CHECK(c.recv() == 5); }, [c] { c << 5; }); // receive a value
        inside([&] { c << 6; }, [c] { c.recv(); }); // send
        inside([&] { weir::select(recv(c), recv(never)); }, [c] { c << 7; }); // select outside only
        inside([&] { weir::select(recv(c), recv(weir::chan<int>())); }, [c] { c << 8; }); // select mixed
        inside([&] { CHECK(weir::select(recv(c), weir::timeout(1h)) == 0); }, [c] { c << 9; }); // select with a timeout
        inside([&] { c.recv(); }, [c] { c.close(); }); // receive from a closed one
    });
}

TEST_CASE("a timer from outside goes by the real clock [b124]") {
    each_workers([] {
        const auto begun = Clock::now();
        weir::Timer t(5ms);
        weir::synctest::test([&] {
            const Watch watch;
            t.c().recv();
            CHECK(watch.elapsed() == 0s);
        });
        CHECK(Clock::now() - begun >= 5ms);
        CHECK(!t.stop());
    });
}

TEST_CASE("waiting for a mutex is not durable [b124]") {
    each_workers([] {
        weir::Mutex mu;
        mu.lock();
        weir::after_func(5ms, [&] { mu.unlock(); });
        weir::synctest::test([&] {
            const TimeStandsStill check;
            const std::lock_guard lock(mu);
        });
    });
}

TEST_CASE("a mutex held by a sleeper stops the bubble's time, and with it all [b61, b124]") {
    for (int n : {1, 2, 4}) {
        const Death child = dies([n] {
            return weir::run(weir::Options{.max_procs = n}, [] {
                weir::synctest::test([] {
                    weir::Mutex mu;
                    weir::go([&] {
                        const std::lock_guard lock(mu);
                        weir::sleep(1s);
                    });
                    wait();
                    mu.lock();
                });
            });
        });
        CHECK(child.status == 2);
        CHECK(starts_with(child.err, "fatal error: all goroutines are asleep - deadlock!\n"));
        CHECK(contains(child.err, "[sleep (durable), synctest bubble "));
        CHECK(contains(child.err, "[sync.Mutex.Lock, synctest bubble "));
        CHECK(contains(child.err, "[synctest.Run (durable), synctest bubble "));
    }
}

TEST_CASE("blocking calls and yields are not durable [b124]") {
    bubble([] {
        const TimeStandsStill check;
        weir::blocking([] { ::usleep(2000); });
        weir::lock_os_thread();
        for (int i = 0; i < 3; ++i) weir::yield();
        weir::unlock_os_thread();
    });
}

TEST_CASE("a fiber tied to its OS thread sleeps and waits by the bubble's clock [b124]") {
    bubble([] {
        weir::lock_os_thread();
        const auto thread = std::this_thread::get_id();
        const Watch watch;
        weir::chan<int> c;
        weir::go([&] {
            weir::lock_os_thread(); // and never unlocks
            weir::sleep(1s);
            c << 1;
        });
        CHECK(c.recv() == 1);
        weir::sleep(1s);
        wait();
        CHECK(watch.elapsed() == 2s);
        CHECK(std::this_thread::get_id() == thread);
        weir::unlock_os_thread();
    });
}

TEST_CASE("sockets are not durable, and their deadlines last as long on the real clock [b117, b124]") {
    bubble([] {
        const TimeStandsStill check;
        const auto begun = Clock::now();
        auto [ln, err] = weir::net::listen("tcp", "127.0.0.1:0");
        REQUIRE(!err);
        auto [client, dial_err] = weir::net::dial("tcp", ln.addr().string());
        REQUIRE(!dial_err);
        auto [server, accept_err] = ln.accept();
        REQUIRE(!accept_err);
        std::array<std::byte, 8> buf;
        server.set_read_deadline(weir::now() + 5ms);
        auto [n, read_err] = server.read(buf);
        CHECK(read_err.message().find("i/o timeout") != std::string::npos);
        CHECK(Clock::now() - begun >= 5ms);
        server.set_read_deadline(weir::now());
        CHECK(server.read(buf).second.timeout());
        server.set_read_deadline({});
        weir::go([&, client = client] { client.write(std::string("hello")); });
        CHECK(server.read(buf).first == 5);
        client.close(), server.close(), ln.close();
    });
}

TEST_CASE("waiting for a Cond is durable [b78, b124]") {
    bubble([] {
        weir::Mutex mu;
        weir::Cond cond(mu);
        const Watch watch;
        weir::go([&] {
            weir::sleep(1ms);
            mu.lock(), cond.signal(), mu.unlock();
            weir::sleep(1ms);
            mu.lock(), cond.broadcast(), mu.unlock();
        });
        mu.lock();
        cond.wait();
        CHECK(watch.elapsed() == 1ms);
        bool other = false;
        weir::go([&] {
            const std::lock_guard lock(mu);
            cond.wait();
            other = true;
        });
        cond.wait();
        mu.unlock();
        wait();
        CHECK(other);
        CHECK(watch.elapsed() == 2ms);
    });
}

TEST_CASE("waiting for a WaitGroup, ErrGroup, Semaphore or shared call is durable [b71, b124]") {
    bubble([] {
        const Watch watch;
        weir::WaitGroup wg;
        wg.add(1);
        weir::go([&] {
            weir::sleep(1s);
            wg.done();
        });
        wg.wait();
        CHECK(watch.elapsed() == 1s);
        for (int i = 0; i < 100; ++i) wg.go([] {});
        wg.wait();

        auto [group, ctx] = weir::with_errgroup(weir::background());
        group.set_limit(2);
        for (int i = 0; i < 4; ++i) group.go([] { return weir::sleep(1s), weir::Error(); });
        CHECK(!group.wait());
        CHECK(watch.elapsed() == 3s);

        weir::Semaphore sem(1);
        CHECK(sem.try_acquire());
        weir::go([&] {
            weir::sleep(1s);
            sem.release();
        });
        CHECK(!sem.acquire(weir::background()));
        CHECK(watch.elapsed() == 4s);
        auto [timed, cancel] = weir::with_timeout(weir::background(), 1s);
        CHECK(sem.acquire(timed) == weir::kDeadlineExceeded);
        CHECK(watch.elapsed() == 5s);
        cancel();

        weir::SingleFlight<int, int> flight;
        const auto slow = [] { return weir::sleep(1s), 42; };
        weir::go([&] { flight.run(1, slow); });
        CHECK(flight.run(1, slow).value == 42);
        CHECK(watch.elapsed() == 6s);
    });
}

TEST_CASE("a WaitGroup belongs to where its count was raised first, until it is back at zero [b71, b124]") {
    constexpr const char* kMixed = "sync: WaitGroup.Add called from inside and outside synctest bubble";
    each_workers([&] {
        weir::WaitGroup outside;
        outside.add(1);
        weir::after_func(2ms, [&] { outside.done(); });
        weir::synctest::test([&] {
            const TimeStandsStill check;
            CHECK(panic_text([&] { outside.add(1); }) == kMixed);
            outside.wait(); // not durable
        });
        weir::WaitGroup wg;
        for (int i = 0; i < 2; ++i) {
            weir::synctest::test([&] {
                wg.add(1);
                weir::go([&] { wg.wait(); });
                wait();
                wg.done();
            });
        }
        weir::synctest::test([&] { wg.add(1); });
        weir::synctest::test([&] { CHECK(panic_text([&] { wg.add(1); }) == "sync: WaitGroup.Add called from multiple synctest bubbles"); });
        wg.done();
        wg.add(1);
        wg.done();
        wg.wait();
    });
}

TEST_CASE("a context from outside is not the bubble's, whoever asks for its channel first [b124]") {
    each_workers([] {
        auto [outside, cancel] = weir::with_cancel(weir::background());
        weir::after_func(2ms, [cancel = cancel] { cancel(); });
        weir::synctest::test([&, outside = outside] {
            const TimeStandsStill check;
            outside.done().recv();
        });
        // What has ended with its bubble may be ended from outside.
        weir::CancelFunc late;
        weir::synctest::test([&] {
            auto [ctx, cancel_inside] = weir::with_timeout(weir::background(), 1h);
            ctx.done();
            late = cancel_inside;
        });
        late();
    });
}
