// Monitor: the thread that watches the workers.
//
// Every 10 ms, while anything runs: a worker that has stayed in one fiber all that time while work waits is detached, so that another takes
// its seat and steals its queue; one whose pair of fibers keeps handing the same time slice over is told to let others run; timers
// and sockets that nobody looks after get a worker; the coarse clock ticks; pooled stacks beyond the cap are given back. When all workers
// have slept for a while the monitor sleeps too, until one wakes.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "scheduler.h"

namespace weir::detail {

class Monitor {
public:
    explicit Monitor(Scheduler& s);
    ~Monitor();
    Monitor(const Monitor&) = delete;
    Monitor& operator=(const Monitor&) = delete;

private:
    struct Seen {
        std::uint32_t switches = 0;
        std::uint32_t slices = 0;
    };

    void main();
    bool look();
    void look_at(Worker& w, Seen& seen, bool work_waits);
    void look_after_idle_duties();

    Scheduler& sched_;
    std::vector<Seen> seen_;
    unsigned ticks_ = 0;
    std::atomic<std::uint32_t> stop_{0}; // futex
    std::thread thread_;
};

} // namespace weir::detail
