// 25 explore: find the schedule that breaks a program, and repeat it.
//
// You learn: a test of concurrent code passes a thousand times and fails on Friday. explore() runs it
// under many schedules, each drawn from a seed, and throws at the first that fails, with what happened
// and the seed; the same seed fails every time, in the debugger too: WEIR_SEED=N ./test. Two bugs it
// finds here: an update lost between load and store, and a wake-up lost between look and wait. In a
// test write just weir::explore(10'000, [] { ... }).
//
// It prints:
//     counter: an update is lost; again with that seed: yes
//     mailbox: all goroutines are asleep - deadlock!; again with that seed: yes
//     mailbox, repaired: 1000 schedules, nothing found
#include <iostream>
#include <mutex>
#include <string>

#include <weir/explore.h>
#include <weir/weir.h>

using namespace weir;

/// Two fibers count; load and store lock, but not together.
void counter() {
    Mutex mu;
    int count = 0;
    auto locked = [&](auto fn) {
        std::lock_guard lock(mu);
        return fn();
    };
    WaitGroup wg;
    for (int i = 0; i < 2; ++i) {
        wg.go([&] {
            const int seen = locked([&] { return count; });
            locked([&] { count = seen + 1; });
        });
    }
    wg.wait();
    if (count != 2) panic("an update is lost");
}

/// One fiber waits for mail that another brings. Unless it looks and waits under one lock, the mail may come in between.
void mailbox(bool repaired) {
    Mutex mu;
    Cond came(mu);
    bool mail = false;
    go([&] {
        std::lock_guard lock(mu);
        mail = true;
        came.signal();
    });
    mu.lock();
    while (!mail) {
        if (!repaired) { // "let others in before waiting"
            mu.unlock();
            mu.lock();
        }
        came.wait();
    }
    mu.unlock();
}

constexpr int kSchedules = 1000;

template <class F>
void try_out(const std::string& name, F program) {
    auto found = find_failure(kSchedules, program);
    if (!found) {
        std::cout << name << ": " << kSchedules << " schedules, nothing found\n";
        return;
    }
    const std::string text = found->what(); // "explore: seed 3 fails, run 3 of 1000: panic: an update is lost" and stacks
    std::string what = text.substr(0, text.find('\n'));
    what = what.substr(what.rfind(": ") + 2);
    const bool again = find_failure({.seed = found->seed()}, 1, program).has_value();
    std::cout << name << ": " << what << "; again with that seed: " << (again ? "yes" : "no") << "\n";
}

int main() {
    try_out("counter", counter);
    try_out("mailbox", [] { mailbox(false); });
    try_out("mailbox, repaired", [] { mailbox(true); });
}
