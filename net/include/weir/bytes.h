// ByteView and ByteSpan: the buffers that reads and writes take.
//
//     char buf[4096];
//     auto [n, err] = conn.read(buf);          // an array, std::string, std::vector<std::byte>, std::span<char>, ...
//     conn.write("hello\n");                   // a literal without its final NUL
//     conn.write(ByteView(buf, n));
//
// Both are a pointer and a length and own nothing: the buffer must outlive the call. Anything contiguous made of bytes (char,
// unsigned char, std::byte, char8_t) converts.
#pragma once

#include <cstddef>
#include <ranges>
#include <string_view>
#include <type_traits>

namespace weir {

namespace detail {

template <class T>
concept ByteLike = std::is_same_v<std::remove_cv_t<T>, char> || std::is_same_v<std::remove_cv_t<T>, unsigned char> ||
                   std::is_same_v<std::remove_cv_t<T>, signed char> || std::is_same_v<std::remove_cv_t<T>, std::byte> ||
                   std::is_same_v<std::remove_cv_t<T>, char8_t>;

template <class R>
concept ByteRange = std::ranges::contiguous_range<R> && std::ranges::sized_range<R> &&
                    ByteLike<std::remove_reference_t<std::ranges::range_reference_t<R>>>;

template <class R>
concept MutableByteRange = ByteRange<R> && !std::is_const_v<std::remove_reference_t<std::ranges::range_reference_t<R>>>;

template <class R>
concept LiteralLike =
    std::is_array_v<std::remove_reference_t<R>> && std::is_const_v<std::remove_extent_t<std::remove_reference_t<R>>>;

} // namespace detail

/// ByteView is bytes to be read: what write() takes.
class ByteView {
public:
    constexpr ByteView() noexcept = default;
    ByteView(const void* data, std::size_t size) noexcept : data_(static_cast<const char*>(data)), size_(size) {}
    /// From text up to its NUL.
    template <class P>
        requires(std::is_same_v<P, const char*> || std::is_same_v<P, char*>)
    constexpr ByteView(const P& text) noexcept : data_(text), size_(std::string_view(text).size()) {}
    /// From anything contiguous made of bytes. A literal loses its terminating NUL; a char array that is not const is taken
    /// whole.
    template <class R>
        requires(detail::ByteRange<R> && !std::is_same_v<std::remove_cvref_t<R>, ByteView>)
    constexpr ByteView(R&& range) noexcept : size_(std::ranges::size(range)) {
        if constexpr (std::is_same_v<std::ranges::range_value_t<R>, char>) {
            data_ = std::ranges::data(range);
            if (detail::LiteralLike<R> && size_ > 0 && data_[size_ - 1] == '\0') --size_;
        } else {
            data_ = reinterpret_cast<const char*>(std::ranges::data(range));
        }
    }

    constexpr const char* data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr bool empty() const noexcept { return size_ == 0; }
    constexpr std::string_view text() const noexcept { return {data_, size_}; }

private:
    const char* data_ = nullptr;
    std::size_t size_ = 0;
};

/// ByteSpan is room for bytes: what read() fills. A std::string or std::vector is filled up to its present size.
class ByteSpan {
public:
    constexpr ByteSpan() noexcept = default;
    ByteSpan(void* data, std::size_t size) noexcept : data_(static_cast<char*>(data)), size_(size) {}
    template <class R>
        requires detail::MutableByteRange<R>
    ByteSpan(R&& range) noexcept : ByteSpan(std::ranges::data(range), std::ranges::size(range)) {}

    constexpr char* data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr bool empty() const noexcept { return size_ == 0; }

private:
    char* data_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace weir
