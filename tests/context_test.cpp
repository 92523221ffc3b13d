#include "context_fixture.h"

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <weir/defer.h>
#include <weir/waitgroup.h>

TEST_SUITE_BEGIN("context");

TEST_CASE("background and todo never end [b85][b86]") {
    each_workers([] {
        for (const Context& ctx : {weir::background(), weir::todo(), Context()}) {
            CHECK(ctx.done() == weir::nil);
            CHECK_FALSE(ctx.err());
            CHECK_FALSE(weir::cause(ctx));
            CHECK_FALSE(ctx.deadline());
        }
        CHECK(weir::background().string() == "context.Background");
        CHECK(weir::todo().string() == "context.TODO");
        CHECK(Context() == weir::background());
    });
}

TEST_CASE("the errors have Go's texts, and a deadline's is a time-out [b85]") {
    each_workers([] {
        auto [canceled, cancel] = weir::with_cancel(weir::background());
        cancel();
        CHECK(canceled.err() == weir::kCanceled);
        CHECK(canceled.err().message() == "context canceled");
        auto [late, cancel_late] = weir::with_timeout(weir::background(), 0s);
        CHECK(late.err() == weir::kDeadlineExceeded);
        CHECK(late.err().message() == "context deadline exceeded");
        CHECK(late.err().timeout());
        CHECK_FALSE(canceled.err().timeout());
    });
}

TEST_CASE("a context shows its chain [b86]") {
    each_workers([] {
        auto [c1, cancel1] = weir::with_cancel(weir::background());
        CHECK(c1.string() == "context.Background.WithCancel");
        auto [c2, cancel2] = weir::with_timeout(weir::background(), 1h);
        weir::defer d{cancel2};
        CHECK(starts_with(c2.string(), "context.Background.WithDeadline("));
        CHECK(contains(c2.string(), " +0000 UTC [59m"));
        CHECK(c2.string().back() == ')');
        auto [c3, cancel3] = weir::with_cancel(embedding(c1));
        CHECK(contains(c3.string(), "Embedding.WithCancel"));
        CHECK(weir::without_cancel(c1).string() == "context.Background.WithCancel.WithoutCancel");
    });
}

TEST_CASE("cancel is synchronous for all descendants, through embedding contexts too [b87][b94]") {
    each_workers([] {
        auto [c1, cancel1] = weir::with_cancel(weir::background());
        const Context o = embedding(c1);
        auto [c2, cancel2] = weir::with_cancel(o);
        auto [c3, cancel3] = weir::with_timeout(weir::with_value<int>(c2, 1), 1h);
        const std::vector<Context> all{c1, o, c2, c3};
        for (const Context& ctx : all) {
            CHECK(ctx.done() != weir::nil);
            CHECK_FALSE(ctx.err());
            CHECK_FALSE(is_done(ctx));
        }
        cancel1();
        for (const Context& ctx : all) {
            CHECK(is_done(ctx));
            CHECK(ctx.err() == weir::kCanceled);
        }
        cancel1();
        cancel2();
        CHECK(c2.err() == weir::kCanceled);
    });
}

TEST_CASE("cancelling a child leaves the parent alone [b87]") {
    each_workers([] {
        auto [parent, cancel_parent] = weir::with_cancel(weir::background());
        auto [child, cancel_child] = weir::with_cancel(parent);
        auto [sibling, cancel_sibling] = weir::with_cancel(parent);
        cancel_child();
        CHECK(is_done(child));
        CHECK(child.err() == weir::kCanceled);
        CHECK_FALSE(is_done(parent));
        CHECK_FALSE(parent.err());
        CHECK_FALSE(sibling.err());
        cancel_parent();
        CHECK(sibling.err() == weir::kCanceled);
    });
}

