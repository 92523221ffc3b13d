// orders: the order service that articles about Go port, on fibers. An example of a whole program.
//
// It shows: a request's fiber, its child with a context and a timeout, a worker pool fed by a channel, a blocking library
// (SQLite) behind one fiber, panics that cost one request, and an orderly end on SIGTERM. Read on in service.cpp, payments.cpp,
// store.cpp, handlers.cpp.
#include <chrono>
#include <csignal>
#include <cstring>
#include <iostream>
#include <string>

#include <unistd.h>

#include <weir/weir.h>

#include "flags.h"
#include "handlers.h"
#include "payments.h"
#include "service.h"
#include "store.h"

namespace orders {

using namespace std::chrono_literals;
using namespace weir;

namespace {

constexpr auto kDrainTime = 5s; // longer than any payment may take
constexpr std::size_t kMaxBodyBytes = 64 << 10;

constexpr const char* kTry[] = {
    R"(/orders -d '{"item": "tea", "quantity": 2}')",
    R"(/orders/1)",
    R"(/orders -d '{"item": "tea", "quantity": -1}'   # poison: the validator panics)",
    R"(/healthz)",
    R"(/debug/fibers)",
};

int fail(const std::string& text) {
    std::cerr << "orders: " << text << "\n";
    return 1;
}

void print_welcome(const std::string& address, const Flags& flags) {
    std::cout << "orders: listening on http://" << address << ", database " << flags.db << "\ntry:\n";
    for (const char* request : kTry) std::cout << "  curl -i http://" << address << request << "\n";
    std::cout << "stop with Ctrl-C or: kill " << getpid() << std::endl;
}

/// serve runs the service until a signal ends it; returns the exit status.
int serve(const Flags& flags) {
    auto [store, store_error] = Store::open(flags.db);
    if (store_error) return fail(store_error.message());
    auto [listener, listen_error] = net::listen("tcp", "127.0.0.1:" + std::to_string(flags.port));
    if (listen_error) return fail(listen_error.message());

    PaymentPool payments(flags.workers, std::chrono::milliseconds(flags.gateway_ms));
    Service service(payments, *store);
    http::Server server{.handler = handler(service, flags.crash_routes),
                        .read_timeout = 10s,
                        .read_header_timeout = 5s,
                        .idle_timeout = 60s,
                        .max_body_bytes = kMaxBodyBytes};

    chan<int> signals(1);
    signal_notify(signals, SIGTERM, SIGINT);
    chan<Error> stopped(1);
    WaitGroup serving; // waited for below: the fiber uses what is on this stack
    serving.go([&, &listener = listener] { stopped << server.serve(listener); });
    print_welcome(listener.addr().string(), flags);

    int status = 0;
    select(recv(signals, [&](int signal) { std::cout << "orders: " << strsignal(signal) << ", draining" << std::endl; }),
           recv(stopped, [&](const Error& err) { status = fail(err.message()); }));

    auto [ctx, cancel] = with_timeout(background(), kDrainTime);
    if (Error err = server.shutdown(ctx)) {
        std::cerr << "orders: some requests did not end in time, cutting them off: " << err << "\n";
        server.close();
    }
    cancel();
    serving.wait();
    return status; // the destructors wait for the payments under way, and for the store to write what it has
}

} // namespace

} // namespace orders

int main(int argc, char** argv) {
    auto [flags, err] = orders::parse_flags(argc, argv);
    if (err) {
        std::cerr << "orders: " << err << "\n" << orders::usage();
        return 2;
    }
    if (flags.help) {
        std::cout << orders::usage();
        return 0;
    }
    return weir::run([&flags = flags] { return orders::serve(flags); });
}
