// Site: where a panic or an exception began; taken in a hurry, looked at later if at all.
//
// Unwinding a stack costs as much as the throw itself, and of most panics nobody asks where they began. So a site is a copy of the used part of the
// fiber's stack with the registers, and is unwound when it is printed. Where that cannot be had (a plain thread, more than kMostCopied bytes in use,
// sanitizers, processors other than x86-64) it is the list of return addresses, taken at once.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>

#include "trace.h"

namespace weir::detail {

class Site {
public:
    static constexpr std::size_t kMostCopied = 16 << 10;

    /// trace lists the return addresses from the innermost frame, weir's own among them, on. Slow for a copied stack, and takes a lock.
    Trace trace() const;

    /// key is the same for sites whose trace is the same: made of the throwing instruction and of how much of the stack was in use.
    std::size_t key() const noexcept { return key_; }

    struct Free {
        void operator()(Site* site) const noexcept { std::free(site); }
    };

private:
    friend std::unique_ptr<Site, Free> take_site(const void* thrower, std::unique_ptr<Site, Free> old) noexcept;
    friend std::unique_ptr<Site, Free> site_of(const Trace& trace) noexcept;

    Site() = default;
    /// with_room makes a site with room for `size` bytes, out of `old` where that is large enough. Null without memory.
    static std::unique_ptr<Site, Free> with_room(std::size_t size, std::unique_ptr<Site, Free> old) noexcept;

    std::byte* bytes() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
    const std::byte* bytes() const noexcept { return reinterpret_cast<const std::byte*>(this + 1); }

    std::size_t key_ = 0;
    std::size_t room_ = 0;   // bytes behind this object
    std::size_t size_ = 0;   // of them in use: the stack from context_.sp up; 0: a Trace stands there
    SavedContext context_{}; // the registers that go with the stack
};

using SitePtr = std::unique_ptr<Site, Site::Free>;

/// take_site is the calling stack's; `thrower` is the instruction that throws. `old` is given back or used again. Null without memory.
SitePtr take_site(const void* thrower, SitePtr old = nullptr) noexcept;

/// site_of is a site whose return addresses are known. Null without memory.
SitePtr site_of(const Trace& trace) noexcept;

} // namespace weir::detail
