// Classic programs: skynet (a tree with a million leaves), the prime sieve, and fib with a fiber a call.
#include <functional>

#include <boost/fiber/unbuffered_channel.hpp>

#include "answers.h"
#include "workloads.h"

namespace perf {

namespace fibers = boost::fibers;

namespace {

using Numbers = fibers::unbuffered_channel<std::int64_t>;
using Candidates = fibers::unbuffered_channel<int>;

/// skynet sends the sum of the ordinals num ... num+size-1 to out, through ten children at every level.
void skynet(Numbers& out, std::int64_t num, std::int64_t size) {
    if (size == 1) {
        out.push(num);
        return;
    }
    Numbers children;
    std::vector<fibers::fiber> all;
    for (std::int64_t i = 0; i < 10; ++i) {
        all.emplace_back([&children, first = num + i * (size / 10), size] { skynet(children, first, size / 10); });
    }
    std::int64_t sum = 0;
    for (int i = 0; i < 10; ++i) sum += children.value_pop();
    join(all);
    out.push(sum);
}

void run_skynet(Bench& bench, std::int64_t leaves) {
    Numbers root;
    fibers::fiber top([&] { skynet(root, 0, leaves); });
    bench.expect("sum of the leaves", root.value_pop(), sum_below(leaves));
    top.join();
}

void generate(Candidates& out) {
    for (int i = 2;; ++i) out.push(i);
}

void filter(Candidates& in, Candidates& out, int prime) {
    for (;;) {
        const int i = in.value_pop();
        if (i % prime != 0) out.push(i);
    }
}

/// sieve returns the last of the first n primes. Its fibers stay parked, and their channels with them.
int sieve(std::int64_t n) {
    auto* in = new Candidates;
    fibers::fiber(generate, std::ref(*in)).detach();
    int prime = 0;
    for (std::int64_t i = 0; i < n; ++i) {
        prime = in->value_pop();
        auto* out = new Candidates;
        fibers::fiber(filter, std::ref(*in), std::ref(*out), prime).detach();
        in = out;
    }
    return prime;
}

/// fib computes one of its two terms in a fiber of its own, down to the last call.
std::int64_t fib(std::int64_t n) {
    if (n < 2) return n;
    std::int64_t first = 0;
    fibers::fiber other([&first, n] { first = fib(n - 1); });
    const std::int64_t second = fib(n - 2);
    other.join();
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
