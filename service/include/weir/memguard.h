// MemoryGuard: notice in time that the container runs out of memory, before the kernel kills it.
//
//     weir::MemoryGuard guard({.high = 0.85}, [&](const MemoryUse& use) {
//         log("memory at {} of {}", use.used, use.limit);    // on a fiber of its own: dump, shed load, stop caching
//         degraded = true;
//     }, [&](const MemoryUse&) { degraded = false; });
//
// It looks at the limit and the use of this process's control group (cgroup v2 or v1, kernel documentation admin-guide/cgroup-v2.rst), page cache
// that can be dropped not counted. At `high` of the limit it empties the pools and calls on_high, once; on_normal once it has fallen below
// `low`. Without a limit it never does.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include <weir/context.h>
#include <weir/detail/config.h>
#include <weir/waitgroup.h>

namespace weir {

/// MemoryUse of a control group, in bytes.
struct MemoryUse {
    std::uint64_t used = 0;
    std::uint64_t limit = 0; ///< 0: none
    double ratio() const noexcept { return limit == 0 ? 0 : static_cast<double>(used) / static_cast<double>(limit); }
};

/// memory_use reads the control group that limits this process the most. `root` is where the kernel's files are.
WEIR_API MemoryUse memory_use(const std::string& root = "");

struct MemoryGuardOptions {
    double high = 0.85; ///< of the limit
    double low = 0.75;
    std::chrono::nanoseconds every = std::chrono::seconds(1);
    /// Where the figures come from, for tests.
    std::function<MemoryUse()> read = [] { return memory_use(); };
};

class WEIR_API MemoryGuard {
public:
    using Handler = std::function<void(const MemoryUse&)>;

    /// Starts a fiber, which lives until stop(). Panics if low is above high.
    MemoryGuard(MemoryGuardOptions options, Handler on_high, Handler on_normal = {});
    MemoryGuard(const MemoryGuard&) = delete;
    MemoryGuard& operator=(const MemoryGuard&) = delete;
    /// Stops.
    ~MemoryGuard() { stop(); }

    /// stop blocks until a handler that runs has returned. Not to be called from one.
    void stop();

private:
    void watch(const Context& ctx);
    void look();

    const MemoryGuardOptions options_;
    const Handler on_high_;
    const Handler on_normal_;
    bool high_ = false; // the fiber's
    CancelFunc cancel_;
    WaitGroup watching_;
};

} // namespace weir
