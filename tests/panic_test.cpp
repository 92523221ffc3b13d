// panic, defer, recover, frame, catch_panic, goexit: Go's rules, on every fiber and on plain threads.
#include "fixture.h"

#include <atomic>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <weir/chan.h>
#include <weir/defer.h>
#include <weir/select.h>

enum MyInt : int {};

struct Coded {
    int code = 0;
    std::string message() const { return "code " + std::to_string(code); }
};

struct Streamed {
    int x = 0;
    friend std::ostream& operator<<(std::ostream& out, const Streamed& s) { return out << "x=" << s.x; }
};

struct Plain {
    int x = 0;
};

struct Unprintable {
    std::string message() const { weir::panic("printing fails"); }
};

TEST_SUITE_BEGIN("panic");

namespace {

/// report runs fn in a fiber of a child process and returns how that ended.
template <typename Fn>
Death report(weir::PanicPolicy policy, Fn fn) {
    return dies([&] {
        return weir::run(weir::Options{.max_procs = 2, .panic_policy = policy, .drain = true}, [&] {
            weir::defer main_defer{[] { std::fputs("main's defer\n", stderr); }};
            weir::go([fn] { fn(); });
            weir::sleep(policy == weir::PanicPolicy::Crash ? 30s : 1ms);
        });
    });
}

template <typename Fn>
Death contained(Fn fn) {
    return report(weir::PanicPolicy::Contain, fn);
}
template <typename Fn>
Death crashed(Fn fn) {
    return report(weir::PanicPolicy::Crash, fn);
}

} // namespace

TEST_CASE("defers run last in, first out; a loop's print 9876543210 [b37]") {
    each_workers([] {
        std::string order;
        {
            weir::defer a{[&] { order += 'a'; }};
            weir::defer b{[&] { order += 'b'; }};
            WEIR_DEFER { order += 'c'; };
        }
        CHECK(order == "cba");
        std::string digits;
        const std::function<void(int)> loop = [&](int i) {
            if (i == 10) return;
            weir::defer d{[&digits, i] { digits += std::to_string(i); }};
            loop(i + 1);
        };
        loop(0);
        CHECK(digits == "9876543210");
    });
}

TEST_CASE("captures by value are taken at the defer, and only reached defers run [b37]") {
    each_workers([] {
        int at_defer = 0, at_end = 0;
        bool unreached = false;
        [&] {
            int x = 1;
            weir::defer early{[x, &at_defer] { at_defer = x; }};
            weir::defer late{[&x, &at_end] { at_end = x; }};
            x = 2;
            if (x == 2) return;
            weir::defer never{[&] { unreached = true; }};
        }();
        CHECK(at_defer == 1);
        CHECK(at_end == 2);
        CHECK_FALSE(unreached);
    });
}

TEST_CASE("recover and set the result: the result; recover alone: the zero result [b38]") {
    each_workers([] {
        const auto with_result = [] {
            int result = 1;
            weir::frame([&] {
                weir::defer d{[&] {
                    if (weir::recover()) result = 99;
                }};
                weir::panic("x");
            });
            return result;
        };
        CHECK(with_result() == 99);
        const int zero = weir::frame([]() -> int {
            weir::defer d{[] { weir::recover(); }};
            weir::panic("x");
        });
        CHECK(zero == 0);
        const std::string empty = weir::frame([]() -> std::string {
            weir::defer d{[] { weir::recover(); }};
            weir::panic("x");
        });
        CHECK(empty.empty());
        CHECK(weir::frame([] { return 5; }) == 5);
    });
}

TEST_CASE("deferring a null function panics when it runs, not when it is deferred [b39]") {
    each_workers([] {
        bool reached = false;
        const auto text = panic_text([&] {
            std::function<void()> nothing;
            weir::defer d{nothing};
            reached = true;
        });
        CHECK(reached);
        CHECK(text == "runtime error: invalid memory address or nil pointer dereference");
    });
}

