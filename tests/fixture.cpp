#include "fixture.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <dirent.h>
#include <fstream>
#include <poll.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <weir/detail/dump.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

namespace weir_test {

bool slow_build() noexcept { return WEIR_ASAN != 0 || WEIR_TSAN != 0 || RUNNING_ON_VALGRIND != 0; }

std::size_t stress(std::size_t n) noexcept { return slow_build() ? std::max<std::size_t>(1, n / 20) : n; }

std::chrono::nanoseconds patience(std::chrono::nanoseconds d) noexcept { return slow_build() ? 10 * d : d; }

std::size_t count_of(const std::string& text, const std::string& part) {
    std::size_t n = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++n;
    return n;
}

namespace {

std::size_t entries(const char* path) {
    DIR* dir = ::opendir(path);
    if (dir == nullptr) return 0;
    std::size_t n = 0;
    while (const dirent* entry = ::readdir(dir)) n += entry->d_name[0] != '.';
    ::closedir(dir);
    return n;
}

} // namespace

std::size_t open_fds() { return entries("/proc/self/fd"); }
std::size_t live_threads() { return entries("/proc/self/task"); }

bool at_most_threads(std::size_t n) {
    const auto until = Clock::now() + patience(20s);
    while (live_threads() > n) {
        if (Clock::now() > until) return false;
        ::usleep(1000);
    }
    return true;
}

std::size_t waiting(const std::string& reason) { return count_of(weir::detail::dump_all_fibers(), " [" + reason + "]:"); }

std::chrono::nanoseconds cpu_time() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

std::size_t mappings() {
    std::ifstream maps("/proc/self/maps");
    return static_cast<std::size_t>(std::count(std::istreambuf_iterator<char>(maps), {}, '\n'));
}

std::size_t resident_bytes() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (starts_with(line, "VmRSS:")) return std::strtoull(line.c_str() + 6, nullptr, 10) * 1024;
    }
    return 0;
}

void with_workers(int n, const Workers& how, const std::function<void()>& body) {
    static const bool warm = (std::thread([] {}).join(), true); // TSan starts a thread of its own beside the first one
    (void)warm;
    const std::size_t threads = live_threads();
    const std::size_t fds = open_fds();
    std::exception_ptr failed; // a REQUIRE that did not hold ends the test case, not just the run
    weir::Options options = how.options;
    options.max_procs = n;
    const int status = weir::run(options, [&] {
        try {
            body();
        } catch (const doctest::detail::TestFailureException&) {
            failed = std::current_exception();
        }
        const bool none_left = eventually([&] { return weir::num_fibers() == 1 + how.parked; }, 20s);
        CHECK_MESSAGE(none_left, (weir::num_fibers() - 1), " fibers left over at ", n, " workers, expected ", how.parked);
    });
    if (failed) std::rethrow_exception(failed);
    CHECK_MESSAGE(status == how.status, "run returned ", status, " at ", n, " workers");
    CHECK_MESSAGE(at_most_threads(threads), (live_threads() - threads), " threads left over at ", n, " workers");
    CHECK_MESSAGE(open_fds() == fds, "file descriptors before: ", fds, ", after: ", open_fds(), ", at ", n, " workers");
}

void each_workers(const Workers& how, const std::function<void()>& body) {
    for (int n : {1, 2, 4}) with_workers(n, how, body);
}

void each_workers(const std::function<void()>& body) { each_workers(Workers{}, body); }

namespace {

struct Pipe {
    Pipe() {
        if (::pipe(ends) != 0) throw std::runtime_error("pipe failed");
    }
    int ends[2];
};

/// drain reads what both pipes carry until their writers are gone or time is up; false on time-out.
bool drain(int out, int err, Death& death, Clock::time_point until) {
    struct pollfd fds[] = {{out, POLLIN, 0}, {err, POLLIN, 0}};
    std::string* texts[] = {&death.out, &death.err};
    for (int open = 2; open > 0;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
        if (left <= 0) return false;
        if (::poll(fds, 2, static_cast<int>(left)) < 0 && errno != EINTR) return false;
        for (int i = 0; i < 2; ++i) {
            if (fds[i].fd < 0 || fds[i].revents == 0) continue;
            char buffer[4096];
            const ssize_t n = ::read(fds[i].fd, buffer, sizeof buffer);
            if (n > 0) {
                texts[i]->append(buffer, static_cast<std::size_t>(n));
            } else if (n == 0 || errno != EINTR) {
                fds[i].fd = -1;
                --open;
            }
        }
    }
    return true;
}

} // namespace

Death run_alone(const std::string& test_case, const std::vector<std::string>& environment, std::chrono::seconds limit) {
    const Death death = dies_with(
        [&]() -> int {
            for (const std::string& variable : environment) ::putenv(const_cast<char*>(variable.c_str()));
            const std::string only = "--test-case=" + test_case;
            ::execl("/proc/self/exe", "alone", only.c_str(), "--no-skip", static_cast<char*>(nullptr));
            return 127;
        },
        limit);
    CHECK_MESSAGE(contains(death.out, "- " + test_case), "no such case: ", test_case);
    return death;
}

Death dies_with(const std::function<int()>& fn, std::chrono::seconds limit) {
    Pipe out, err;
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child < 0) throw std::runtime_error("fork failed");
    if (child == 0) {
        ::dup2(out.ends[1], STDOUT_FILENO);
        ::dup2(err.ends[1], STDERR_FILENO);
        for (int fd : {out.ends[0], out.ends[1], err.ends[0], err.ends[1]}) ::close(fd);
        const int status = fn();
        std::fflush(nullptr);
        ::_exit(status);
    }
    ::close(out.ends[1]);
    ::close(err.ends[1]);

    Death death;
    const bool ended = drain(out.ends[0], err.ends[0], death, Clock::now() + patience(limit));
    if (!ended) ::kill(child, SIGKILL);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    ::close(out.ends[0]);
    ::close(err.ends[0]);
    if (!ended) {
        death.status = -1;
        death.err += "\n(killed: did not end in time)\n";
    } else {
        death.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return death;
}

} // namespace weir_test
