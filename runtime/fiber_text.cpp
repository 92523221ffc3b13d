#include "fiber_text.h"

#include <cstdio>

namespace weir::detail {

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        switch (c) {
        case '"': out += "\\\""; break;
        case '\\': out += "\\\\"; break;
        case '\n': out += "\\n"; break;
        case '\t': out += "\\t"; break;
        case '\r': out += "\\r"; break;
        default:
            if (static_cast<unsigned char>(c) >= 0x20) {
                out += c;
            } else {
                char code[8];
                std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(static_cast<unsigned char>(c)));
                out += code;
            }
        }
    }
    return out + '"';
}

std::string fiber_header(const FiberTitle& fiber, std::string_view state) {
    std::string labels;
    const auto add = [&](std::string_view key, std::string_view value) {
        labels += (labels.empty() ? " labels:{" : ", ") + quoted(key) + ": " + quoted(value);
    };
    if (!fiber.name.empty()) add("name", fiber.name);
    for (const auto& [key, value] : fiber.labels) add(key, value);
    if (!labels.empty()) labels += '}';
    return "goroutine " + std::to_string(fiber.id) + " [" + std::string(state) + (fiber.locked_to_thread ? ", locked to thread" : "") + labels + "]:\n";
}

} // namespace weir::detail