TEST_CASE("crash policy: the fiber's defers, Go's report, status 2, and no defer of main [b40]") {
    const auto child = crashed([] {
        weir::defer d{[] { std::fputs("fiber's defer\n", stderr); }};
        weir::panic("the end");
    });
    CHECK(child.status == 2);
    CHECK_MESSAGE(contains(child.err, "fiber's defer\npanic: the end\n\ngoroutine "), child.err);
    CHECK_MESSAGE(contains(child.err, " [running]:\n"), child.err);
    CHECK_MESSAGE(contains(child.err, "panic_test.cpp:"), child.err);
    CHECK_MESSAGE(contains(child.err, "created by "), child.err);
    CHECK_FALSE(contains(child.err, "main's defer"));
}

TEST_CASE("contain policy: the same report, and everything else goes on [b40]") {
    const auto child = contained([] {
        weir::defer d{[] { std::fputs("fiber's defer\n", stderr); }};
        weir::panic("the end");
    });
    CHECK(child.status == 0);
    CHECK_MESSAGE(contains(child.err, "panic: the end\n\ngoroutine "), child.err);
    CHECK_MESSAGE(contains(child.err, "panic_test.cpp:"), child.err);
    CHECK_MESSAGE(contains(child.err, "created by "), child.err);
    CHECK(contains(child.err, "fiber's defer"));
    CHECK(contains(child.err, "main's defer"));
    CHECK(count_of(child.err, "panic: ") == 1);
}

TEST_CASE("the policy comes from go's option, then run's, then WEIR_PANIC") {
    const auto by_go = dies([] {
        return weir::run(weir::Options{.max_procs = 1, .panic_policy = weir::PanicPolicy::Contain}, [] {
            weir::go({.panic_policy = weir::PanicPolicy::Crash}, [] { weir::panic("alone"); });
            weir::sleep(30s);
        });
    });
    CHECK(by_go.status == 2);
    const auto by_variable = dies([] {
        ::setenv("WEIR_PANIC", "crash", 1);
        return weir::run([] {
            weir::go([] { weir::panic("alone"); });
            weir::sleep(30s);
        });
    });
    CHECK(by_variable.status == 2);
    const auto by_run = dies([] {
        ::setenv("WEIR_PANIC", "crash", 1);
        return weir::run(weir::Options{.panic_policy = weir::PanicPolicy::Contain, .drain = true}, [] {
            weir::go([] { weir::panic("alone"); });
            return 4;
        });
    });
    CHECK(by_run.status == 4);
    CHECK(contains(by_run.err, "panic: alone"));
}

TEST_CASE("an uncaught panic of main ends run with status 2, after main's defers") {
    const auto child = dies([] {
        const int status = weir::run([] {
            weir::defer d{[] { std::fputs("main's defer\n", stderr); }};
            weir::panic("in main");
        });
        std::fprintf(stderr, "run returned %d\n", status);
        return 7;
    });
    CHECK_MESSAGE(child.status == 7, child.err);
    CHECK(contains(child.err, "main's defer"));
    CHECK(contains(child.err, "panic: in main\n\ngoroutine "));
    CHECK(contains(child.err, "run returned 2"));
}

TEST_CASE("what is printed after panic: text, numbers, errors, custom types; later lines behind a tab [b41]") {
    const auto child = contained([] {
        const auto fails = [](auto value) { weir::go([value] { weir::panic(value); }); };
        fails("text");
        fails(std::string("a string"));
        fails(42);
        fails(-7LL);
        fails(true);
        fails(static_cast<MyInt>(93));
        fails(Coded{17});
        fails(std::out_of_range("out of range it is"));
        fails(Streamed{3});
        fails(Plain{});
        fails("first line\nsecond line");
        weir::go([] { throw std::runtime_error("a C++ exception"); });
        weir::go([] { throw 5; });
    });
    CHECK(child.status == 0);
    for (const char* text : {"panic: text\n", "panic: a string\n", "panic: 42\n", "panic: -7\n", "panic: true\n",
                             "panic: MyInt(93)\n", "panic: code 17\n", "panic: out of range it is\n", "panic: Streamed(x=3)\n",
                             "panic: (Plain) 0x", "panic: first line\n\tsecond line\n", "a C++ exception\n"}) {
        CHECK_MESSAGE(contains(child.err, text), text, child.err);
    }
    CHECK(count_of(child.err, "panic: ") == 13);
    CHECK(count_of(child.err, " [running]:\n") == 13);
}

