#include "memory.h"

#include <fstream>
#include <string>

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

} // namespace perf
