#include "crashes.h"

#include <cstdlib>
#include <stdexcept>

#include <weir/http.h>

namespace orders {

namespace http = weir::http;

namespace {

// What the compiler must not see through.
int* volatile g_null = nullptr;
volatile int g_zero = 0;
volatile int g_dividend = 7; // of 1 / x some compilers make a comparison
volatile int g_sink = 0;

int read_null() { return *g_null; }
int divide() { return g_dividend / g_zero; }

int recurse(int depth) {
    volatile char frame[1024];
    frame[depth % 1024] = 1;
    return g_zero == 0 ? recurse(depth + 1) + frame[depth % 1024] : 0;
}

void crash(const std::string& kind) {
    if (kind == "null") g_sink = read_null();
    if (kind == "div") g_sink = divide();
    if (kind == "overflow") g_sink = recurse(0);
    if (kind == "throw") throw std::runtime_error("a crash route was asked for");
    if (kind == "abort") std::abort();
}

} // namespace

void add_crash_routes(http::Mux& mux) {
    mux.handle("GET /crash/{kind}", [](http::ResponseWriter& w, const http::Request& r) {
        crash(r.path_value("kind"));
        http::error(w, "no such crash", http::kStatusNotFound);
    });
}

} // namespace orders