TEST_CASE("a value whose printing panics is reported without recursion [b42]") {
    const auto child = contained([] { weir::panic(Unprintable{}); });
    CHECK(child.status == 0);
    CHECK_MESSAGE(contains(child.err, "panic while printing panic value: printing fails"), child.err);
}

TEST_CASE("recover returns the identical value; a second one nothing; without a panic nothing [b43]") {
    each_workers([] {
        CHECK_FALSE(weir::recover());
        auto value = std::make_shared<int>(3);
        bool first = false, second = true, later = true;
        weir::frame([&] {
            weir::defer outer{[&] { later = weir::recover().has_value(); }};
            weir::defer d{[&] {
                const auto panic = weir::recover();
                first = panic && panic->value<std::shared_ptr<int>>() == value;
                second = weir::recover().has_value();
            }};
            weir::panic(value);
        });
        CHECK(first);
        CHECK_FALSE(second);
        CHECK_FALSE(later);
        bool without = true;
        {
            weir::defer d{[&] { without = weir::recover().has_value(); }};
        }
        CHECK_FALSE(without);
        CHECK_FALSE(weir::recover());
    });
}

TEST_CASE("recover works anywhere under a running deferred call, and nowhere else [b44]") {
    each_workers([] {
        const auto helper = [] { return weir::recover(); };
        bool recovered = false;
        weir::frame([&] {
            weir::defer d{[&] { recovered = helper().has_value(); }};
            weir::panic(1);
        });
        CHECK(recovered);
        // A destructor that runs while the panic unwinds is not a deferred call.
        struct Destroyed {
            bool& saw;
            ~Destroyed() { saw = weir::recover().has_value(); }
        };
        bool saw = true;
        const auto text = panic_text([&] {
            Destroyed d{saw};
            weir::panic("goes on");
        });
        CHECK_FALSE(saw);
        CHECK(text == "goes on");
    });
}

TEST_CASE("a deferred call's own deferred calls see no panic of the outer one that is not theirs [b44]") {
    each_workers([] {
        bool inner_saw = false, outer_saw = false;
        weir::frame([&] {
            weir::defer d{[&] {
                {
                    // Runs at the end of this block without a new panic: the one that is unwinding is still current here.
                    weir::defer nested{[&] { inner_saw = weir::recover().has_value(); }};
                }
                outer_saw = weir::recover().has_value();
            }};
            weir::panic(1);
        });
        CHECK(inner_saw != outer_saw);
    });
}

TEST_CASE("after a recovery the frame's earlier defers still run, and its caller goes on [b45]") {
    each_workers([] {
        std::string order;
        weir::frame([&] {
            weir::defer first{[&] { order += "first "; }};
            weir::frame([&] {
                weir::defer earlier{[&] { order += "earlier "; }};
                weir::defer recovers{[&] {
                    if (weir::recover()) order += "recovered ";
                }};
                weir::defer later{[&] { order += "later "; }};
                weir::panic(1);
            });
            order += "caller ";
        });
        order += "end";
        CHECK(order == "later recovered earlier caller first end");
    });
}

TEST_CASE("recover never sees another fiber's panic [b46]") {
    each_workers([] {
        std::atomic<int> strangers{0}, own{0};
        weir::chan<void> panicking, looked;
        for (int i = 0; i < 10; ++i) {
            weir::go([&] {
                weir::frame([&] {
                    weir::defer d{[&] {
                        panicking.send();
                        looked.recv();
                        const auto panic = weir::recover();
                        if (panic && panic->fiber_id() == weir::this_fiber::id()) ++own;
                    }};
                    weir::panic("mine");
                });
            });
            weir::go([&] {
                weir::defer d{[&] {
                    if (weir::recover()) ++strangers;
                    looked.send();
                }};
                panicking.recv();
                if (weir::recover()) ++strangers;
            });
        }
        CHECK(all_gone());
        CHECK(strangers == 0);
        CHECK(own == 10);
    });
}

