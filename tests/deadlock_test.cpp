// Deadlock: when nothing can ever run again, the process ends with Go's words and a dump of every fiber.
#include "fixture.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <thread>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir/chan.h>
#include <weir/defer.h>
#include <weir/detail/poll.h>
#include <weir/select.h>
#include <weir/ticker.h>

#include <weir/cond.h>
#include <weir/mutex.h>
#include <weir/once.h>
#include <weir/rwmutex.h>
#include <weir/waitgroup.h>

TEST_SUITE_BEGIN("deadlock");

namespace {

/// deadlocks runs fn as main fiber at 1, 2 and 4 workers in children, which must report a deadlock that lists `reason`.
void deadlocks(const std::string& reason, const std::function<void()>& fn) {
    for (int n : {1, 2, 4}) {
        const auto child = dies([&] {
            return weir::run(weir::Options{.max_procs = n}, [&] {
                weir::defer never{[] { std::fputs("a defer ran\n", stderr); }};
                // Not recoverable either.
                (void)weir::catch_panic(fn);
                std::fputs("went on\n", stderr);
            });
        });
        CHECK(child.status == 2);
        CHECK_MESSAGE(starts_with(child.err, "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine "), child.err);
        CHECK_MESSAGE(contains(child.err, " [" + reason + "]:\n"), "no [", reason, "] in: ", child.err);
        CHECK_MESSAGE(contains(child.err, "deadlock_test.cpp:"), child.err);
        CHECK_FALSE(contains(child.err, "a defer ran"));
        CHECK_FALSE(contains(child.err, "went on"));
    }
}

} // namespace

TEST_CASE("an empty select deadlocks [b61]") {
    deadlocks("select (no cases)", [] { weir::select(); });
}

TEST_CASE("receiving from a nil channel deadlocks [b61]") {
    deadlocks("chan receive (nil chan)", [] { weir::chan<int>(weir::nil).recv(); });
}

TEST_CASE("sending to a nil channel deadlocks [b61]") {
    deadlocks("chan send (nil chan)", [] { weir::chan<int>(weir::nil).send(1); });
}

TEST_CASE("receiving where nobody sends deadlocks [b61]") {
    deadlocks("chan receive", [] { weir::chan<int>().recv(); });
}

TEST_CASE("sending where nobody receives deadlocks [b61]") {
    deadlocks("chan send", [] {
        weir::chan<int> c(1);
        c.send(1);
        c.send(2);
    });
}

TEST_CASE("a select that nothing can end deadlocks [b61]") {
    deadlocks("select", [] {
        weir::chan<int> a, b;
        weir::select(weir::recv(a), weir::send(b, 1));
    });
}

TEST_CASE("timers that have been stopped or dropped hide no deadlock [b61]") {
    deadlocks("chan receive", [] {
        for (int i = 0; i < 300; ++i) {
            weir::Timer(1h).stop();
            weir::after(1min);
            weir::after_func(2min, [] {}).stop();
        }
        weir::chan<int>().recv();
    });
}

TEST_CASE("locking a mutex twice deadlocks [b61]") {
    deadlocks("sync.Mutex.Lock", [] {
        weir::Mutex mu;
        mu.lock();
        mu.lock();
    });
}

TEST_CASE("locking an RWMutex that is held deadlocks, for reading and for writing [b61]") {
    deadlocks("sync.RWMutex.Lock", [] {
        weir::RWMutex mu;
        mu.lock_shared();
        mu.lock();
    });
    deadlocks("sync.RWMutex.RLock", [] {
        weir::RWMutex mu;
        mu.lock();
        mu.lock_shared();
    });
}

TEST_CASE("a WaitGroup nobody ends deadlocks [b61]") {
    deadlocks("sync.WaitGroup.Wait", [] {
        weir::WaitGroup wg;
        wg.add(1);
        wg.wait();
    });
}

TEST_CASE("a Cond nobody signals deadlocks [b61]") {
    deadlocks("sync.Cond.Wait", [] {
        weir::Mutex mu;
        weir::Cond cond(mu);
        mu.lock();
        cond.wait();
    });
}

TEST_CASE("a Once inside itself deadlocks [b61]") {
    for (int n : {1, 2, 4}) {
        const auto child = dies([&] {
            return weir::run(weir::Options{.max_procs = n}, [] {
                weir::Once once;
                once.call([&] { once.call([] {}); });
            });
        });
        CHECK(child.status == 2);
        CHECK_MESSAGE(starts_with(child.err, "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine "), child.err);
    }
}

TEST_CASE("the report lists every fiber with its wait reason, its stack and where it was created [b61]") {
    const auto child = dies([] {
        return weir::run(weir::Options{.max_procs = 2}, [] {
            weir::chan<int> c;
            weir::Mutex mu;
            weir::WaitGroup wg;
            wg.add(1);
            mu.lock();
            weir::go([&] { c.send(1); });
            weir::go([&] { weir::select(); });
            weir::go([&] { mu.lock(); });
            weir::go({.name = "patient"}, [&] { wg.wait(); });
            weir::chan<int>().recv();
        });
    });
    CHECK(child.status == 2);
    for (const char* reason : {"chan send", "select (no cases)", "sync.Mutex.Lock", "sync.WaitGroup.Wait labels:{\"name\": \"patient\"}", "chan receive"}) {
        CHECK_MESSAGE(count_of(child.err, std::string(" [") + reason + "]:\n") == 1, reason, child.err);
    }
    CHECK_MESSAGE(count_of(child.err, "\ngoroutine ") == 5, child.err);
    CHECK_MESSAGE(count_of(child.err, "created by ") == 4, child.err);
}

