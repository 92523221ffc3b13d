// Poller: one epoll instance, edge-triggered, that turns readiness of descriptors into ready waiters.
//
// A PollDesc has one word per direction: kIdle, kReady (an event came while nobody waited), or the Waiter that is parked there. An event or a
// deadline swaps the word and readies the waiter it found; the waiter publishes itself by CAS from kIdle in its park commit, so an
// event that came first keeps it from blocking. PollDescs are type-stable: an event that arrives late finds a newer generation and is
// dropped.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include <weir/detail/poll.h>
#include <weir/detail/spinlock.h>
#include "scheduler.h"

namespace weir::detail {

class Poller {
public:
    Poller();
    ~Poller();
    Poller(const Poller&) = delete;
    Poller& operator=(const Poller&) = delete;

    /// poll collects events for at most timeout_ns (negative: no limit, 0: do not block) and readies their waiters. False when the time passed without any.
    bool poll(std::int64_t timeout_ns);
    /// interrupt makes the blocked poll return (of which there is at most one), or the next one that would block.
    void interrupt() noexcept;
    /// waiters counts parked waiters with a descriptor: with any, polling makes sense, and a deadlock is not certain.
    int waiters() const noexcept { return waiters_.load(std::memory_order_relaxed); }

    int add(int fd, PollDesc* pd) noexcept;
    void remove(int fd) noexcept;

    const std::uint64_t serial; // no two pollers of this process have the same

    std::atomic<int> waiters_{0};
    std::atomic<void (*)()> on_interrupt{nullptr}; // called after every interrupt: the wake source's

private:
    void consume_interrupt() noexcept;

    int epoll_ = -1;
    int event_ = -1;
    std::atomic<bool> interrupted_{false};
};

} // namespace weir::detail