TEST_CASE("a deferred call recovers, panics anew and catches that itself: outer defers see nothing [b49]") {
    each_workers([] {
        int first = 0, second = 0;
        bool outer = true;
        weir::frame([&] {
            weir::defer last{[&] { outer = weir::recover().has_value(); }};
            weir::defer d{[&] {
                first = weir::recover()->value<int>();
                weir::frame([&] {
                    weir::defer nested{[&] { second = weir::recover()->value<int>(); }};
                    weir::panic(3);
                });
            }};
            weir::panic(2);
        });
        CHECK(first == 2);
        CHECK(second == 3);
        CHECK_FALSE(outer);
    });
}

TEST_CASE("a panic in a deferred call replaces the one that is unwinding, which stays in its chain") {
    each_workers([] {
        std::string seen;
        std::vector<std::string> replaced;
        weir::frame([&] {
            weir::defer d{[&] {
                const auto panic = weir::recover();
                seen = panic->message();
                for (const weir::Panic& p : panic->replaced()) replaced.push_back(p.message());
            }};
            weir::defer third{[] { weir::panic("three"); }};
            weir::defer second{[] { weir::panic("two"); }};
            weir::panic("one");
        });
        CHECK(seen == "three");
        CHECK(replaced == std::vector<std::string>{"one", "two"});
    });
}

TEST_CASE("a replaced panic is printed before the one that replaced it, as Go does") {
    const auto child = contained([] {
        weir::defer d{[] { weir::panic("second"); }};
        weir::panic("first");
    });
    CHECK_MESSAGE(contains(child.err, "panic: first\n\tpanic: second\n\ngoroutine "), child.err);
}

TEST_CASE("recovered and panicked again: the outer one gets the new value [b52]") {
    each_workers([] {
        const auto wraps = [] {
            weir::frame([] {
                weir::defer d{[] {
                    if (auto panic = weir::recover()) weir::panic("wrap: " + panic->message());
                }};
                weir::panic("bad");
            });
        };
        CHECK(panic_text(wraps) == "wrap: bad");
        CHECK(panic_text([] { weir::panic("again"); }) == "again");
    });
}

TEST_CASE("a panic after a recovered one prints alone [b52]") {
    const auto child = contained([] {
        weir::frame([] {
            weir::defer d{[] { weir::recover(); }};
            weir::panic("bad");
        });
        weir::panic("again");
    });
    CHECK_MESSAGE(contains(child.err, "panic: again\n\ngoroutine "), child.err);
    CHECK_FALSE(contains(child.err, "bad"));
}

TEST_CASE("panic(nullptr) recovers as a PanicNilError [b54]") {
    each_workers([] {
        const auto panic = weir::catch_panic([] { weir::panic(nullptr); });
        REQUIRE(panic);
        CHECK(panic->value<weir::PanicNilError>());
        CHECK(contains(panic->message(), "panic called with nil argument"));
    });
}

TEST_CASE("goexit runs all defers, and recover in them gives nothing [b55]") {
    each_workers([] {
        std::atomic<int> deferred{0}, recovered{0}, after{0};
        weir::go([&] {
            weir::defer outer{[&] {
                ++deferred;
                if (weir::recover()) ++recovered;
            }};
            weir::frame([&] {
                weir::defer inner{[&] {
                    ++deferred;
                    if (weir::recover()) ++recovered;
                }};
                weir::goexit();
            });
            ++after;
        });
        weir::go([&] {
            weir::catch_panic([] { weir::goexit(); });
            ++after;
        });
        CHECK(all_gone());
        CHECK(deferred == 2);
        CHECK(recovered == 0);
        CHECK(after == 0);
    });
}

TEST_CASE("a deferred call during goexit may panic and recover; the fiber still ends") {
    each_workers([] {
        std::atomic<int> recovered{0}, deferred{0}, after{0};
        weir::go([&] {
            weir::defer last{[&] { ++deferred; }};
            weir::defer d{[&] {
                weir::frame([&] {
                    weir::defer r{[&] {
                        if (weir::recover()) ++recovered;
                    }};
                    weir::panic("inside");
                });
            }};
            weir::goexit();
            ++after;
        });
        CHECK(all_gone());
        CHECK(recovered == 1);
        CHECK(deferred == 1);
        CHECK(after == 0);
    });
}

