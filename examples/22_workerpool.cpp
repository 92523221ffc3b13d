// 22 worker pool: many tasks, few workers.
//
// You learn: fibers are cheap, what they use is not. A WorkerPool runs at most so many tasks at a time
// and queues so many more; then submit waits and try_submit says no, so that a flood of requests
// meets a wall at the door instead of inside. A task that calls goexit or panics costs its worker, not
// the pool. The statistics say how it does.
//
// It prints:
//     2 running, 3 queued, the 6th turned away
//     all 5 done
//     after a task that ended its worker: still at work
//     submitted 7, completed 6, panicked 1, rejected 1
#include <atomic>
#include <iostream>

#include <weir/weir.h>
#include <weir/workerpool.h>

using namespace weir;

int main() {
    return run([] {
        WorkerPool pool({.workers = 2, .queue = 3});
        chan<void> finish;
        std::atomic<int> taken{0};
        for (int i = 0; i < 6; ++i) taken += pool.try_submit([&] { finish.recv(); });
        const auto full = pool.stats();
        std::cout << full.workers << " running, " << full.queued << " queued, the " << taken + 1 << "th turned away\n";

        for (int i = 0; i < taken; ++i) finish.send();
        std::cout << "all " << taken << " done\n";

        if (Error err = pool.submit(background(), [] { goexit(); })) std::cout << err << "\n";
        chan<void> working;
        if (Error err = pool.submit(background(), [&] { working.send(); })) std::cout << err << "\n";
        working.recv();
        std::cout << "after a task that ended its worker: still at work\n";

        pool.close();
        const auto stats = pool.stats();
        std::cout << "submitted " << stats.submitted << ", completed " << stats.completed << ", panicked " << stats.panicked << ", rejected "
                  << stats.rejected << "\n";
    });
}
