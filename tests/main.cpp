// doctest's main, a reporter that names each case as it starts, and the watchdog.
//
// The watchdog is alarm(): it needs no thread, so that death tests can fork and leak checks can count threads.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#define DOCTEST_CONFIG_NO_POSIX_SIGNALS // the runtime owns SIGSEGV
#include "fixture.h"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include <unistd.h>

#if WEIR_TSAN
// Fibers count as threads to TSan, so that every death test looks like a fork of many threads.
extern "C" const char* __tsan_default_options() { return "die_after_fork=0:second_deadlock_stack=1:history_size=4"; }
#endif

namespace {

std::atomic<const char*> g_current{"(no test)"};

unsigned case_seconds() {
    const char* text = std::getenv("WEIR_TEST_TIMEOUT");
    const int seconds = text != nullptr ? std::atoi(text) : 0;
    return seconds > 0 ? static_cast<unsigned>(seconds) : 120;
}

void put(const char* text) { [[maybe_unused]] auto n = ::write(STDERR_FILENO, text, std::strlen(text)); }

void on_alarm(int) {
    put("\nwatchdog: test takes too long: ");
    put(g_current.load(std::memory_order_relaxed));
    put("\n");
    std::abort();
}

/// Progress prints each case's name and time, and arms the watchdog for it.
struct Progress : doctest::IReporter {
    explicit Progress(const doctest::ContextOptions&) {
        struct sigaction action = {};
        action.sa_handler = on_alarm;
        action.sa_flags = SA_ONSTACK | SA_RESTART;
        ::sigaction(SIGALRM, &action, nullptr);
    }
    void test_case_start(const doctest::TestCaseData& test) override {
        g_current.store(test.m_name, std::memory_order_relaxed);
        begun_ = Clock::now();
        std::cout << "- " << test.m_name << std::flush;
        ::alarm(case_seconds());
    }
    void test_case_end(const doctest::CurrentTestCaseStats& stats) override {
        ::alarm(0);
        const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun_).count();
        std::cout << (stats.failure_flags == 0 ? ": ok (" : ": FAILED (") << ms << " ms)" << std::endl;
        g_current.store("(between tests)", std::memory_order_relaxed);
    }
    void test_case_reenter(const doctest::TestCaseData&) override {}
    void report_query(const doctest::QueryData&) override {}
    void test_run_start() override {}
    void test_run_end(const doctest::TestRunStats&) override {}
    void test_case_exception(const doctest::TestCaseException&) override {}
    void subcase_start(const doctest::SubcaseSignature&) override {}
    void subcase_end() override {}
    void log_assert(const doctest::AssertData&) override {}
    void log_message(const doctest::MessageData&) override {}
    void test_case_skipped(const doctest::TestCaseData&) override {}

    Clock::time_point begun_;
};

} // namespace

DOCTEST_REGISTER_LISTENER("progress", 1, Progress);

const char* weir_test::current_test() noexcept { return g_current.load(std::memory_order_relaxed); }
