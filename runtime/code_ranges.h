// Whose code an address lies in: what a fault there means, and whether a thread may be made to leave it.
//
// Told by the file that the code was loaded from. Where weir is linked statically its own code cannot be told from the program's.
#pragma once

#include <cstdint>

namespace weir::detail {

enum class CodeOwner : std::uint8_t {
    Program,   // the program, and every library not named here
    Libc,      // its system calls may be left: read() and the like hold no lock
    Library,   // libstdc++, libm, the sanitizers' interceptors, ...: may hold locks; unwinding passes through
    Unwinder,  // a fault in it means that the stack cannot be unwound
    Allocator, // a fault in it means that the heap is corrupt
    Runtime,   // weir itself and what its reports are made with
};

/// note_code_ranges reads the list of loaded files. Before a run; not async-signal-safe.
void note_code_ranges();

/// code_owner tells whose code `pc` lies in. Async-signal-safe.
CodeOwner code_owner(std::uintptr_t pc) noexcept;

} // namespace weir::detail
