#include <weir/singleflight.h>

#include "error_constant.h"

namespace weir {

namespace {
constinit const detail::ErrorConstant goexit_node("runtime.Goexit was called");
} // namespace

constinit const Error kGoexit(&goexit_node);

} // namespace weir