TEST_CASE("goexit during a panic recovers nothing but ends the fiber quietly, after its defers") {
    const auto child = contained([] {
        weir::defer last{[] { std::fputs("last defer\n", stderr); }};
        weir::defer d{[] {
            weir::recover();
            weir::goexit();
        }};
        weir::panic("not to be printed");
    });
    CHECK(child.status == 0);
    CHECK(contains(child.err, "last defer"));
    CHECK_FALSE(contains(child.err, "not to be printed"));
}

TEST_CASE("an uncaught panic in a defer during goexit is reported [b59]") {
    const auto child = contained([] {
        weir::defer d{[] { weir::panic("hello"); }};
        weir::goexit();
    });
    CHECK(child.status == 0);
    CHECK_MESSAGE(contains(child.err, "panic: hello\n"), child.err);
    const auto crash = crashed([] {
        weir::defer d{[] { weir::panic("hello"); }};
        weir::goexit();
    });
    CHECK(crash.status == 2);
    CHECK(contains(crash.err, "panic: hello\n"));
}

TEST_CASE("goexit on main: its defers run, the others go on, and at the end it is a deadlock [b60]") {
    const auto child = dies([] {
        return weir::run([] {
            weir::chan<void> left;
            weir::go([left] {
                left.recv();
                std::fputs("the other went on\n", stderr);
            });
            weir::defer d{[&] {
                std::fputs("main's defer\n", stderr);
                left.close();
            }};
            weir::goexit();
        });
    });
    CHECK(child.status == 2);
    CHECK_MESSAGE(
        contains(child.err, "main's defer\nthe other went on\nfatal error: no goroutines (main called goexit) - deadlock!"),
        child.err);
}

TEST_CASE("C++ exceptions are panics: recover and catch_panic see type, what() and exception_ptr") {
    each_workers([] {
        const auto caught = weir::catch_panic([] { throw std::out_of_range("index 7"); });
        REQUIRE(caught);
        CHECK(caught->kind() == weir::PanicKind::Exception);
        CHECK(contains(caught->message(), "index 7"));
        CHECK(contains(caught->type_name(), "out_of_range"));
        bool rethrown = false;
        try {
            std::rethrow_exception(caught->exception());
        } catch (const std::out_of_range& e) {
            rethrown = std::string(e.what()) == "index 7";
        }
        CHECK(rethrown);
        std::string message;
        weir::frame([&] {
            weir::defer d{[&] { message = weir::recover()->message(); }};
            throw std::runtime_error("thrown");
        });
        CHECK(message == "thrown");
    });
}

TEST_CASE("a panic crosses C++ code as an exception and runs destructors") {
    each_workers([] {
        auto counted = std::make_shared<int>(0);
        bool caught = false;
        try {
            const auto copy = counted;
            weir::panic("crosses");
        } catch (const std::exception& e) {
            caught = contains(e.what(), "crosses");
        }
        CHECK(caught);
        CHECK(counted.use_count() == 1);
        CHECK_FALSE(weir::recover());
        // Caught and thrown on by C++ code, it is still the same panic.
        CHECK(panic_text([] {
                  try {
                      weir::panic("again and again");
                  } catch (...) {
                      throw;
                  }
              }) == "again and again");
    });
}

TEST_CASE("a Panic tells its kind, its fiber, its stack and its value") {
    each_workers([] {
        const auto panic = weir::catch_panic([] { weir::panic(std::string("told")); });
        REQUIRE(panic);
        CHECK(panic->kind() == weir::PanicKind::User);
        CHECK(panic->fiber_id() == weir::this_fiber::id());
        CHECK(contains(panic->stack(), "panic_test.cpp:"));
        CHECK(panic->value<std::string>() == "told");
        CHECK_FALSE(panic->value<int>());
        CHECK(panic->recovered());
        CHECK(panic->replaced().empty());
        const std::string literal = weir::catch_panic([] { weir::panic("text"); })->value<std::string>();
        CHECK(literal == "text");
    });
}

