// 05 worker pool: a fixed number of fibers share a queue of jobs.
//
// You learn: several fibers may receive from one channel, and each value goes to exactly one of
// them: that is a job queue. Closing it sends the workers home. The pool bounds how much runs at a
// time; the channel's buffer bounds how much waits.
//
// It prints:
//     prime factors of 12: 2 2 3
//     prime factors of 97: 97
//     prime factors of 360: 2 2 2 3 3 5
//     prime factors of 1001: 7 11 13
//     prime factors of 65535: 3 5 17 257
//     4 workers went home
#include <iostream>
#include <map>
#include <vector>

#include <weir/weir.h>

using namespace weir;

struct Result {
    int number = 0;
    std::vector<int> factors;
};

std::vector<int> factorize(int n) {
    std::vector<int> factors;
    for (int p = 2; n > 1; ++p) {
        for (; n % p == 0; n /= p) factors.push_back(p);
    }
    return factors;
}

void worker(recv_chan<int> jobs, send_chan<Result> results, send_chan<void> done) {
    for (int number : jobs) results << Result{number, factorize(number)};
    done.send();
}

int main() {
    return run([] {
        constexpr int kWorkers = 4;
        const std::vector<int> numbers{360, 97, 1001, 12, 65535};

        chan<int> jobs(numbers.size());
        chan<Result> results(numbers.size());
        chan<void> done;
        for (int i = 0; i < kWorkers; ++i) go(worker, jobs, results, done);

        for (int number : numbers) jobs << number;
        jobs.close();
        for (int i = 0; i < kWorkers; ++i) done.recv();
        results.close();

        // They finish in any order: sort them.
        std::map<int, std::vector<int>> sorted;
        for (Result& r : results) sorted.emplace(r.number, std::move(r.factors));
        for (const auto& [number, factors] : sorted) {
            std::cout << "prime factors of " << number << ":";
            for (int f : factors) std::cout << " " << f;
            std::cout << "\n";
        }
        std::cout << kWorkers << " workers went home\n";
    });
}
