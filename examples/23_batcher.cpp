// 23 batcher: many at a time, and nothing lost at the end.
//
// You learn: an exporter sends spans in batches, because one request for a hundred costs little more
// than one for one. A Batcher flushes when a batch is full or its first item has waited long enough,
// whichever comes first; close() at shutdown flushes the rest. When flushing is slow, add() waits.
// The program runs in a bubble (tutorial 26), where the interval takes no time and is exact.
//
// It prints:
//     exported 4: 1 2 3 4
//     exported 4: 5 6 7 8
//     after the interval
//     exported 2: 9 10
//     at shutdown
//     exported 1: 11
//     added 11, flushed 11
#include <chrono>
#include <iostream>
#include <vector>

#include <weir/batcher.h>
#include <weir/synctest.h>
#include <weir/weir.h>

using namespace weir;
using namespace std::chrono_literals;

void export_spans() {
    chan<void> exported;
    Batcher<int> exporter({.size = 4, .interval = 200ms}, [&](std::vector<int> spans) {
        std::cout << "exported " << spans.size() << ":";
        for (const int span : spans) std::cout << " " << span;
        std::cout << "\n";
        exported.send();
    });
    for (int span = 1; span <= 4; ++span) exporter.add(span);
    exported.recv();
    for (int span = 5; span <= 8; ++span) exporter.add(span);
    exported.recv();

    std::cout << "after the interval\n";
    exporter.add(9);
    exporter.add(10);
    exported.recv();

    std::cout << "at shutdown\n";
    exporter.add(11);
    go([exported] { exported.recv(); });
    exporter.close();
    const auto stats = exporter.stats();
    std::cout << "added " << stats.added << ", flushed " << stats.flushed << "\n";
}

int main() {
    return run([] { synctest::test(export_spans); });
}