TEST_CASE("a panic recovered by frame goes no further; an unrecovered one goes on up") {
    each_workers([] {
        std::string path;
        const auto text = panic_text([&] {
            weir::frame([&] {
                weir::defer d{[&] { path += "a"; }};
                weir::frame([&] {
                    weir::defer e{[&] { path += "b"; }};
                    weir::panic("up");
                });
                path += "never";
            });
            path += "never";
        });
        CHECK(text == "up");
        CHECK(path == "ba");
        CHECK_FALSE(weir::catch_panic([] {}));
        CHECK_FALSE(weir::catch_panic([] {
            weir::frame([] {
                weir::defer d{[] { weir::recover(); }};
                weir::panic("ends here");
            });
        }));
    });
}

TEST_CASE("an uncaught panic ends its fiber alone, is counted, and frees what the fiber held") {
    const auto child = dies([] {
        return weir::run(weir::Options{.max_procs = 2}, [] {
            const auto before = weir::panics_total();
            auto counted = std::make_shared<int>(0);
            for (int i = 0; i < 10; ++i) weir::go([counted] { weir::panic("contained"); });
            const bool ended = eventually([&] { return weir::num_fibers() == 1 && counted.use_count() == 1; });
            return ended && weir::panics_total() == before + 10 ? 0 : 1;
        });
    });
    CHECK(child.status == 0);
    CHECK(count_of(child.err, "panic: contained\n") == 10);
}

TEST_CASE("a deferred call may block on a channel and resume on another thread, then recover") {
    each_workers([] {
        weir::chan<int> c;
        std::atomic<int> good{0};
        const int n = static_cast<int>(stress(400));
        for (int i = 0; i < n; ++i) {
            weir::go([&, i] {
                weir::frame([&] {
                    weir::defer d{[&] {
                        const int got = c.recv();
                        weir::yield();
                        weir::sleep(1us);
                        const auto panic = weir::recover();
                        if (got >= 0 && panic && panic->value<int>() == i) ++good;
                    }};
                    weir::panic(i);
                });
                if (std::uncaught_exceptions() != 0) --good;
            });
        }
        for (int i = 0; i < n; ++i) c.send(i);
        CHECK(all_gone());
        CHECK(good == n);
    });
}

TEST_CASE("a channel closed by a defer while panicking is seen closed") {
    each_workers([] {
        weir::chan<int> c;
        weir::go([c] {
            weir::frame([&] {
                weir::defer r{[] { weir::recover(); }};
                weir::defer close{[&] { c.close(); }};
                c.send(1);
                weir::panic("gives up");
            });
        });
        int n = 0;
        for ([[maybe_unused]] int v : c) ++n;
        CHECK(n == 1);
    });
}

TEST_CASE("a panic's stack names the place that panicked, not the one that recovered") {
    each_workers([] {
        struct Named {
            __attribute__((noinline)) static void the_place_that_panics() {
                weir::panic("here");
                asm volatile("");
            }
        };
        const auto panic = weir::catch_panic([] { Named::the_place_that_panics(); });
        REQUIRE(panic);
        CHECK(contains(panic->stack(), "the_place_that_panics"));
    });
}

TEST_CASE("the stack of a C++ exception begins with the function that threw it") {
    each_workers([] {
        struct Named {
            __attribute__((noinline)) static void the_place_that_throws() {
                throw std::runtime_error("here");
                asm volatile("");
            }
        };
        const auto panic = weir::catch_panic([] { Named::the_place_that_throws(); });
        REQUIRE(panic);
        const std::string stack = panic->stack();
        CHECK_MESSAGE(contains(stack.substr(0, stack.find('\n')), "the_place_that_throws"), stack);
    });
}

TEST_CASE("panics, defers and frames work on plain threads") {
    CHECK(panic_text([] { weir::panic("outside any runtime"); }) == "outside any runtime");
    int result = 0;
    std::thread plain([&] {
        weir::frame([&] {
            weir::defer d{[&] { result = weir::recover()->value<int>(); }};
            weir::panic(12);
        });
    });
    plain.join();
    CHECK(result == 12);
}

TEST_SUITE_END();
