// 10 RWMutex and Cond: many readers or one writer; wait until something is so.
//
// You learn: any number of fibers hold an RWMutex for reading (std::shared_lock) while nobody holds
// it for writing (std::unique_lock, std::lock_guard). A Cond waits for a condition that a mutex
// guards: wait(pred) lets go of the mutex while it waits; whoever changes the condition signals.
//
// It prints:
//     3 readers at once: yes
//     stock after 1000 changes: 500
//     the last of 5 items taken: 4
#include <deque>
#include <iostream>
#include <mutex>
#include <shared_mutex>

#include <weir/weir.h>

using namespace weir;

void readers_and_writers() {
    RWMutex mu;
    int stock = 0; // guarded by mu
    chan<void> inside, leave;
    WaitGroup wg;
    for (int i = 0; i < 3; ++i) {
        wg.go([&] {
            const std::shared_lock lock(mu);
            inside.send();
            leave.recv();
        });
    }
    for (int i = 0; i < 3; ++i) inside.recv(); // none has left yet
    std::cout << "3 readers at once: yes\n";
    leave.close();

    for (int i = 0; i < 1000; ++i) {
        wg.go([&, i] {
            const std::lock_guard lock(mu);
            stock += i % 2;
        });
    }
    wg.wait();
    const std::shared_lock lock(mu);
    std::cout << "stock after 1000 changes: " << stock << "\n";
}

void queue_with_cond() {
    Mutex mu;
    Cond not_empty(mu);
    std::deque<int> items; // guarded by mu
    int last = -1;

    WaitGroup consumer;
    consumer.go([&] {
        for (int taken = 0; taken < 5; ++taken) {
            const std::lock_guard lock(mu);
            not_empty.wait([&] { return !items.empty(); });
            last = items.front();
            items.pop_front();
        }
    });
    for (int i = 0; i < 5; ++i) {
        {
            const std::lock_guard lock(mu);
            items.push_back(i);
        }
        not_empty.signal();
    }
    consumer.wait();
    std::cout << "the last of 5 items taken: " << last << "\n";
}

int main() {
    return run([] {
        readers_and_writers();
        queue_with_cond();
    });
}