TEST_CASE("two fibers that wait for each other deadlock although main has a defer and a mutex") {
    const auto child = dies([] {
        return weir::run(weir::Options{.max_procs = 4}, [] {
            weir::Mutex a, b;
            weir::WaitGroup wg;
            weir::chan<void> both;
            const auto cross = [&](weir::Mutex& first, weir::Mutex& second, bool leads) {
                first.lock();
                if (leads)
                    both.send();
                else
                    both.recv();
                second.lock();
            };
            wg.add(2);
            weir::go([&] { cross(a, b, true); });
            weir::go([&] { cross(b, a, false); });
            wg.wait();
        });
    });
    CHECK(child.status == 2);
    CHECK_MESSAGE(count_of(child.err, " [sync.Mutex.Lock]:\n") == 2, child.err);
}

TEST_CASE("a deadlock that comes only after a while of work is found") {
    const auto child = dies([] {
        return weir::run(weir::Options{.max_procs = 2}, [] {
            weir::chan<int> c;
            weir::go([c] {
                for (int i = 0; i < 1000; ++i) c.send(i);
            });
            weir::sleep(10ms);
            weir::blocking([] { ::usleep(1000); });
            for (;;) c.recv();
        });
    });
    CHECK(child.status == 2);
    CHECK_MESSAGE(starts_with(child.err, "fatal error: all goroutines are asleep - deadlock!"), child.err);
}

TEST_CASE("a pending timer, sleeper or ticker is no deadlock") {
    each_workers([] {
        weir::chan<int> c;
        weir::go([c] {
            weir::sleep(30ms);
            c.send(1);
        });
        CHECK(c.recv() == 1);
        CHECK(weir::after(20ms).recv() != weir::time_point{});
        weir::chan<void> fired;
        weir::after_func(20ms, [fired] { fired.close(); });
        fired.recv();
    });
}

TEST_CASE("a fiber in blocking or in an unannounced system call is no deadlock") {
    each_workers([] {
        weir::chan<int> c;
        weir::go([c] {
            weir::blocking([] { ::usleep(30000); });
            c.send(1);
        });
        CHECK(c.recv() == 1);
        weir::go([c] {
            ::usleep(30000);
            c.send(2);
        });
        CHECK(c.recv() == 2);
    });
}

TEST_CASE("a fiber parked on a descriptor prevents the report [b63]") {
    each_workers([] {
        int ends[2];
        REQUIRE(::pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
        weir::detail::PollDesc* pd = nullptr;
        REQUIRE(weir::detail::poll_open(ends[0], &pd) == 0);
        // The writer is another process, which this runtime cannot know of.
        const std::string script = "sleep 0.05; printf x >&" + std::to_string(::dup(ends[1]));
        const char* argv[] = {"sh", "-c", script.c_str(), nullptr};
        pid_t child = 0;
        REQUIRE(::posix_spawn(&child, "/bin/sh", nullptr, nullptr, const_cast<char**>(argv), environ) == 0);
        ::close(std::stoi(script.substr(script.rfind('&') + 1)));
        ::close(ends[1]);
        CHECK(weir::detail::poll_prepare(pd, weir::detail::PollMode::Read) == weir::detail::PollResult::Ready);
        char c;
        while (::read(ends[0], &c, 1) != 1) {
            CHECK(weir::detail::poll_wait(pd, weir::detail::PollMode::Read) == weir::detail::PollResult::Ready);
            CHECK(weir::detail::poll_prepare(pd, weir::detail::PollMode::Read) == weir::detail::PollResult::Ready);
        }
        CHECK(c == 'x');
        weir::detail::poll_close(pd);
        ::close(ends[0]);
        CHECK(weir::blocking([&] { return ::waitpid(child, nullptr, 0); }) == child);
    });
}

TEST_CASE("a plain thread that holds a channel prevents the report [b63]") {
    each_workers([] {
        weir::chan<int> c;
        std::thread plain([c] {
            ::usleep(50000);
            c.send(1);
        });
        CHECK(c.recv() == 1);
        weir::blocking([&] { plain.join(); });
    });
}

TEST_CASE("once the last plain thread has ended without a word the deadlock is reported [b63]") {
    deadlocks("chan receive", [] {
        weir::chan<int> c;
        std::thread([c] { ::usleep(50000); }).detach();
        c.recv();
    });
}

TEST_CASE("a deadlock is found too when the plain thread outlasts the first looks [b63]") {
    const auto child = dies([] {
        return weir::run(weir::Options{.max_procs = 2}, [] {
            weir::chan<int> c;
            std::thread([c] { ::sleep(2); }).detach();
            c.recv();
        });
    });
    CHECK(child.status == 2);
    CHECK_MESSAGE(starts_with(child.err, "fatal error: all goroutines are asleep - deadlock!"), child.err);
}

TEST_SUITE_END();
