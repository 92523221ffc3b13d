// What the programs must come to, found the plain way.
#pragma once

#include <cstddef>
#include <cstdint>

namespace perf {

int nth_prime(std::size_t n);

std::int64_t fib_by_addition(std::int64_t n);

} // namespace perf
