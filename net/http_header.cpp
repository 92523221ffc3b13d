#include <weir/http_header.h>

#include <algorithm>
#include <array>

#include "text.h"

namespace weir::http {

namespace {

constexpr auto kTokenTable = [] {
    std::array<bool, 256> table{};
    for (int c = 0; c < 256; ++c) table[static_cast<std::size_t>(c)] = detail::is_token_char(static_cast<char>(c));
    return table;
}();

/// append_canonical appends "content-type" as "Content-Type"; false, with `out` unchanged, when it is no token.
bool append_canonical(std::string& out, std::string_view name) {
    const std::size_t start = out.size();
    bool at_start = true;
    for (char c : name) {
        if (!kTokenTable[static_cast<unsigned char>(c)]) return out.resize(start), false;
        out.push_back(at_start ? detail::upper(c) : detail::lower(c));
        at_start = c == '-';
    }
    return !name.empty();
}

void append_value(std::string& out, std::string_view value) {
    const std::size_t start = out.size();
    out.append(value);
    if (value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos) return;
    std::replace_if(
        out.begin() + static_cast<std::ptrdiff_t>(start), out.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; },
        ' ');
}

} // namespace

std::string_view Header::get(std::string_view name) const noexcept {
    for (const Field& f : fields_) {
        if (detail::equal_fold(name_of(f), name)) return value_of(f);
    }
    return {};
}

bool Header::has(std::string_view name) const noexcept {
    return std::any_of(fields_.begin(), fields_.end(), [&](const Field& f) { return detail::equal_fold(name_of(f), name); });
}

std::vector<std::string_view> Header::values(std::string_view name) const {
    std::vector<std::string_view> found;
    for (const Field& f : fields_) {
        if (detail::equal_fold(name_of(f), name)) found.push_back(value_of(f));
    }
    return found;
}

void Header::add(std::string_view name, std::string_view value) {
    // text_ is about to move: views into it are copied first.
    const auto inside = [&](std::string_view v) { return v.data() >= text_.data() && v.data() < text_.data() + text_.size(); };
    if (inside(name) || inside(value)) {
        const std::string name_copy(name);
        const std::string value_copy(value);
        return add(name_copy, value_copy);
    }
    Field f{};
    f.name = static_cast<std::uint32_t>(text_.size());
    if (!append_canonical(text_, name)) return;
    f.name_size = static_cast<std::uint32_t>(name.size());
    f.value = static_cast<std::uint32_t>(text_.size());
    f.value_size = static_cast<std::uint32_t>(value.size());
    append_value(text_, value);
    fields_.push_back(f);
}

void Header::set(std::string_view name, std::string_view value) {
    const std::size_t before = fields_.size();
    add(name, value);
    if (fields_.size() == before) return;
    const Field added = fields_.back();
    fields_.pop_back();
    const auto same = [&](const Field& f) { return detail::equal_fold(name_of(f), name_of(added)); };
    const auto first = std::find_if(fields_.begin(), fields_.end(), same);
    if (first == fields_.end()) {
        fields_.push_back(added);
        return;
    }
    *first = added;
    fields_.erase(std::remove_if(first + 1, fields_.end(), same), fields_.end());
}

void Header::erase(std::string_view name) {
    std::erase_if(fields_, [&](const Field& f) { return detail::equal_fold(name_of(f), name); });
}

void Header::clear() noexcept {
    constexpr std::size_t kKept = 16 << 10; // one huge header must not stay in memory for the life of a connection
    if (text_.capacity() > kKept) {
        std::string().swap(text_);
        std::vector<Field>().swap(fields_);
    }
    text_.clear();
    fields_.clear();
}

} // namespace weir::http
