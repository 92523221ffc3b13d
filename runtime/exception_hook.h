// The exception hook: what weir learns at every throw.
//
// During unwinding nothing in the C++ ABI says which exception is in flight, but recover() in a deferred call must answer just that. So
// __cxa_throw, __cxa_rethrow and std::rethrow_exception are interposed: each notes the object, then calls the next definition in
// link order (libstdc++'s, or a sanitizer's). A program in which something else comes first still works: recover() then sees C++
// exceptions as "unknown C++ exception".
#pragma once

namespace weir::detail {

/// note_throw records that `object` is about to be thrown on this fiber or thread, by the instruction before `thrower`; null: thrown again.
void note_throw(void* object, const void* thrower) noexcept;

/// next_definition is the function of that name that this library's stands before; without one the process ends.
void* next_definition(const char* symbol) noexcept;

} // namespace weir::detail
