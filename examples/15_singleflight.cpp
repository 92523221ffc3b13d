// 15 SingleFlight: ask once for all who ask at the same time.
//
// You learn: when a cache entry expires, a hundred requests want it at once. SingleFlight lets the
// first one load it; the others wait and share the answer, an error or a panic too. run_chan is for
// callers that do not want to wait for ever: select on its channel beside a timeout.
//
// It prints:
//     100 requests, fewer queries: yes; everyone got: rows of users
//     too slow, serving what we have
#include <atomic>
#include <chrono>
#include <iostream>
#include <string>

#include <weir/weir.h>

using namespace weir;
using namespace std::chrono_literals;

using Flight = SingleFlight<std::string, std::string>;

int main() {
    return run([] {
        Flight flight;
        std::atomic<int> queries{0}, right{0};
        auto query = [&] {
            ++queries;
            sleep(50ms); // a slow database: others come meanwhile
            return std::string("rows of users");
        };
        WaitGroup wg;
        for (int i = 0; i < 100; ++i) {
            wg.go([&] {
                auto [rows, err, shared] = flight.run("users", query);
                if (!err && rows == "rows of users") ++right;
            });
        }
        wg.wait();
        std::cout << "100 requests, fewer queries: " << (queries < 100 ? "yes" : "no") << "; everyone got: "
                  << (right == 100 ? "rows of users" : "?") << "\n";

        chan<void> stuck; // a database that does not answer
        auto result = flight.run_chan("orders", [stuck] {
            stuck.recv();
            return std::string("too late");
        });
        select(recv(result, [](Flight::Result got) { std::cout << got.value << "\n"; }),
               timeout(10ms, [] { std::cout << "too slow, serving what we have\n"; }));
        stuck.close();
        result.recv();
    });
}
