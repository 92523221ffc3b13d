// http::Header: the fields of one request or response.
//
//     w.header().set("Content-Type", "application/json");
//     if (r.header().get("accept") == "*/*") ...        // names match without regard to case
//     for (auto [name, value] : r.header()) ...         // in the order they came
//
// Names are kept in canonical form ("content-type" becomes "Content-Type"), as Go does. All text lives in one buffer that is
// reused from request to request, so a server adds fields without allocating. Not thread safe. Views it returns are valid until
// it is next changed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <weir/detail/config.h>

namespace weir::http {

/// Header is an ordered list of fields; a name may occur several times.
class WEIR_API Header {
    struct Field {
        std::uint32_t name; // where the name begins in text_
        std::uint32_t name_size;
        std::uint32_t value; // where the value begins in text_
        std::uint32_t value_size;
    };

public:
    /// get is the first value of that name, or "".
    std::string_view get(std::string_view name) const noexcept;
    /// has tells whether there is a field of that name.
    bool has(std::string_view name) const noexcept;
    /// values lists all values of that name.
    std::vector<std::string_view> values(std::string_view name) const;

    /// add appends a field. A name that HTTP does not allow is dropped; line breaks in the value become spaces, so that no caller
    /// can smuggle in a field of his own (both as Go's server writes them).
    void add(std::string_view name, std::string_view value);
    /// set replaces all fields of that name by one.
    void set(std::string_view name, std::string_view value);
    /// erase removes all fields of that name (Go's Del).
    void erase(std::string_view name);
    /// clear removes everything and keeps the memory, unless it was very much.
    void clear() noexcept;

    std::size_t size() const noexcept { return fields_.size(); }
    bool empty() const noexcept { return fields_.empty(); }

    /// Iterator gives (name, value) pairs of views.
    class Iterator {
    public:
        using value_type = std::pair<std::string_view, std::string_view>;
        using difference_type = std::ptrdiff_t;
        Iterator() noexcept = default;
        value_type operator*() const noexcept { return header_->at(index_); }
        Iterator& operator++() noexcept { return ++index_, *this; }
        Iterator operator++(int) noexcept { return {header_, index_++}; }
        bool operator==(const Iterator&) const noexcept = default;

    private:
        friend class Header;
        Iterator(const Header* header, std::size_t index) noexcept : header_(header), index_(index) {}
        const Header* header_ = nullptr;
        std::size_t index_ = 0;
    };
    Iterator begin() const noexcept { return {this, 0}; }
    Iterator end() const noexcept { return {this, fields_.size()}; }

private:
    std::string_view name_of(const Field& f) const noexcept { return {text_.data() + f.name, f.name_size}; }
    std::string_view value_of(const Field& f) const noexcept { return {text_.data() + f.value, f.value_size}; }
    std::pair<std::string_view, std::string_view> at(std::size_t i) const noexcept {
        return {name_of(fields_[i]), value_of(fields_[i])};
    }

    std::string text_; // names and values, back to back; removed ones stay until clear()
    std::vector<Field> fields_;
};

} // namespace weir::http
