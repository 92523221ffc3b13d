// 08 context: give up in time, and tell everyone below.
//
// You learn: a Context carries a deadline and a cancellation down a tree of calls and fibers. Work
// that may take long takes a Context and selects on ctx.done() beside whatever it waits for.
// with_timeout and with_cancel make children; cancelling a parent cancels them all; ctx.err() says
// why. Always call cancel when done: it releases the child's timer.
//
// It prints:
//     fast query: 3 rows
//     slow query: context deadline exceeded
//     worker 1: context canceled
//     worker 2: context canceled
#include <chrono>
#include <iostream>
#include <string>

#include <weir/weir.h>

using namespace weir;
using namespace std::chrono_literals;

// Takes `needed` to answer, unless ctx ends first.
std::pair<std::string, Error> query(const Context& ctx, std::chrono::milliseconds needed) {
    std::pair<std::string, Error> result;
    select(recv(after(needed), [&] { result.first = "3 rows"; }), recv(ctx.done(), [&] { result.second = ctx.err(); }));
    return result;
}

void try_query(const std::string& name, std::chrono::milliseconds needed, std::chrono::milliseconds limit) {
    auto [ctx, cancel] = with_timeout(background(), limit);
    defer release{cancel};

    auto [rows, err] = query(ctx, needed);
    std::cout << name << ": " << (err ? err.message() : rows) << "\n";
}

int main() {
    return run([] {
        try_query("fast query", 1ms, 1min);
        try_query("slow query", 1h, 20ms);

        // One cancel ends any number of fibers, however deep in the tree their contexts are.
        auto [ctx, cancel] = with_cancel(background());
        chan<std::string> reports;
        for (int i = 1; i <= 2; ++i) {
            go([=, child = ctx] {
                auto [rows, err] = query(child, 1h);
                reports << "worker " + std::to_string(i) + ": " + err.message();
            });
        }
        cancel();
        std::string first = reports.recv();
        std::string second = reports.recv();
        if (first > second) std::swap(first, second);
        std::cout << first << "\n" << second << "\n";
    });
}
