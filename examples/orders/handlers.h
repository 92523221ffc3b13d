// The HTTP side of the service: which request does what, and which error is which status.
#pragma once

#include <weir/http.h>

#include "service.h"

namespace orders {

/// handler answers all of the service's requests; it refers to `service` for as long as it lives. `crash_routes` adds GET /crash/KIND.
///
///     POST /orders        {"item": text, "quantity": number}: 201 with the order and its Location
///     GET  /orders/{id}   the order
///     GET  /healthz       {"status": "ok"}
///     GET  /debug/fibers  every fiber, where it waits, since when, and who created it
///
/// Errors are {"error": reason}.
weir::http::Handler handler(Service& service, bool crash_routes);

} // namespace orders
