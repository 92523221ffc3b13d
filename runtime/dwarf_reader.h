// DwarfReader: the numbers that unwinding tables are made of (DWARF 5, 7.6; LSB, DWARF extensions). Async-signal-safe.
#pragma once

#include <cstdint>
#include <cstring>

namespace weir::detail {

// Encodings of pointers: how they are written, below the mask, and what they are relative to.
namespace dwarf {
constexpr std::uint8_t kOmit = 0xff;
constexpr std::uint8_t kForm = 0x0f;
constexpr std::uint8_t kAbsolute = 0x00;
constexpr std::uint8_t kUleb128 = 0x01;
constexpr std::uint8_t kUdata2 = 0x02;
constexpr std::uint8_t kUdata4 = 0x03;
constexpr std::uint8_t kUdata8 = 0x04;
constexpr std::uint8_t kSdata2 = 0x0a;
constexpr std::uint8_t kSdata4 = 0x0b;
constexpr std::uint8_t kSdata8 = 0x0c;
constexpr std::uint8_t kBase = 0x70;
constexpr std::uint8_t kPcRelative = 0x10;
constexpr std::uint8_t kIndirect = 0x80;
} // namespace dwarf

class DwarfReader {
public:
    explicit DwarfReader(const void* at) noexcept : at_(static_cast<const std::uint8_t*>(at)) {}

    const std::uint8_t* at() const noexcept { return at_; }
    /// ok turns false for good at an encoding that compilers do not write for C++ on Linux.
    bool ok() const noexcept { return ok_; }
    void skip(std::uintptr_t bytes) noexcept { at_ += bytes; }

    std::uint8_t byte() noexcept { return *at_++; }

    template <class T>
    T fixed() noexcept {
        T value;
        std::memcpy(&value, at_, sizeof value);
        at_ += sizeof value;
        return value;
    }

    std::uintptr_t uleb() noexcept {
        unsigned shift = 0;
        return bits(shift);
    }

    std::intptr_t sleb() noexcept {
        unsigned shift = 0;
        std::uintptr_t value = bits(shift);
        if (shift < 64 && (at_[-1] & 0x40) != 0) value |= ~std::uintptr_t{0} << shift;
        return static_cast<std::intptr_t>(value);
    }

    /// number is what is written there, by itself.
    std::uintptr_t number(std::uint8_t encoding) noexcept {
        switch (encoding & dwarf::kForm) {
        case dwarf::kAbsolute:
        case dwarf::kUdata8:
        case dwarf::kSdata8:
            return fixed<std::uintptr_t>();
        case dwarf::kUleb128:
            return uleb();
        case dwarf::kUdata2:
            return fixed<std::uint16_t>();
        case dwarf::kUdata4:
            return fixed<std::uint32_t>();
        case dwarf::kSdata2:
            return static_cast<std::uintptr_t>(std::intptr_t{fixed<std::int16_t>()});
        case dwarf::kSdata4:
            return static_cast<std::uintptr_t>(std::intptr_t{fixed<std::int32_t>()});
        default:
            ok_ = false;
            return 0;
        }
    }

    /// pointer is what the number stands for; null stays null.
    std::uintptr_t pointer(std::uint8_t encoding) noexcept {
        auto here = reinterpret_cast<std::uintptr_t>(at_);
        std::uintptr_t value = number(encoding);
        if (value == 0) return 0;
        switch (encoding & dwarf::kBase) {
        case dwarf::kAbsolute:
            break;
        case dwarf::kPcRelative:
            value += here;
            break;
        default:
            ok_ = false;
            return 0;
        }
        return (encoding & dwarf::kIndirect) != 0 ? *reinterpret_cast<const std::uintptr_t*>(value) : value;
    }

private:
    std::uintptr_t bits(unsigned& shift) noexcept {
        std::uintptr_t value = 0;
        for (;; shift += 7) {
            std::uint8_t b = byte();
            if (shift < 64) value |= static_cast<std::uintptr_t>(b & 0x7f) << shift;
            if ((b & 0x80) != 0) continue;
            shift += 7;
            return value;
        }
    }

    const std::uint8_t* at_;
    bool ok_ = true;
};

} // namespace weir::detail
