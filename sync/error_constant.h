// ErrorConstant: one of the library's own errors. Its fields are literals, so that it is there before any constructor runs.
#pragma once

#include <cstdint>
#include <string>

#include <weir/detail/error_node.h>

namespace weir::detail {

class ErrorConstant final : public ErrorNode {
public:
    enum class Timeout : std::uint8_t { No, Yes };

    constexpr explicit ErrorConstant(const char* text, Timeout timeout = Timeout::No) noexcept
        : ErrorNode(Lifetime::Immortal), text_(text), timeout_(timeout) {}
    std::string message() const override { return text_; }
    bool timeout() const noexcept override { return timeout_ == Timeout::Yes; }

private:
    const char* text_;
    Timeout timeout_;
};

} // namespace weir::detail
