// Usage: what the kernel counts for this process.
#pragma once

#include <cstdint>

#include "bench.h"

namespace perf {

/// Memory is in bytes.
struct Memory {
    std::int64_t rss = 0;
    std::int64_t page_tables = 0;
};

Memory memory_now();

/// cpu_time is the processor time used so far, user and system.
Clock::duration cpu_time();

} // namespace perf
