// What every test uses: runs at 1, 2 and 4 workers, leak checks, death tests, sizes for slow builds.
//
//     TEST_CASE("send on a closed channel panics [b13]") {
//         each_workers([] {
//             weir::chan<int> c(1);
//             c.close();
//             CHECK(panic_text([&] { c.send(1); }) == "send on closed channel");
//         });
//     }
//
// CHECK works on every fiber and thread. REQUIRE throws: only on the main fiber of each_workers or on the test's own thread. INFO
// and CAPTURE keep a list for each thread: never across anything that parks. CHECK_MESSAGE is such an INFO around its condition. A case
// that takes too long (WEIR_TEST_TIMEOUT seconds, default 120) is killed, naming itself.
#pragma once

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <weir/detail/config.h>
#if WEIR_ASAN
#include <sanitizer/lsan_interface.h>
#endif
#include <weir/go.h>
#include <weir/panic.h>
#include <weir/runtime.h>
#include <weir/sleep.h>

namespace weir_test {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// slow_build tells whether a sanitizer or Valgrind is watching, so that sizes and patience differ.
bool slow_build() noexcept;

/// stress is the size of a stress loop: n, or a twentieth under a sanitizer or Valgrind (never under 1).
std::size_t stress(std::size_t n) noexcept;

/// patience is a time that only bounds a wait: d, or ten times that in a slow build.
std::chrono::nanoseconds patience(std::chrono::nanoseconds d) noexcept;

/// eventually yields until cond() holds; false when it does not within `limit`. For what has no event to wait for. The limit is for what never comes:
/// any thread of a loaded machine may stand still for seconds.
template <typename Cond>
bool eventually(Cond&& cond, std::chrono::nanoseconds limit = 60s) {
    const auto until = Clock::now() + patience(limit);
    while (!cond()) {
        if (Clock::now() > until) return false;
        weir::yield();
    }
    return true;
}

/// all_gone waits until the calling fiber is alone.
inline bool all_gone() {
    return eventually([] { return weir::num_fibers() == 1; });
}

/// waiting counts the fibers that wait for that reason, in the words of a dump: "sync.Mutex.Lock".
std::size_t waiting(const std::string& reason);

/// come_to_wait waits until n fibers are parked for that reason, in the queue of what they wait for.
inline bool come_to_wait(std::size_t n, const std::string& reason) {
    return eventually([&] { return waiting(reason) == n; });
}

/// in_some_try tells whether fn() is true in one of ten tries: for upper bounds on elapsed time, which a machine that stalls breaks now and then, and
/// a library that is late breaks always. What holds on every schedule is CHECKed inside fn.
template <typename Fn>
bool in_some_try(Fn&& fn) {
    for (int i = 0; i < 10; ++i) {
        if (fn()) return true;
    }
    return false;
}

/// StopFlag tells fibers that loop until it is set to end. They hold it by reference: its destructor sets it and waits until only the calling
/// fiber is left. Declare it after everything else that they use.
struct StopFlag : std::atomic<bool> {
    StopFlag() : std::atomic<bool>(false) {}
    using std::atomic<bool>::operator=;
    ~StopFlag() {
        store(true);
        all_gone();
    }
};

/// Workers says how each_workers runs its body.
struct Workers {
    std::size_t parked = 0;     ///< fibers that the body leaves parked for ever, on purpose
    weir::Options options = {}; ///< max_procs is replaced by 1, 2 and 4 in turn
    int status = 0;             ///< what run() must return
};

/// each_workers runs body as the main fiber at 1, 2 and 4 workers. Afterwards no fiber may be left over (save `parked`), run()
/// must have returned `status`, and no thread and no file descriptor of the run may remain.
void each_workers(const Workers& how, const std::function<void()>& body);
void each_workers(const std::function<void()>& body);

/// with_workers is one such run at n workers.
void with_workers(int n, const Workers& how, const std::function<void()>& body);
inline void with_workers(int n, const std::function<void()>& body) { with_workers(n, Workers{}, body); }

/// LeaksAllowed: LeakSanitizer overlooks what this thread allocates meanwhile. For runs that fail on purpose, whose fibers are abandoned.
struct LeaksAllowed {
#if WEIR_ASAN
    LeaksAllowed() { __lsan_disable(); }
    ~LeaksAllowed() { __lsan_enable(); }
#else
    LeaksAllowed() {}
    ~LeaksAllowed() {}
#endif
    LeaksAllowed(const LeaksAllowed&) = delete;
    LeaksAllowed& operator=(const LeaksAllowed&) = delete;
};

/// Death is how a child process ended.
struct Death {
    int status = 0;  ///< exit status, or 128 + the signal that killed it, or -1 when it had to be killed after the time limit
    std::string out; ///< what it wrote to stdout
    std::string err; ///< what it wrote to stderr
};

Death dies_with(const std::function<int()>& fn, std::chrono::seconds limit);

/// dies runs fn in a child process (its int result is the exit status). Only outside each_workers and weir::run: no other thread
/// may live. A CHECK in fn is lost: return a status or print instead.
template <typename Fn>
Death dies(Fn&& fn, std::chrono::seconds limit = 60s) {
    if constexpr (std::is_same_v<std::invoke_result_t<Fn&>, int>) {
        return dies_with(fn, limit);
    } else {
        return dies_with([&] { return fn(), 0; }, limit);
    }
}

/// run_alone runs one case of this executable, marked doctest::skip(), in a fresh process with more environment ("NAME=value").
Death run_alone(const std::string& test_case, const std::vector<std::string>& environment, std::chrono::seconds limit = 60s);

/// panic_text is the message of the panic that fn ends with, or "(no panic)".
template <typename Fn>
std::string panic_text(Fn&& fn) {
    auto panic = weir::catch_panic(std::forward<Fn>(fn));
    return panic ? panic->message() : std::string("(no panic)");
}

/// cpu_time is the processor time that this process has taken.
std::chrono::nanoseconds cpu_time();

inline bool starts_with(const std::string& text, const std::string& prefix) { return text.rfind(prefix, 0) == 0; }
inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
std::size_t count_of(const std::string& text, const std::string& part);

std::size_t open_fds();       ///< file descriptors of this process
std::size_t live_threads();   ///< threads of this process; one that has been joined may still be counted
std::size_t mappings();       ///< lines of /proc/self/maps
std::size_t resident_bytes(); ///< VmRSS of /proc/self/status

/// at_most_threads waits until no more than n threads are left.
bool at_most_threads(std::size_t n);

/// current_test is the name of the running test case.
const char* current_test() noexcept;

} // namespace weir_test

using namespace weir_test;
using namespace std::chrono_literals;
