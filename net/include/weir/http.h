// http: HTTP/1.1 server, routing and client, Go's net/http.
//
//     http::Mux mux;
//     mux.handle("GET /hello/{name}", hello);            // void hello(http::ResponseWriter& w, const http::Request& r)
//     http::Server srv{.addr = ":8080", .handler = http::recovered(mux)};
//     Error err = srv.listen_and_serve();
//     auto [resp, err] = http::get("http://127.0.0.1:8080/hello/gopher");
//
// This header only gathers the others; each says what its part blocks, allocates and which threads may use it.
#pragma once

#include <weir/http_client.h>
#include <weir/http_header.h>
#include <weir/http_mux.h>
#include <weir/http_recorder.h>
#include <weir/http_request.h>
#include <weir/http_response.h>
#include <weir/http_server.h>
#include <weir/http_status.h>
