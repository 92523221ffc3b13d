#include "handlers.h"

#include <charconv>
#include <iostream>
#include <sstream>
#include <string>

#include <weir/debug.h>

#include "crashes.h"
#include "json.h"

namespace orders {

namespace http = weir::http;
using weir::Error;

namespace {

constexpr std::string_view kJson = "application/json";

void answer(http::ResponseWriter& w, int status, const std::string& json) {
    w.header().set("Content-Type", kJson);
    w.write_header(status);
    w.write(json + "\n");
}

void answer_error(http::ResponseWriter& w, int status, std::string_view text) { answer(w, status, error_json(text)); }

/// answer_failure answers with the status that an error of the service means.
void answer_failure(http::ResponseWriter& w, const Error& err) {
    int status = http::kStatusInternalServerError;
    if (err.is(kNotFound)) {
        status = http::kStatusNotFound;
    } else if (err.is(kBusy)) {
        status = http::kStatusServiceUnavailable;
        w.header().set("Retry-After", "1");
    } else if (err.is(weir::kDeadlineExceeded)) {
        status = http::kStatusGatewayTimeout;
    } else if (err.is(weir::kCanceled)) {
        status = http::kStatusServiceUnavailable; // the client has hung up: nobody will read it
    } else {
        std::cerr << "orders: " + err.message() + "\n";
    }
    answer_error(w, status, err.message());
}

void post_order(Service& service, http::ResponseWriter& w, const http::Request& r) {
    auto [wanted, bad] = parse_order(r.body());
    if (!bad) bad = validate(wanted);
    if (bad) return answer_error(w, http::kStatusBadRequest, bad.message());

    auto [order, err] = service.place(r.context(), std::move(wanted));
    if (err) return answer_failure(w, err);
    w.header().set("Location", "/orders/" + std::to_string(order.id));
    answer(w, http::kStatusCreated, to_json(order));
}

void get_order(Service& service, http::ResponseWriter& w, const http::Request& r) {
    const std::string& text = r.path_value("id");
    std::int64_t id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (error != std::errc() || end != text.data() + text.size()) return answer_failure(w, kNotFound);

    auto [order, err] = service.find(id);
    if (err) return answer_failure(w, err);
    answer(w, http::kStatusOK, to_json(order));
}

void get_health(http::ResponseWriter& w, const http::Request&) { answer(w, http::kStatusOK, R"({"status":"ok"})"); }

void get_fibers(http::ResponseWriter& w, const http::Request&) {
    std::ostringstream dump;
    weir::debug::dump_fibers(dump);
    w.header().set("Content-Type", "text/plain; charset=utf-8");
    w.write(dump.str());
}

/// json_errors is a middleware: it turns the plain-text errors of others (the Mux's 404 and 405, the 500 of recovered) into ours.
http::Handler json_errors(http::Handler next) {
    return [next = std::move(next)](http::ResponseWriter& w, const http::Request& r) {
        next(w, r);
        const int status = w.status();
        if (status < 400 || w.header().get("Content-Type") == kJson) return;
        const std::string allow(w.header().get("Allow"));
        if (!w.reset()) return; // part of it has left already
        if (!allow.empty()) w.header().set("Allow", allow);
        answer_error(w, status, http::status_text(status));
    };
}

} // namespace

http::Handler handler(Service& service, bool crash_routes) {
    http::Mux mux;
    mux.handle("POST /orders", [&](http::ResponseWriter& w, const http::Request& r) { post_order(service, w, r); });
    mux.handle("GET /orders/{id}", [&](http::ResponseWriter& w, const http::Request& r) { get_order(service, w, r); });
    mux.handle("GET /healthz", get_health);
    mux.handle("GET /debug/fibers", get_fibers);
    if (crash_routes) add_crash_routes(mux);
    return json_errors(http::recovered(mux));
}

} // namespace orders
