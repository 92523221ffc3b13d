// 06 WaitGroup and Mutex: wait for many fibers, and share memory between them.
//
// You learn: a WaitGroup counts fibers that are still at work; wait() blocks until none is left. A
// Mutex guards what they share, and std::lock_guard works with it as with std::mutex; but a fiber
// that waits for it lets its OS thread run other fibers meanwhile.
//
// It prints:
//     1000 deposits of 5: balance 5000
//     ada has 1000
//     bob has 2000
//     eve has 2000
#include <iostream>
#include <map>
#include <mutex>
#include <string>

#include <weir/weir.h>

using namespace weir;

class Bank {
public:
    void deposit(const std::string& owner, int amount) {
        const std::lock_guard lock(mu_);
        balances_[owner] += amount;
    }

    std::map<std::string, int> balances() const {
        const std::lock_guard lock(mu_);
        return balances_;
    }

private:
    mutable Mutex mu_;
    std::map<std::string, int> balances_; // guarded by mu_
};

int main() {
    return run([] {
        Bank bank;
        WaitGroup wg;
        for (int i = 0; i < 1000; ++i) {
            wg.go([&bank, i] { // add(1), go, and done() when the function ends
                const char* owners[] = {"ada", "bob", "eve", "bob", "eve"};
                bank.deposit(owners[i % 5], 5);
            });
        }
        wg.wait(); // also why the fibers may hold a reference to bank: they are gone before it is

        int total = 0;
        for (const auto& [owner, balance] : bank.balances()) total += balance;
        std::cout << "1000 deposits of 5: balance " << total << "\n";
        for (const auto& [owner, balance] : bank.balances()) std::cout << owner << " has " << balance << "\n";
    });
}