TEST_CASE("a child is unlinked when cancelled, or when nobody holds it: its values are gone [b87]") {
    each_workers([] {
        auto [parent, cancel_parent] = weir::with_cancel(weir::background());
        auto kept = std::make_shared<int>(1);
        {
            auto [child, cancel] = weir::with_cancel(weir::with_value<std::shared_ptr<int>>(parent, kept));
            CHECK(kept.use_count() == 2);
            cancel();
        }
        CHECK(kept.use_count() == 1);
        {
            auto [child, never_called] = weir::with_cancel(weir::with_value<std::shared_ptr<int>>(parent, kept));
            CHECK_FALSE(is_done(child));
        }
        CHECK(kept.use_count() == 1);
        {
            auto [child, cancel] = weir::with_timeout(weir::with_value<std::shared_ptr<int>>(parent, kept), 1h);
            cancel();
        }
        CHECK(kept.use_count() == 1);
        {
            auto [child, never_called] = weir::with_timeout(weir::with_value<std::shared_ptr<int>>(parent, kept), 1h);
            CHECK_FALSE(is_done(child));
        }
        CHECK(kept.use_count() == 1);
        weir::StopFunc stop = weir::after_func(parent, [kept] { FAIL_CHECK("ran after stop"); });
        CHECK(kept.use_count() == 2);
        CHECK(stop());
        CHECK(kept.use_count() == 1);
        cancel_parent();
    });
}

TEST_CASE("a done channel outlives the handles of its context, and is closed when the parent ends") {
    each_workers([] {
        auto [parent, cancel] = weir::with_cancel(weir::background());
        auto done = weir::with_cancel(parent).first.done();
        auto deep = weir::with_cancel(weir::with_value<int>(weir::with_cancel(parent).first, 1)).first.done();
        auto timed = weir::with_timeout(parent, 1ms).first.done();
        timed.recv();
        bool closed = true;
        weir::select(weir::recv(done), weir::recv(deep), weir::otherwise([&] { closed = false; }));
        CHECK_FALSE(closed);
        cancel();
        CHECK_FALSE(done.next());
        CHECK_FALSE(deep.next());
    });
}

TEST_CASE("a deadline ends the context and what is below it; a later cancel changes nothing [b88]") {
    each_workers([] {
        const auto begun = Clock::now();
        auto [ctx, cancel] = weir::with_timeout(weir::background(), 5ms);
        auto [child, cancel_child] = weir::with_cancel(ctx);
        auto [below_embedding, cancel3] = weir::with_timeout(embedding(ctx), 1h);
        CHECK(ctx.deadline().value() - begun >= 5ms);
        CHECK(done_within(ctx));
        CHECK(Clock::now() - begun >= 5ms);
        CHECK(ctx.err() == weir::kDeadlineExceeded);
        CHECK(done_within(child));
        CHECK(child.err() == weir::kDeadlineExceeded);
        CHECK(done_within(below_embedding));
        CHECK(below_embedding.err() == weir::kDeadlineExceeded);
        cancel(), cancel_child();
        CHECK(ctx.err() == weir::kDeadlineExceeded);
        CHECK(child.err() == weir::kDeadlineExceeded);
    });
}

TEST_CASE("a done parent or a past deadline ends the child at its creation; a later cancel changes nothing [b88]") {
    each_workers([] {
        auto [parent, cancel_parent] = weir::with_cancel_cause(weir::background());
        const Error reason("because");
        cancel_parent(reason);
        auto [child, cancel_child] = weir::with_cancel(parent);
        CHECK(is_done(child));
        CHECK(child.err() == weir::kCanceled);
        CHECK(weir::cause(child) == reason);
        auto [late, cancel_late] = weir::with_deadline(weir::background(), Clock::now() - 1s);
        CHECK(is_done(late));
        CHECK(late.err() == weir::kDeadlineExceeded);
        cancel_late();
        CHECK(late.err() == weir::kDeadlineExceeded);
        auto [now, cancel_now] = weir::with_deadline(weir::background(), std::chrono::system_clock::now());
        CHECK(done_within(now));
        CHECK(now.err() == weir::kDeadlineExceeded);
    });
}

