#include <weir/memguard.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>

#include <weir/panic.h>
#include <weir/pool.h>
#include <weir/select.h>

namespace weir {

namespace {

/// Files names what the two versions of control groups call the same things.
struct Files {
    const char* limit;
    const char* used;
    const char* droppable; // in memory.stat
};
constexpr Files kV2{"memory.max", "memory.current", "inactive_file"};
constexpr Files kV1{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"};
constexpr std::uint64_t kV1NoLimit = std::uint64_t{1} << 60; // v1 says "none" by a number near the largest

std::optional<std::uint64_t> read_number(const std::string& path) {
    std::ifstream file(path);
    std::uint64_t n = 0;
    if (file >> n) return n;
    return std::nullopt; // missing, or "max"
}

std::uint64_t read_stat(const std::string& path, const std::string& wanted) {
    std::ifstream file(path);
    std::string name;
    std::uint64_t n = 0;
    while (file >> name >> n) {
        if (name == wanted) return n;
    }
    return 0;
}

/// Group is where this process's group is in the tree.
struct Group {
    std::string tree; // "/sys/fs/cgroup", or with "/memory"
    std::string path; // "/a/b"; "/" for the root
    Files files;
};

/// find_group reads /proc/self/cgroup: "0::/path" is v2's line, "9:memory:/path" v1's.
Group find_group(const std::string& root) {
    Group group{root + "/sys/fs/cgroup", "/", kV2};
    std::ifstream file(root + "/proc/self/cgroup");
    for (std::string line; std::getline(file, line);) {
        std::istringstream fields(line);
        std::string id, controllers, path;
        std::getline(fields, id, ':');
        std::getline(fields, controllers, ':');
        std::getline(fields, path);
        const bool v1 = ("," + controllers + ",").find(",memory,") != std::string::npos;
        if (v1) return {root + "/sys/fs/cgroup/memory", path, kV1};
        if (controllers.empty()) group.path = path;
    }
    return group;
}

MemoryUse read_use(const Group& group, const std::string& path) {
    const std::string at = group.tree + path + "/";
    MemoryUse use;
    use.limit = read_number(at + group.files.limit).value_or(0);
    if (use.limit >= kV1NoLimit) use.limit = 0;
    const std::uint64_t used = read_number(at + group.files.used).value_or(0);
    use.used = used - std::min(used, read_stat(at + "memory.stat", group.files.droppable));
    return use;
}

} // namespace

MemoryUse memory_use(const std::string& root) {
    const Group group = find_group(root);
    MemoryUse tightest;
    // A limit of any group above holds too. In a container the path is that outside: then only the tree's root is there.
    for (std::string path = group.path == "/" ? "" : group.path;; path.resize(path.rfind('/'))) {
        const MemoryUse use = read_use(group, path);
        if (use.ratio() > tightest.ratio() || (tightest.limit == 0 && use.used != 0)) tightest = use;
        if (path.empty()) return tightest;
    }
}

MemoryGuard::MemoryGuard(MemoryGuardOptions options, Handler on_high, Handler on_normal)
    : options_(std::move(options)), on_high_(std::move(on_high)), on_normal_(std::move(on_normal)) {
    if (options_.low > options_.high) panic("memory guard: low is above high");
    auto [ctx, cancel] = with_cancel(background());
    cancel_ = cancel;
    watching_.go([this, ctx = ctx] { watch(ctx); });
}

void MemoryGuard::stop() {
    cancel_();
    watching_.wait();
}

void MemoryGuard::watch(const Context& ctx) {
    while (!ctx.err()) {
        look();
        select(recv(ctx.done()), timeout(options_.every));
    }
}

void MemoryGuard::look() {
    const MemoryUse use = options_.read();
    const Handler* handler = nullptr;
    if (!high_ && use.ratio() >= options_.high) {
        high_ = true;
        shrink_pools();
        handler = &on_high_;
    } else if (high_ && use.ratio() < options_.low) {
        high_ = false;
        handler = &on_normal_;
    }
    if (handler == nullptr || !*handler) return;
    WaitGroup handling; // on a fiber of its own: should it panic, the guard goes on
    handling.go([&] { (*handler)(use); });
    handling.wait();
}

} // namespace weir
