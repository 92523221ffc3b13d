// weir_limits: what the machine itself takes for the steps that the workloads are made of; README.md says which workload has
// which.
//
// Prints one JSON line a step: {"name","ns","cycles"}; cycles are the time stamp counter's, 0 where there is none.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include <arpa/inet.h>
#include <linux/futex.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include <boost/context/detail/fcontext.hpp>

#include "bench.h"

namespace {

namespace ctx = boost::context::detail;
using perf::Clock;

std::uint64_t cycle_counter() {
#if defined(__x86_64__)
    return __rdtsc();
#else
    return 0;
#endif
}

[[noreturn]] void die(const char* what) {
    std::perror(what);
    std::exit(1);
}

/// step times body(n), which does the step n times, after a warm-up.
template <class Body>
void step(const char* name, std::int64_t n, Body body) {
    body(n / 10 + 1);
    const auto start = Clock::now();
    const std::uint64_t first = cycle_counter();
    body(n);
    const std::uint64_t last = cycle_counter();
    const double took = perf::ns(Clock::now() - start);
    const auto each = static_cast<double>(n);
    std::printf("{\"name\":\"%s\",\"ns\":%.2f,\"cycles\":%.1f}\n", name, took / each, static_cast<double>(last - first) / each);
}

void bounce(ctx::transfer_t from) {
    for (;;) from = ctx::jump_fcontext(from.fctx, nullptr);
}

/// A bare switch: no queue, no thread state, one of the two stacks always warm.
void measure_switch(std::int64_t scale) {
    alignas(64) static char stack[16384];
    ctx::transfer_t other{ctx::make_fcontext(stack + sizeof stack, sizeof stack, bounce), nullptr};
    step("switch", 10'000 * scale, [&](std::int64_t n) {
        for (std::int64_t i = 0; i < n; i += 2) other = ctx::jump_fcontext(other.fctx, nullptr);
    });
}

/// A locked compare-and-exchange on a line that this core has.
void measure_lock(std::int64_t scale) {
    std::atomic<int> word = 0;
    step("lock", 10'000 * scale, [&](std::int64_t n) {
        for (std::int64_t i = 0; i < n; ++i) {
            int expected = static_cast<int>(i & 1);
            word.compare_exchange_strong(expected, expected ^ 1, std::memory_order_acquire);
        }
    });
}

void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set); // where it fails the kernel chooses
}

/// One way of a cache line between the first two cores: two threads answer each other through two words.
void measure_line(std::int64_t scale) {
    if (std::thread::hardware_concurrency() < 2) return;
    alignas(128) static std::atomic<std::int64_t> ask, answer;
    static constexpr std::int64_t kEnd = -1;
    std::thread other([] {
        pin(1);
        for (std::int64_t seen = 0; seen != kEnd;) {
            const std::int64_t now = ask.load(std::memory_order_acquire);
            if (now == seen) continue;
            seen = now;
            answer.store(now, std::memory_order_release);
        }
    });
    pin(0);
    std::int64_t round = 0;
    step("line", 1000 * scale, [&](std::int64_t n) {
        for (std::int64_t i = 0; i < n; i += 2) {
            ask.store(++round, std::memory_order_release);
            while (answer.load(std::memory_order_acquire) != round) continue;
        }
    });
    ask.store(kEnd, std::memory_order_release);
    other.join();
}

/// The first touch of a page of anonymous memory.
void measure_fault(std::int64_t scale) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    step("fault", 10 * scale, [&](std::int64_t n) {
        const std::size_t size = static_cast<std::size_t>(n) * page;
        void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) die("mmap");
        madvise(memory, size, MADV_NOHUGEPAGE);
        for (std::size_t at = 0; at < size; at += page) static_cast<volatile char*>(memory)[at] = 1;
        munmap(memory, size);
    });
}

/// A system call that does nothing.
void measure_syscall(std::int64_t scale) {
    step("syscall", 500 * scale, [](std::int64_t n) {
        for (std::int64_t i = 0; i < n; ++i) syscall(SYS_getppid);
    });
}

long futex(std::atomic<std::int32_t>& word, int op, int value) {
    return syscall(SYS_futex, &word, op | FUTEX_PRIVATE_FLAG, value, nullptr, nullptr, 0);
}

/// From a futex wake to the woken thread's own wake: half a round of two sleeping threads.
void measure_futex(std::int64_t scale) {
    static std::atomic<std::int32_t> turn;
    static std::atomic<bool> end;
    const auto wait_for = [](std::int32_t mine) {
        while (turn.load(std::memory_order_acquire) != mine) futex(turn, FUTEX_WAIT, 1 - mine);
    };
    const auto pass_to = [](std::int32_t other) {
        turn.store(other, std::memory_order_release);
        futex(turn, FUTEX_WAKE, 1);
    };
    std::thread other([&] {
        for (;;) {
            wait_for(1);
            if (end) return;
            pass_to(0);
        }
    });
    step("futex", 5 * scale, [&](std::int64_t n) {
        for (std::int64_t i = 0; i < n; i += 2) {
            pass_to(1);
            wait_for(0);
        }
    });
    end = true;
    pass_to(1);
    other.join();
}

/// 64 bytes written to one end of a TCP connection on the loopback interface and read from the other, by one thread.
void measure_tcp(std::int64_t scale) {
    const int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    auto* address = reinterpret_cast<sockaddr*>(&at);
    if (bind(listener, address, size) != 0 || listen(listener, 1) != 0 || getsockname(listener, address, &size) != 0)
        die("listen");
    if (connect(client, address, size) != 0) die("connect");
    const int server = accept(listener, nullptr, nullptr), on = 1;
    if (server < 0) die("accept");
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    step("tcp", 50 * scale, [&](std::int64_t n) {
        char message[64] = {};
        for (std::int64_t i = 0; i < n; ++i) {
            if (write(client, message, sizeof message) != sizeof message ||
                read(server, message, sizeof message) != sizeof message)
                die("tcp");
        }
    });
    for (int fd : {server, client, listener}) close(fd);
}

} // namespace

int main(int argc, char** argv) {
    const std::int64_t scale = argc > 1 ? std::atoll(argv[1]) : 1000;
    if (scale < 1) {
        std::fprintf(stderr, "usage: weir_limits [SCALE], 1 or more; default 1000\n");
        return 2;
    }
    measure_switch(scale);
    measure_lock(scale);
    measure_fault(scale);
    measure_syscall(scale);
    measure_futex(scale);
    measure_tcp(scale);
    measure_line(scale); // last: it pins the thread
}
