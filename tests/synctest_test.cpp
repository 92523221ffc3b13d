// synctest: bubbles, their clock, what is durably blocked, deadlocks and misuse. The cases follow those of Go's internal/synctest.
#include "fixture.h"

#include <weir/weir.h>
#include <weir/synctest.h>

TEST_SUITE_BEGIN("synctest");

TEST_CASE("sleep advances the bubble's clock by exactly its time [b124]") {
    each_workers([] {
        weir::synctest::test([] {
            const auto begun = weir::now();
            for (auto d : {std::chrono::nanoseconds(1), std::chrono::nanoseconds(1s), std::chrono::nanoseconds(1000h)}) {
                const auto before = weir::now();
                weir::sleep(d);
                CHECK(weir::now() - before == d);
            }
            CHECK(weir::now() - begun == 1000h + 1s + 1ns);
        });
    });
}
