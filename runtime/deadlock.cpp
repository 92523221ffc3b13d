#include "deadlock.h"

#include <csignal>
#include <cstdlib>
#include <dirent.h>
#include <fstream>
#include <mutex>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

#include <weir/detail/dump.h>
#include "report.h"
#include "scheduler.h"

namespace weir::detail {

namespace {

constexpr const char* kTasks = "/proc/self/task";

#if WEIR_TSAN

/// is_sanitizers tells TSan's background threads (one, and another after a fork) by their blocking SIGSEGV, which no other thread does.
bool is_sanitizers(const char* tid) {
    std::ifstream status(std::string(kTasks) + "/" + tid + "/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("SigBlk:")) return (std::strtoull(line.c_str() + 7, nullptr, 16) >> (SIGSEGV - 1) & 1) != 0;
    }
    return false;
}

/// linked_tasks cannot tell the sanitizer's own.
int linked_tasks() noexcept { return -1; }

#else

bool is_sanitizers(const char*) { return false; }

/// linked_tasks is what the directory's count of links says, one system call; negative where the system does not count them.
int linked_tasks() noexcept {
    constexpr int kItself = 2; // "." and its name in the parent
    struct stat tasks{};
    return stat(kTasks, &tasks) == 0 && tasks.st_nlink > kItself ? static_cast<int>(tasks.st_nlink) - kItself : -1;
}

#endif

} // namespace

int process_threads() noexcept {
    if (const int linked = linked_tasks(); linked > 0) return linked;
    DIR* dir = opendir(kTasks);
    if (dir == nullptr) return -1;
    int threads = 0;
    while (dirent* entry = readdir(dir)) threads += entry->d_name[0] != '.' && !is_sanitizers(entry->d_name);
    closedir(dir);
    return threads;
}

int threads_outside() noexcept {
    int threads = process_threads();
    if (threads < 0) return 1; // cannot tell
    if (scheduler()->seeded != nullptr) return threads - 1; // the one that called run
    int ours = 2 + scheduler()->worker_count.load(std::memory_order_acquire); // the workers, the monitor, and the thread blocked in run
    return threads - ours;
}

std::string deadlock_text(Scheduler& s) {
    const char* what = s.main_goexit.load(std::memory_order_acquire) && s.live_fibers() == 0
                           ? "fatal error: no goroutines (main called goexit) - deadlock!\n"
                           : "fatal error: all goroutines are asleep - deadlock!\n";
    return what + ("\n" + dump_all_fibers());
}

void report_deadlock(Scheduler& s) noexcept {
    static std::mutex once; // never unlocked: one report is enough
    once.lock();
    write_stderr(deadlock_text(s) + seed_note());
    _exit(2);
}

} // namespace weir::detail
