#include "deadlock.h"

#include <cstdlib>
#include <dirent.h>
#include <mutex>
#include <unistd.h>

#include <weir/detail/dump.h>
#include "report.h"
#include "scheduler.h"

namespace weir::detail {

int threads_outside() noexcept {
    DIR* dir = opendir("/proc/self/task");
    if (dir == nullptr) return 1; // cannot tell
    int threads = 0;
    while (dirent* entry = readdir(dir)) threads += entry->d_name[0] != '.';
    closedir(dir);
    int ours = 2 + scheduler()->worker_count.load(std::memory_order_acquire); // the workers, the monitor, and the thread blocked in run
#if WEIR_TSAN
    ++ours; // TSan's background thread
#endif
    return threads - ours;
}

void report_deadlock(Scheduler& s) noexcept {
    static std::mutex once; // never unlocked: one report is enough
    once.lock();
    const char* what = s.main_goexit.load(std::memory_order_acquire) && s.live_fibers() == 0
                           ? "fatal error: no goroutines (main called goexit) - deadlock!\n"
                           : "fatal error: all goroutines are asleep - deadlock!\n";
    write_stderr(what + ("\n" + dump_all_fibers()));
    _exit(2);
}

} // namespace weir::detail
