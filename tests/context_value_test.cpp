#include "context_fixture.h"

#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <weir/waitgroup.h>

TEST_SUITE_BEGIN("context");

namespace {

enum class Key1 { One = 1 };
enum class Key2 { One = 1, Three = 3 }; // the same number as Key1::One, another type; the same type, another number
std::ostream& operator<<(std::ostream& out, Key2 key) { return out << "Key2(" << static_cast<int>(key) << ")"; }

struct UserKey {
    using Value = std::string;
};
struct Tag {};
struct NeverDefined;
struct Session {
    int id;
};

} // namespace

TEST_CASE("keys match by type and by value, and a null value hides the parent's [b89]") {
    each_workers([] {
        auto text = [](const Context& ctx, auto key) {
            const auto* found = ctx.value(key).template as<std::string>();
            return found != nullptr ? *found : std::string();
        };
        auto check = [&](const Context& ctx, const char* v1, const char* v2, const char* v3) {
            CHECK(text(ctx, Key1::One) == v1);
            CHECK(text(ctx, Key2::One) == v2);
            CHECK(text(ctx, Key2::Three) == v3);
        };
        const Context c0 = weir::background();
        check(c0, "", "", "");
        const Context c1 = weir::with_value(c0, Key1::One, "c1k1");
        check(c1, "c1k1", "", "");
        const Context c2 = weir::with_value(c1, Key2::One, "c2k2");
        check(c2, "c1k1", "c2k2", "");
        const Context c3 = weir::with_value(c2, Key2::Three, std::string("c3k3"));
        check(c3, "c1k1", "c2k2", "c3k3");
        const Context c4 = weir::with_value(c3, Key1::One, nullptr);
        check(c4, "", "c2k2", "c3k3");
        CHECK_FALSE(c4.value(Key1::One));
        check(c1, "c1k1", "", "");
        // [b86] keys and values show as Go prints them: by their text, or by their type.
        CHECK(contains(c4.string(), "context.Background.WithValue("));
        CHECK(contains(c4.string(), "Key1, c1k1).WithValue(Key2(1), c2k2).WithValue(Key2(3), c3k3).WithValue("));
        CHECK(contains(c4.string(), "Key1, <nil>)"));
        // [b94] and through contexts of a user's own
        const Context o3 = embedding(c4);
        check(o3, "", "c2k2", "c3k3");
        const Context o4 = weir::with_value(o3, Key2::Three, nullptr);
        check(o4, "", "c2k2", "");
    });
}

TEST_CASE("with_value<Key>: a type names the value [b89]") {
    each_workers([] {
        const Context base = weir::background();
        const Context user = weir::with_value<UserKey>(base, "ann");
        CHECK(*user.value<UserKey>() == "ann");
        CHECK(base.value<UserKey>() == nullptr);
        CHECK(user.value<Session>() == nullptr);
        const Context session = weir::with_value<Session>(user, Session{7});
        CHECK(session.value<Session>()->id == 7);
        CHECK(*session.value<UserKey>() == "ann");
        const Context hidden = weir::with_value<UserKey>(session, nullptr);
        CHECK(hidden.value<UserKey>() == nullptr);
        const Context tagged = weir::with_value<Tag>(base, 42);
        CHECK(*tagged.value<Tag>().as<int>() == 42);
        CHECK(tagged.value<Tag>().as<long>() == nullptr);
        CHECK(*tagged.value(Tag{}).as<int>() == 42); // an object of an empty type is its type
        const Context never = weir::with_value<NeverDefined>(base, "text");
        CHECK(*never.value<NeverDefined>().as<std::string>() == "text");
        CHECK(*weir::with_value(base, "key", "v").value("key").as<std::string>() == "v");
        CHECK(weir::with_value(base, std::string_view("key"), "v").value(std::string("key")));
        CHECK(weir::with_value(base, std::string("key"), "v").value(std::string_view("key")));
        CHECK_FALSE(weir::with_value(base, "key", "v").value("other"));
        CHECK_FALSE(weir::with_value(base, 1, "v").value(1L)); // another type
        CHECK(contains(never.string(), "NeverDefined, text)"));
    });
}

TEST_CASE("a long chain of values needs no stack") {
    each_workers([] {
        auto [root, cancel] = weir::with_cancel(weir::with_value<Tag>(weir::background(), 1));
        Context ctx = root;
        for (int i = 0; i < 20000; ++i) ctx = weir::with_value<int>(ctx, i);
        CHECK(*ctx.value<Tag>().as<int>() == 1);
        CHECK(*ctx.value<int>() == 19999);
        std::vector<weir::CancelFunc> cancels;
        for (int i = 0; i < 20000; ++i) {
            auto [next, next_cancel] = weir::with_cancel(ctx);
            cancels.push_back(next_cancel);
            ctx = next;
        }
        cancel();
        CHECK(ctx.err() == weir::kCanceled);
        cancels.clear();
        ctx = weir::background(); // destroys the chain
    });
}

TEST_CASE("without_cancel keeps the values and nothing else [b92]") {
    each_workers([] {
        auto [parent, cancel] = weir::with_timeout(weir::with_value<UserKey>(weir::background(), "ann"), 1h);
        const Context free = weir::without_cancel(parent);
        cancel();
        CHECK(free.done() == weir::nil);
        CHECK_FALSE(free.err());
        CHECK_FALSE(weir::cause(free));
        CHECK_FALSE(free.deadline());
        CHECK(*free.value<UserKey>() == "ann");
        auto [child, cancel_child] = weir::with_cancel(free);
        CHECK_FALSE(child.err());
        cancel_child();
        CHECK(child.err() == weir::kCanceled);
    });
}

