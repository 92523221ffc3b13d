// Functions of every shape that a panic may cross or end in. Built several times, as compilers build differently.
#pragma once

#include <span>
#include <string>

namespace weir_test {

/// Thrower throws a weir::PanicException, by weir::panic or by itself.
using Thrower = void (*)();

/// FrameCase has a Thrower called below its frames and tells what happened there.
struct FrameCase {
    const char* name;
    std::string (*run)(Thrower thrower);
};

// One for each build.
namespace frames_o0 {
std::span<const FrameCase> cases();
}
namespace frames_o2 {
std::span<const FrameCase> cases();
}
namespace frames_no_fp {
std::span<const FrameCase> cases();
}
namespace frames_pushes {
std::span<const FrameCase> cases();
}

} // namespace weir_test
