#include "usage.h"

#include <fstream>
#include <string>

#include <sys/resource.h>

namespace perf {

Memory memory_now() {
    Memory m;
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("VmRSS:")) m.rss = std::stoll(line.substr(6)) * 1024;
        if (line.starts_with("VmPTE:")) m.page_tables = std::stoll(line.substr(6)) * 1024;
    }
    return m;
}

Clock::duration cpu_time() {
    rusage use{};
    getrusage(RUSAGE_SELF, &use);
    return std::chrono::seconds(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           std::chrono::microseconds(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

} // namespace perf
