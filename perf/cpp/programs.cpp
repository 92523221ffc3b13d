// Two classic programs: skynet (a tree with a million leaves) and the prime sieve.
#include <vector>

#include <weir/chan.h>
#include <weir/go.h>

#include "workloads.h"

namespace perf {

using weir::chan;
using weir::recv_chan;
using weir::send_chan;

namespace {

/// skynet sends the sum of the ordinals num ... num+size-1 to out, through ten children at every level.
void skynet(send_chan<std::int64_t> out, std::int64_t num, std::int64_t size) {
    if (size == 1) {
        out.send(num);
        return;
    }
    chan<std::int64_t> children;
    for (std::int64_t i = 0; i < 10; ++i) weir::go(skynet, children, num + i * (size / 10), size / 10);
    std::int64_t sum = 0;
    for (int i = 0; i < 10; ++i) sum += children.recv();
    out.send(sum);
}

void run_skynet(Bench& bench, std::int64_t leaves) {
    chan<std::int64_t> root;
    weir::go(skynet, root, 0, leaves);
    bench.expect("sum of the leaves", root.recv(), sum_below(leaves));
}

void generate(send_chan<int> out) {
    for (int i = 2;; ++i) out.send(i);
}

void filter(recv_chan<int> in, send_chan<int> out, int prime) {
    for (;;) {
        const int i = in.recv();
        if (i % prime != 0) out.send(i);
    }
}

/// sieve returns the last of the first n primes. Its fibers stay parked, as in the program that Go's authors made famous.
int sieve(std::int64_t n) {
    chan<int> ch;
    weir::go(generate, ch);
    int prime = 0;
    for (std::int64_t i = 0; i < n; ++i) {
        prime = ch.recv();
        chan<int> next;
        weir::go(filter, ch, next, prime);
        ch = next;
    }
    return prime;
}

bool is_prime(int candidate, const std::vector<int>& smaller_primes) {
    for (int p : smaller_primes) {
        if (p * p > candidate) break;
        if (candidate % p == 0) return false;
    }
    return true;
}

/// nth_prime finds the answer the plain way.
int nth_prime(std::size_t n) {
    std::vector<int> primes;
    for (int candidate = 2; primes.size() < n; ++candidate) {
        if (is_prime(candidate, primes)) primes.push_back(candidate);
    }
    return primes.back();
}

} // namespace

void skynet_million(Bench& bench) {
    std::int64_t leaves = 1000;
    while (leaves * 10 <= bench.count(1'000'000, 1000)) leaves *= 10;
    run_skynet(bench, leaves / 10);
    const auto start = Clock::now();
    run_skynet(bench, leaves);
    bench.report("", ms(Clock::now() - start), "ms", leaves);
}

void sieve_4000(Bench& bench) {
    const std::int64_t n = bench.count(4000, 100);
    sieve(n / 10 + 1);
    const auto start = Clock::now();
    const int got = sieve(n);
    bench.report("", ms(Clock::now() - start), "ms", n);
    bench.expect("last prime", got, nth_prime(static_cast<std::size_t>(n)));
}

} // namespace perf
