#include "call_site.h"

#include <unwind.h>

namespace weir::detail {

namespace {

// The encodings that compilers use for call-site tables (LSB, DWARF extensions).
constexpr std::uint8_t kOmit = 0xff;
constexpr std::uint8_t kUleb128 = 0x01;
constexpr std::uint8_t kUdata4 = 0x03;

/// Reader of a language-specific data area.
class Reader {
public:
    explicit Reader(const std::uint8_t* at) : at_(at) {}

    std::uint8_t byte() noexcept { return *at_++; }
    std::uintptr_t uleb() noexcept {
        std::uintptr_t value = 0;
        for (unsigned shift = 0;; shift += 7) {
            std::uint8_t b = byte();
            value |= static_cast<std::uintptr_t>(b & 0x7f) << shift;
            if ((b & 0x80) == 0) return value;
        }
    }
    std::uintptr_t offset(std::uint8_t encoding) noexcept {
        if (encoding == kUleb128) return uleb();
        std::uintptr_t value = 0;
        for (unsigned i = 0; i < 4; ++i) value |= static_cast<std::uintptr_t>(byte()) << (8 * i);
        return value;
    }
    const std::uint8_t* at() const noexcept { return at_; }

private:
    const std::uint8_t* at_;
};

/// covers tells whether the call-site table of a function has the instruction at `offset` from its start. Where it has not, the compiler took the
/// instruction for one that cannot throw, and an exception ends in std::terminate.
bool covers(const void* lsda, std::uintptr_t offset) noexcept {
    Reader r(static_cast<const std::uint8_t*>(lsda));
    if (r.byte() != kOmit) return false;  // landing pads elsewhere: GCC and Clang do not write that for C++
    if (r.byte() != kOmit) r.uleb();              // where the type table is
    std::uint8_t encoding = r.byte();
    if (encoding != kUleb128 && encoding != kUdata4) return false;
    std::uintptr_t size = r.uleb();
    const std::uint8_t* end = r.at() + size;
    while (r.at() < end) {
        std::uintptr_t start = r.offset(encoding);
        std::uintptr_t length = r.offset(encoding);
        r.offset(encoding); // the landing pad
        r.uleb();           // the action
        if (offset >= start && offset < start + length) return true;
    }
    return false;
}

constexpr int kMostFrames = 64; // without tables: then an exception is taken to pass

struct Search {
    std::uintptr_t pc;
    int frames = 0; // looked at, from that of `pc` on
    bool can_throw = false;
};

_Unwind_Reason_Code step(_Unwind_Context* context, void* arg) {
    auto& search = *static_cast<Search*>(arg);
    int before = 0;
    std::uintptr_t pc = _Unwind_GetIPInfo(context, &before);
    if (search.frames == 0 && (pc != search.pc || before == 0)) return _URC_NO_REASON; // the handler's own frames
    const void* lsda = reinterpret_cast<const void*>(_Unwind_GetLanguageSpecificData(context));
    if (lsda == nullptr) {
        search.can_throw = ++search.frames == kMostFrames;
        return search.can_throw ? _URC_END_OF_STACK : _URC_NO_REASON;
    }
    search.can_throw = covers(lsda, pc - (before != 0 ? 0 : 1) - _Unwind_GetRegionStart(context));
    return _URC_END_OF_STACK;
}

} // namespace

bool can_throw_at(std::uintptr_t pc) noexcept {
    Search search{pc};
    _Unwind_Backtrace(step, &search);
    return search.can_throw;
}

} // namespace weir::detail
