// Memory: what the kernel counts for this process, in bytes.
#pragma once

#include <cstdint>

namespace perf {

struct Memory {
    std::int64_t rss = 0;
    std::int64_t page_tables = 0;
};

Memory memory_now();

} // namespace perf