TEST_CASE("the parent's earlier deadline wins [b88]") {
    each_workers([] {
        auto [parent, cancel_parent] = weir::with_timeout(weir::background(), 1h);
        auto [child, cancel_child] = weir::with_timeout(parent, 2h);
        CHECK(child.deadline() == parent.deadline());
        CHECK(contains(child.string(), ").WithCancel"));
        auto [earlier, cancel_earlier] = weir::with_timeout(parent, 1min);
        CHECK(earlier.deadline().value() < parent.deadline().value());
        cancel_parent();
        CHECK(child.err() == weir::kCanceled);
        CHECK(earlier.err() == weir::kCanceled);
    });
}

TEST_CASE("a maximal timeout never fires") {
    each_workers([] {
        auto [ctx, cancel] = weir::with_timeout(weir::background(), std::chrono::nanoseconds::max());
        auto [hours, cancel_hours] = weir::with_timeout(weir::background(), std::chrono::hours::max());
        CHECK_FALSE(ctx.err());
        CHECK_FALSE(hours.err());
        CHECK(starts_with(ctx.string(), "context.Background.WithDeadline("));
        cancel();
        CHECK(ctx.err() == weir::kCanceled);
    });
}

TEST_CASE("a context may outlive the run that made it") {
    Context ctx;
    weir::CancelFunc cancel;
    with_workers(2, [&] { std::tie(ctx, cancel) = weir::with_timeout(weir::background(), 1h); });
    CHECK_FALSE(ctx.err());
    cancel();
    CHECK(ctx.err() == weir::kCanceled);
    with_workers(2, [&] { std::tie(ctx, cancel) = weir::with_timeout(ctx, 1h); });
    CHECK(ctx.err() == weir::kCanceled);
}

TEST_CASE("cancel before the deadline gives kCanceled") {
    each_workers([] {
        auto [outer, cancel_outer] = weir::with_timeout(weir::background(), 1h);
        auto [ctx, cancel] = weir::with_timeout(embedding(outer), 2h);
        cancel();
        CHECK(is_done(ctx));
        CHECK(ctx.err() == weir::kCanceled);
        CHECK_FALSE(outer.err());
        cancel_outer();
    });
}

TEST_CASE("cause is the reason given first, else the error") {
    const Error parent_cause("parent cause"), child_cause("child cause"), too_slow("too slow"), early("finished early");
    each_workers([&] {
        CHECK_FALSE(weir::cause(weir::background()));
        {
            auto [ctx, cancel] = weir::with_cancel(weir::background());
            CHECK_FALSE(weir::cause(ctx));
            cancel();
            CHECK(weir::cause(ctx) == weir::kCanceled);
        }
        {
            auto [ctx, cancel] = weir::with_cancel_cause(weir::background());
            cancel(parent_cause);
            cancel(child_cause);
            CHECK(ctx.err() == weir::kCanceled);
            CHECK(weir::cause(ctx) == parent_cause);
            CHECK(weir::cause(weir::with_value<int>(ctx, 1)) == parent_cause);
        }
        {
            auto [ctx, cancel] = weir::with_cancel_cause(weir::background());
            cancel();
            CHECK(weir::cause(ctx) == weir::kCanceled);
        }
        for (const bool parent_first : {true, false}) {
            auto [parent, cancel_parent] = weir::with_cancel_cause(weir::background());
            auto [ctx, cancel_child] = weir::with_cancel_cause(parent);
            if (parent_first) cancel_parent(parent_cause);
            cancel_child(child_cause);
            cancel_parent(parent_cause);
            CHECK(ctx.err() == weir::kCanceled);
            CHECK(weir::cause(ctx) == (parent_first ? parent_cause : child_cause));
        }
        {
            auto [ctx, cancel] = weir::with_timeout_cause(weir::background(), 0s, too_slow);
            cancel();
            CHECK(ctx.err() == weir::kDeadlineExceeded);
            CHECK(weir::cause(ctx) == too_slow);
        }
        {
            auto [ctx, cancel] = weir::with_timeout_cause(weir::background(), 1h, too_slow);
            cancel();
            CHECK(ctx.err() == weir::kCanceled);
            CHECK(weir::cause(ctx) == weir::kCanceled);
        }
        {
            auto [ctx, cancel] = weir::with_deadline_cause(weir::background(), Clock::now() + 1ms, too_slow);
            CHECK(done_within(ctx));
            CHECK(weir::cause(ctx) == too_slow);
        }
        for (const auto timeout : {0s, 3600s}) {
            auto [parent, cancel_parent] = weir::with_cancel_cause(weir::background());
            auto [ctx, cancel] = weir::with_timeout_cause(parent, timeout, too_slow);
            cancel_parent(early);
            CHECK(ctx.err() == (timeout == 0s ? weir::kDeadlineExceeded : weir::kCanceled));
            CHECK(weir::cause(ctx) == (timeout == 0s ? too_slow : early));
        }
        {
            auto [ctx, cancel] = weir::with_cancel_cause(weir::background());
            const Context free = weir::without_cancel(ctx);
            cancel(early);
            CHECK_FALSE(free.err());
            CHECK_FALSE(weir::cause(free));
        }
    });
}

