// fiber_local: values of each fiber.
#include "fixture.h"

#include <atomic>
#include <string>

#include <weir/fiber_local.h>

TEST_SUITE_BEGIN("fiber");

TEST_CASE("fiber_local: each fiber has its own value, kept across parks") {
    static weir::fiber_local<int> number;
    static weir::fiber_local<std::string> text;
    each_workers([] {
        *number = -1;
        for (int i = 0; i < 100; ++i) {
            weir::go([i] {
                CHECK(*number == 0);
                CHECK(text->empty());
                *number = i;
                *text = "fiber " + std::to_string(i);
                for (int j = 0; j < 10; ++j) weir::yield();
                weir::sleep(1ms);
                CHECK(*number == i);
                CHECK(*text == "fiber " + std::to_string(i));
            });
        }
        CHECK(all_gone());
        CHECK(*number == -1);
    });
}

TEST_CASE("fiber_local values are destroyed with their fiber") {
    static std::atomic<int> alive;
    struct Counted {
        Counted() { ++alive; }
        Counted(const Counted&) { ++alive; }
        ~Counted() { --alive; }
    };
    static weir::fiber_local<Counted> value;
    alive = 0;
    each_workers([] {
        for (int i = 0; i < 50; ++i) {
            weir::go([] {
                (void)*value;
                CHECK(alive > 0);
            });
        }
        CHECK(all_gone());
        CHECK(eventually([] { return alive == 0; }));
    });
}

TEST_CASE("a fiber_local's destructor may use another fiber_local") {
    static weir::fiber_local<std::string> trace{std::string("none")};
    static std::atomic<int> right;
    struct Last {
        bool live = false;
        ~Last() {
            if (!live) return;
            right += *trace == "4bf92f" || *trace == "none"; // still there, or made anew
            *trace += "!";
        }
    };
    static weir::fiber_local<Last> last;
    right = 0;
    each_workers([] {
        for (int i = 0; i < 20; ++i) {
            weir::go([] {
                *trace = "4bf92f";
                last->live = true;
            });
        }
        CHECK(all_gone());
    });
    CHECK(right == 60);
}

TEST_CASE("fiber_local values are inherited where go asks for it") {
    static weir::fiber_local<std::string> request;
    each_workers([] {
        *request = "r-17";
        weir::go([] { CHECK(request->empty()); });
        weir::go({.inherit_locals = true}, [] {
            CHECK(*request == "r-17");
            *request = "child";
        });
        CHECK(all_gone());
        CHECK(*request == "r-17");
    });
}

TEST_SUITE_END();
