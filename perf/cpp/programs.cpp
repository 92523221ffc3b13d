// Classic programs: skynet (a tree with a million leaves), the prime sieve, and fib with a fiber a call.
#include <weir/chan.h>
#include <weir/go.h>
#include <weir/waitgroup.h>

#include "answers.h"
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

/// fib computes one of its two terms in a fiber of its own, down to the last call.
std::int64_t fib(std::int64_t n) {
    if (n < 2) return n;
    std::int64_t first = 0;
    weir::WaitGroup wg;
    wg.go([&first, n] { first = fib(n - 1); });
    const std::int64_t second = fib(n - 2);
    wg.wait();
    return first + second;
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

void fib_27(Bench& bench) {
    const std::int64_t n = bench.count(27, 10);
    fib(n - 5);
    const auto start = Clock::now();
    const std::int64_t got = fib(n);
    bench.report("", ms(Clock::now() - start), "ms", n);
    bench.expect("fib", got, fib_by_addition(n));
}

} // namespace perf