TEST_CASE("cause can be polled while another fiber cancels") {
    each_workers([] {
        const Error reason("reason");
        auto [ctx, cancel] = weir::with_cancel_cause(weir::background());
        weir::go([cancel = cancel, reason] { cancel(reason); });
        CHECK(eventually([&, ctx = ctx] { return static_cast<bool>(weir::cause(ctx)); }));
        CHECK(weir::cause(ctx) == reason);
    });
}

TEST_CASE("after_func runs once, on its own fiber, after the context has ended") {
    each_workers([] {
        {
            auto [ctx, cancel] = weir::with_cancel(weir::background());
            weir::chan<void> ran;
            auto stop = weir::after_func(ctx, [ran]() mutable { ran.close(); });
            weir::sleep(1ms);
            CHECK(weir::num_fibers() == 1);
            cancel();
            CHECK_FALSE(ran.next());
            CHECK_FALSE(stop());
        }
        {
            auto [ctx, cancel] = weir::with_timeout(weir::background(), 1ms);
            weir::chan<void> ran;
            weir::after_func(ctx, [ran]() mutable { ran.close(); }); // nobody keeps the StopFunc
            CHECK_FALSE(ran.next());
        }
        {
            auto [ctx, cancel] = weir::with_cancel(weir::background());
            cancel();
            weir::chan<void> ran;
            auto stop = weir::after_func(ctx, [ran, only_moved = std::make_unique<int>(1)]() mutable { ran.close(); });
            CHECK_FALSE(ran.next());
            CHECK_FALSE(stop());
        }
        {
            auto [ctx, cancel] = weir::with_cancel(weir::background());
            auto stop = weir::after_func(ctx, [] { FAIL_CHECK("ran after stop"); });
            CHECK(stop());
            CHECK_FALSE(stop());
            cancel();
            weir::after_func(weir::background(), [] { FAIL_CHECK("background ended"); });
        }
        {
            auto [parent, own] = custom();
            weir::chan<void> ran;
            auto stop = weir::after_func(parent, [ran]() mutable { ran.close(); });
            own->finish();
            CHECK_FALSE(ran.next());
            CHECK_FALSE(stop());
        }
    });
}

TEST_CASE("a fiber waiting for a child may cancel it while the parent ends") {
    each_workers([] {
        auto [parent, cancel_parent] = weir::with_cancel(weir::background());
        auto [child, cancel_child] = weir::with_cancel(parent);
        weir::go([done = parent.done(), cancel = cancel_child]() mutable {
            done.recv();
            cancel();
        });
        cancel_parent();
        CHECK(done_within(child));
    });
}

TEST_CASE("plain threads use contexts") {
    each_workers([] {
        auto [ctx, cancel] = weir::with_timeout(weir::background(), 1h);
        std::thread waiter([ctx = ctx] {
            ctx.done().recv();
            CHECK(ctx.err() == weir::kCanceled);
        });
        std::thread canceler([cancel = cancel] { cancel(); });
        weir::blocking([&] {
            waiter.join();
            canceler.join();
        });
        std::thread timed([] {
            auto [late, cancel_late] = weir::with_timeout(weir::background(), 1ms);
            late.done().recv();
            CHECK(late.err() == weir::kDeadlineExceeded);
        });
        weir::blocking([&] { timed.join(); });
    });
}

TEST_SUITE_END();
