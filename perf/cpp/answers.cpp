#include "answers.h"

#include <utility>
#include <vector>

namespace perf {

namespace {

bool is_prime(int candidate, const std::vector<int>& smaller_primes) {
    for (int p : smaller_primes) {
        if (p * p > candidate) break;
        if (candidate % p == 0) return false;
    }
    return true;
}

} // namespace

int nth_prime(std::size_t n) {
    std::vector<int> primes;
    for (int candidate = 2; primes.size() < n; ++candidate) {
        if (is_prime(candidate, primes)) primes.push_back(candidate);
    }
    return primes.back();
}

std::int64_t fib_by_addition(std::int64_t n) {
    std::int64_t a = 0, b = 1;
    for (; n > 0; --n) a = std::exchange(b, a + b);
    return a;
}

} // namespace perf
