#include "context_fixture.h"

#include <csignal>
#include <cstdio>

#include <weir/signal.h>
#include <weir/signal_context.h>

namespace {

/// send_self: to this thread, where TSan delivers a signal at once; elsewhere it would wait for a call that TSan knows.
void send_self(int signal) { ::raise(signal); }

/// by_default undoes what a shell does to SIGINT for what it runs in the background.
void by_default(int signal) { std::signal(signal, SIG_DFL); }

/// wait_to_be_killed ends only by a signal's default action.
[[noreturn]] void wait_to_be_killed() {
    for (;;) weir::sleep(1h);
}

} // namespace

TEST_SUITE_BEGIN("signal");

TEST_CASE("a signal comes as a value, to every channel that wants it") {
    each_workers([] {
        weir::chan<int> both(2), second(1);
        weir::signal_notify(both, SIGUSR1, SIGUSR2);
        weir::signal_notify(second, SIGUSR2);
        send_self(SIGUSR1);
        CHECK(both.recv() == SIGUSR1);
        send_self(SIGUSR2);
        CHECK(both.recv() == SIGUSR2);
        CHECK(second.recv() == SIGUSR2);
        weir::signal_stop(both);
        send_self(SIGUSR2);
        CHECK(second.recv() == SIGUSR2);
        CHECK_FALSE(both.try_recv());
        weir::signal_stop(second);
    });
}

TEST_CASE("a channel that asks twice gets a signal once") {
    each_workers([] {
        weir::chan<int> c(4);
        weir::signal_notify(c, SIGUSR1);
        weir::signal_notify(c, SIGUSR1, SIGUSR2);
        send_self(SIGUSR1);
        CHECK(c.recv() == SIGUSR1);
        send_self(SIGUSR2);
        CHECK(c.recv() == SIGUSR2);
        weir::signal_stop(c);
    });
}

TEST_CASE("misuse panics") {
    each_workers([] {
        CHECK(panic_text([] { weir::signal_notify(weir::chan<int>(weir::nil), SIGUSR1); }) == "os/signal: Notify using nil channel");
        weir::chan<int> c(1);
        CHECK(panic_text([&] { weir::signal_notify(c, SIGKILL); }) == "signal_notify: signal 9 cannot be caught");
        CHECK(panic_text([&] { weir::signal_notify(c, 1000); }) == "signal_notify: 1000 is not a signal");
    });
}

TEST_CASE("after signal_stop the default action is back") {
    const auto death = dies([] {
        weir::run([] {
            weir::chan<int> c(1);
            weir::signal_notify(c, SIGUSR1);
            send_self(SIGUSR1);
            c.recv();
            weir::signal_stop(c);
            send_self(SIGUSR1);
            wait_to_be_killed();
        });
    });
    CHECK(death.status == 128 + SIGUSR1);
}

TEST_CASE("signal_notify_context ends at the signal, which is the cause") {
    each_workers([] {
        auto [ctx, stop] = weir::signal_notify_context(weir::background(), SIGUSR1, SIGTERM);
        CHECK_FALSE(ctx.err());
        CHECK(ctx.string() == "signal.NotifyContext(context.Background, [user defined signal 1 terminated])");
        auto [below, cancel_below] = weir::with_cancel(ctx);
        CHECK(below.string() == ctx.string() + ".WithCancel");
        CHECK(weir::num_fibers() == 2); // the one that waits for the signal
        send_self(SIGTERM);
        ctx.done().recv();
        CHECK(ctx.err() == weir::kCanceled);
        CHECK(below.err() == weir::kCanceled);
        const Error why = weir::cause(ctx);
        CHECK(why.message() == "terminated signal received");
        REQUIRE(why.as<weir::SignalError>() != nullptr);
        CHECK(why.as<weir::SignalError>()->signal == SIGTERM);
        CHECK(why.is(weir::kCanceled));
        stop();
        CHECK(weir::cause(ctx) == why);
        CHECK(all_gone());
    });
}

TEST_CASE("stop ends the context, and so does the parent") {
    each_workers([] {
        auto [parent, cancel] = weir::with_cancel(weir::background());
        auto [stopped, stop] = weir::signal_notify_context(parent, SIGUSR1);
        auto [below, stop_below] = weir::signal_notify_context(parent, SIGUSR1);
        stop();
        CHECK(weir::cause(stopped) == weir::kCanceled);
        CHECK_FALSE(below.err());
        cancel();
        CHECK(below.err() == weir::kCanceled);
        CHECK(all_gone());
    });
}

TEST_CASE("the second SIGINT kills") {
    const auto death = dies([] {
        by_default(SIGINT);
        weir::run([] {
            auto [ctx, stop] = weir::signal_notify_context(weir::background(), SIGINT);
            send_self(SIGINT);
            ctx.done().recv();
            std::fputs(weir::cause(ctx).message().c_str(), stderr);
            send_self(SIGINT);
            wait_to_be_killed();
        });
    });
    CHECK(contains(death.err, "interrupt signal received"));
    CHECK(death.status == 128 + SIGINT);
}

TEST_CASE("after stop a signal kills at once") {
    const auto death = dies([] {
        by_default(SIGINT);
        weir::run([] {
            auto [ctx, stop] = weir::signal_notify_context(weir::background(), SIGINT);
            stop();
            send_self(SIGINT);
            wait_to_be_killed();
        });
    });
    CHECK(death.status == 128 + SIGINT);
}

TEST_SUITE_END();