TEST_CASE("a custom parent with a done channel of its own propagates [b94]") {
    each_workers([] {
        {
            auto [parent, own] = custom();
            auto [child, cancel] = weir::with_cancel(parent);
            auto [below, cancel_below] = weir::with_timeout(weir::with_value<int>(child, 1), 1h);
            CHECK_FALSE(child.err());
            own->finish();
            CHECK(done_within(child));
            CHECK(child.err() == weir::kCanceled);
            CHECK(done_within(below));
            CHECK(below.err() == weir::kCanceled);
            auto [after, cancel_after] = weir::with_cancel(parent);
            CHECK(is_done(after));
        }
        { // cancelling the child ends the fiber that waits for the parent
            auto [parent, own] = custom();
            auto [child, cancel] = weir::with_cancel(parent);
            cancel();
            CHECK(all_gone());
            CHECK_FALSE(parent.err());
        }
        { // the reason comes from the context that the custom one embeds
            const Error reason("reason");
            auto [inner, cancel_inner] = weir::with_cancel_cause(weir::background());
            auto [parent, own] = custom(inner);
            auto [child, cancel] = weir::with_cancel(parent);
            cancel_inner(reason);
            CHECK_FALSE(is_done(child)); // not bypassed: the custom context has not ended
            own->finish();
            CHECK(done_within(child));
            CHECK(weir::cause(child) == reason);
        }
    });
}

// Go's TestCustomContextAfterFunc*, and TestCause's after_func.
TEST_CASE("a custom parent that calls functions itself needs no fiber [b94]") {
    each_workers([] {
        const Error reason("reason");
        auto base = std::make_unique<Calling>();
        Calling& own = *base;
        const Context parent(std::move(base));
        { // the child ends with it, whatever its kind
            auto [child, cancel] = weir::with_cancel(parent);
            auto [timed, cancel_timed] = weir::with_timeout(weir::with_value<int>(parent, 1), 1h);
            weir::chan<void> ran(1);
            auto stop = weir::after_func(parent, [ran] { ran.send(); });
            CHECK(weir::num_fibers() == 1);
            CHECK(own.registered() == 3);
            CHECK_FALSE(child.err());
            { // who ends earlier takes itself off
                auto [early, cancel_early] = weir::with_cancel(parent);
                auto never = weir::after_func(parent, [] { FAIL("after stop"); });
                CHECK(own.registered() == 5);
                cancel_early();
                CHECK(own.registered() == 4);
                CHECK(never());
                CHECK_FALSE(never());
                CHECK(own.registered() == 3);
                auto [late, cancel_late] = weir::with_timeout(parent, 1ms);
                CHECK(done_within(late));
                CHECK(late.err() == weir::kDeadlineExceeded);
                CHECK(eventually([&] { return own.registered() == 3; }));
                CHECK_FALSE(parent.err());
            }
            own.finish(reason);
            CHECK(done_within(child));
            CHECK(child.err() == reason);
            CHECK(weir::cause(child) == reason);
            CHECK(done_within(timed));
            ran.recv();
            CHECK_FALSE(stop());
        }
        auto [after, cancel_after] = weir::with_cancel(parent);
        CHECK(is_done(after));
        CHECK(after.err() == reason);
        CHECK(all_gone());
    });
}

TEST_CASE("a custom parent that calls functions ends while children come and go [b94][stress]") {
    each_workers([] {
        for (std::size_t round = 0; round < stress(200); ++round) {
            auto base = std::make_unique<Calling>();
            Calling& own = *base;
            const Context parent(std::move(base));
            weir::WaitGroup wg;
            for (int i = 0; i < 4; ++i) {
                wg.go([&, i] {
                    auto [child, cancel] = weir::with_timeout(parent, 20us);
                    auto [below, cancel_below] = weir::with_cancel(parent);
                    if (i % 2 == 0) cancel();
                    CHECK(done_within(below));
                    CHECK(done_within(child));
                });
            }
            wg.go([&] { own.finish(weir::kCanceled); });
            wg.wait();
            CHECK(own.registered() == 0);
        }
        CHECK(all_gone());
    });
}

TEST_CASE("no context has a fiber, save one below a custom done channel [b94]") {
    each_workers([] {
        auto [c1, cancel1] = weir::with_cancel(weir::background());
        auto [c2, cancel2] = weir::with_cancel(embedding(c1));
        auto [c3, cancel3] = weir::with_timeout(embedding(weir::with_value<int>(c2, 1)), 1h);
        auto stop = weir::after_func(c3, [] {});
        CHECK(weir::num_fibers() == 1);
        auto [parent, own] = custom(c3);
        auto [c4, cancel4] = weir::with_cancel(parent);
        CHECK(weir::num_fibers() == 2);
        auto [c5, cancel5] = weir::with_timeout(c4, 1min);
        CHECK(weir::num_fibers() == 2);
        stop();
        cancel4();
        CHECK(all_gone());
        cancel1();
        auto [c6, cancel6] = weir::with_cancel(c3);
        CHECK(is_done(c6));
        CHECK(weir::num_fibers() == 1);
    });
}

TEST_SUITE_END();
