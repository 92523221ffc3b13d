// weir_hello: an HTTP server that says hello, for wrk.
//
//     weir_hello [-procs N]
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <weir/http.h>
#include <weir/net.h>
#include <weir/runtime.h>

namespace {

int serve() {
    auto [listener, err] = weir::net::listen("tcp", "127.0.0.1:0");
    if (err) {
        std::fprintf(stderr, "weir_hello: %s\n", err.message().c_str());
        return 1;
    }
    weir::http::Mux mux;
    mux.handle("GET /", [](weir::http::ResponseWriter& w, const weir::http::Request&) { w.write("hello, world\n"); });
    std::printf("listening on http://%s\n", listener.addr().string().c_str());
    std::fflush(stdout);
    weir::http::Server server{.handler = mux};
    std::fprintf(stderr, "weir_hello: %s\n", server.serve(listener).message().c_str());
    return 1;
}

} // namespace

int main(int argc, char** argv) {
    const int procs = argc == 3 && std::strcmp(argv[1], "-procs") == 0 ? std::atoi(argv[2]) : 1;
    return weir::run(weir::Options{.max_procs = procs}, [] { return serve(); });
}
