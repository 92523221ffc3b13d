// Routes that crash, for the load test and for trying out: what a bug in a handler does to everybody else, which is nothing.
#pragma once

#include <weir/http_mux.h>

namespace orders {

/// add_crash_routes adds GET /crash/KIND, where KIND is one of
///
///     null, div, overflow, throw   a fault, a stack overflow, an exception: panics, which http::recovered answers
///     abort                        cannot be unwound: the request's fiber is abandoned, and the server answers for it
void add_crash_routes(weir::http::Mux& mux);

} // namespace orders
