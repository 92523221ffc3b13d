// Built twice: with -fnon-call-exceptions, as users of the library are, and without (WEIR_TEST_UNWINDS is then 0).
#define _GLIBCXX_ASSERTIONS 1
#undef NDEBUG
#include "crash_kinds.h"

#include <atomic>
#include <cassert>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <thread>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include <weir/chan.h>
#include <weir/go.h>

extern "C" [[noreturn]] void __chk_fail();       // what _FORTIFY_SOURCE calls
extern "C" [[noreturn]] void __stack_chk_fail(); // what -fstack-protector calls

namespace weir_test {

namespace {

#define KIND __attribute__((noinline)) void

std::atomic<std::size_t> g_destroyed{0};
struct Tracked {
    ~Tracked() { g_destroyed.fetch_add(1, std::memory_order_relaxed); }
};

// What the compiler must not see through.
volatile bool g_true = true;
volatile int g_zero = 0;
std::atomic<int> g_sink{0};
int* volatile g_null = nullptr;
int* volatile g_member_of_null = reinterpret_cast<int*>(64); // not null itself: TSan would see the write race with the read
int* volatile g_wild = reinterpret_cast<int*>(0x7777777777777770);
void (*volatile g_null_function)() = nullptr;
void (*volatile g_wild_function)() = reinterpret_cast<void (*)()>(0x7777777777777770);
unsigned char g_data[64] = {0xc3};
void (*volatile g_data_function)() = reinterpret_cast<void (*)()>(g_data);

KIND null_read() {
    Tracked t;
    g_sink = *g_null;
}
KIND null_write() {
    Tracked t;
    *g_member_of_null = 1;
}
KIND wild_read() {
    Tracked t;
    g_sink = *g_wild;
}
KIND wild_write() {
    Tracked t;
    *g_wild = 1;
}
KIND null_call() {
    Tracked t;
    g_null_function();
}
KIND wild_call() {
    Tracked t;
    g_wild_function();
}
KIND call_of_data() {
    Tracked t;
    g_data_function();
}
KIND bus_error() {
    static int* page = [] {
        char name[] = "/tmp/weir-bus-XXXXXX";
        int fd = ::mkstemp(name);
        ::unlink(name);
        void* p = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0); // of an empty file
        ::close(fd);
        return static_cast<int*>(p);
    }();
    Tracked t;
    int* volatile p = page;
    g_sink = *p;
}
KIND divide_by_zero() {
    Tracked t;
    g_sink = 7 / g_zero;
}
KIND divide_overflow() {
    Tracked t;
    volatile int least = INT_MIN;
    volatile int minus_one = -1;
    g_sink = least / minus_one;
}
KIND illegal_instruction() {
    if (g_true) __builtin_trap();
}
KIND trace_trap() {
#if defined(__x86_64__)
    asm volatile("int3");
#endif
}

__attribute__((noinline)) int recurse(int n) {
    volatile char frame[64];
    frame[n % 64] = 1;
    return g_true ? recurse(n + 1) + frame[n % 64] : 0;
}
__attribute__((noinline)) int recurse_far(int n) {
    volatile char frame[64 << 10];
    frame[n % 64] = 1;
    return g_true ? recurse_far(n + 1) + frame[n % 64] : 0;
}
__attribute__((noinline)) int recurse_printing(int n) {
    volatile char frame[64];
    static std::FILE* out = std::fopen("/dev/null", "w"); // one stream: its lock must not stay behind
    std::fprintf(out, "%d %f %s\n", n, n * 0.1, "text");
    frame[n % 64] = 1;
    return g_true ? recurse_printing(n + 1) + frame[n % 64] : 0;
}
__attribute__((noinline)) int recurse_yielding(int n) {
    volatile char frame[64];
    weir::yield();
    frame[n % 64] = 1;
    return g_true ? recurse_yielding(n + 1) + frame[n % 64] : 0;
}
__attribute__((noinline)) int recurse_sending(int n, const weir::chan<int>& c) {
    volatile char frame[64];
    c.send(n);
    frame[n % 64] = static_cast<char>(c.recv());
    return g_true ? recurse_sending(n + 1, c) + frame[n % 64] : 0;
}
__attribute__((noinline)) int recurse_allocating(int n) {
    std::vector<int> v(static_cast<std::size_t>(n % 100) + 1);
    return g_true ? recurse_allocating(n + 1) + v[0] : 0;
}

KIND overflow() {
    Tracked t;
    g_sink = recurse(0);
}
KIND overflow_by_large_frames() {
    Tracked t;
    g_sink = recurse_far(0);
}
KIND overflow_in_printf() {
    Tracked t;
    g_sink = recurse_printing(0);
}
KIND overflow_in_yield() {
    Tracked t;
    g_sink = recurse_yielding(0);
}
KIND overflow_in_send() {
    Tracked t;
    weir::chan<int> c(1);
    g_sink = recurse_sending(0, c);
}
KIND overflow_in_malloc() {
    Tracked t;
    g_sink = recurse_allocating(0);
}
struct Overflows {
    ~Overflows() { g_sink = recurse(0); }
};
KIND overflow_in_destructor() { Overflows o; }
struct OverflowsAndThrows {
    ~OverflowsAndThrows() noexcept(false) { g_sink = recurse(0); }
};
KIND overflow_in_throwing_destructor() {
    Tracked t;
    OverflowsAndThrows o;
}

KIND out_of_memory() {
    Tracked t;
    static volatile std::size_t much = std::size_t{1} << 60;
    g_sink = static_cast<int>(reinterpret_cast<std::size_t>(::operator new(much)));
}
#pragma GCC diagnostic ignored "-Wterminate"
KIND uncaught_in_noexcept_callee() noexcept {
    if (g_true) throw std::runtime_error("out of a noexcept function");
}
KIND out_of_noexcept() { uncaught_in_noexcept_callee(); }
struct ThrowsAgain {
    ~ThrowsAgain() {
        if (g_true) throw std::runtime_error("out of a destructor");
    }
};
KIND out_of_destructor() {
    ThrowsAgain a;
    throw std::runtime_error("first");
}
KIND terminates() { std::terminate(); }
struct Base {
    Base() { call(); }
    virtual ~Base() = default;
    void call() { pure(); }
    virtual void pure() = 0;
};
struct Derived : Base {
    void pure() override {}
};
KIND pure_virtual_call() { Derived d; }
KIND aborts() { std::abort(); }
KIND fails_assert() { assert(g_zero == 1); }
KIND library_assertion() {
    std::vector<int> v(3);
    g_sink = v[static_cast<std::size_t>(g_zero) + 7];
}
KIND fortify() { __chk_fail(); }
KIND stack_protector() { __stack_chk_fail(); }
KIND joinable_thread() {
    static std::atomic<int> go_on{0}; // the thread ends by itself
    std::thread t([] { go_on.fetch_add(1); });
}
KIND strlen_of_null() { // strlen cannot throw, as compilers see it
    Tracked t;
    g_sink = static_cast<int>(std::strlen(reinterpret_cast<const char*>(g_null)));
}
KIND throws() {
    Tracked t;
    throw std::runtime_error("an exception");
}
KIND panics() {
    Tracked t;
    weir::panic("a panic");
}

#if WEIR_TEST_UNWINDS && !WEIR_TSAN // TSan looks at memory before the program does, where nothing can throw
constexpr Comes kUnwinds = Comes::Panic;
#else
constexpr Comes kUnwinds = Comes::Either;
#endif

using weir::PanicKind;
constexpr const char* kNilText = "runtime error: invalid memory address or nil pointer dereference";
constexpr const char* kOverflowText = " exceeded 256 KiB; raise stack_max";

const CrashKind kKinds[] = {
    {"null read", null_read, PanicKind::Fault, kNilText, kUnwinds},
    {"null write", null_write, PanicKind::Fault, kNilText, kUnwinds},
    {"wild read", wild_read, PanicKind::Fault, kNilText, kUnwinds},
    {"wild write", wild_write, PanicKind::Fault, kNilText, kUnwinds},
    {"null call", null_call, PanicKind::Fault, kNilText, kUnwinds},
    {"wild call", wild_call, PanicKind::Fault, kNilText, kUnwinds},
    {"call of data", call_of_data, PanicKind::Fault, kNilText, kUnwinds},
    {"bus error", bus_error, PanicKind::Fault, kNilText, kUnwinds},
    {"division by zero", divide_by_zero, PanicKind::Fault, "runtime error: integer divide by zero", kUnwinds},
    {"INT_MIN / -1", divide_overflow, PanicKind::Fault, "runtime error: integer divide by zero", kUnwinds},
    {"illegal instruction", illegal_instruction, PanicKind::Fault, "runtime error: illegal instruction", Comes::Either},
    {"trace trap", trace_trap, PanicKind::Fault, "runtime error: trace trap", Comes::Either},
    {"stack overflow", overflow, PanicKind::StackOverflow, kOverflowText, kUnwinds},
    {"stack overflow by 64 KiB frames", overflow_by_large_frames, PanicKind::StackOverflow, kOverflowText, kUnwinds},
    {"stack overflow in printf", overflow_in_printf, PanicKind::StackOverflow, kOverflowText, kUnwinds},
    {"stack overflow in yield", overflow_in_yield, PanicKind::StackOverflow, kOverflowText, kUnwinds},
    {"stack overflow in send", overflow_in_send, PanicKind::StackOverflow, kOverflowText, kUnwinds},
    {"stack overflow in malloc", overflow_in_malloc, PanicKind::StackOverflow, kOverflowText, kUnwinds},
    {"stack overflow in a destructor", overflow_in_destructor, PanicKind::StackOverflow, kOverflowText, Comes::Abandoned},
    {"stack overflow in a destructor that may throw", overflow_in_throwing_destructor, PanicKind::StackOverflow, kOverflowText, kUnwinds},
    {"out of memory", out_of_memory, PanicKind::Exception, "bad_alloc", Comes::Panic},
    {"exception out of a noexcept function", out_of_noexcept, PanicKind::Fatal, "out of a noexcept function", Comes::Abandoned},
    {"exception out of a destructor", out_of_destructor, PanicKind::Fatal, "out of a destructor", Comes::Abandoned},
    {"std::terminate", terminates, PanicKind::Fatal, "std::terminate called", Comes::Abandoned},
    {"pure virtual call", pure_virtual_call, PanicKind::Fatal, "std::terminate called", Comes::Abandoned},
    {"abort", aborts, PanicKind::Fatal, "SIGABRT: abort", Comes::Abandoned},
    {"failed assert", fails_assert, PanicKind::Fatal, "SIGABRT: abort", Comes::Abandoned},
    {"library assertion", library_assertion, PanicKind::Fatal, "SIGABRT: abort", Comes::Abandoned},
    {"fortify", fortify, PanicKind::Fatal, "SIGABRT: abort", Comes::Abandoned},
    {"stack protector", stack_protector, PanicKind::Fatal, "SIGABRT: abort", Comes::Abandoned},
    {"joinable thread destroyed", joinable_thread, PanicKind::Fatal, "std::terminate called", Comes::Abandoned},
    {"strlen of null", strlen_of_null, PanicKind::Fault, kNilText, Comes::Either},
    {"exception", throws, PanicKind::Exception, "an exception", Comes::Panic},
    {"panic", panics, PanicKind::User, "a panic", Comes::Panic},
};

} // namespace

std::span<const CrashKind> crash_kinds() { return kKinds; }

std::size_t destroyed() noexcept { return g_destroyed.load(std::memory_order_relaxed); }

} // namespace weir_test
