// Small programs over weir's own primitives, each of which holds under every schedule: explored as they are (explore_test.cpp),
// and with bugs planted in the primitives (planted_test.cpp).
#pragma once

#include <span>
#include <string_view>

namespace weir_test {

struct Program {
    std::string_view name;
    void (*run)(); // as the main fiber; panics when something does not hold
};

std::span<const Program> explore_programs();
const Program& explore_program(std::string_view name);

} // namespace weir_test
