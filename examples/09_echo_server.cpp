// 09 echo server: one fiber per connection.
//
// You learn: listen, accept, dial, read and write block only the fiber that calls them, so a server
// is written straight down, a fiber for each connection, as in Go. Operations that can fail return
// a pair (result, error); an Error that is set converts to true. The end of the input is the error
// kEof. Closing the listener wakes the accept that waits in it.
//
// It prints:
//     echo to client 0: "water"
//     echo to client 1: "flows over"
//     echo to client 2: "the weir"
//     server stopped: use of closed network connection
#include <iostream>
#include <string>
#include <vector>

#include <weir/weir.h>

using namespace weir;

void echo(net::Conn conn) {
    WEIR_DEFER { conn.close(); };
    char buf[512];
    while (true) {
        auto [n, err] = conn.read(buf);
        if (err) return; // kEof: the client has said all
        conn.write(ByteView(buf, n));
    }
}

Error serve(net::Listener listener) {
    while (true) {
        auto [conn, err] = listener.accept();
        if (err) return err;
        go(echo, conn);
    }
}

// Sends `text` and returns all that comes back.
std::string ask(const std::string& address, const std::string& text) {
    auto [conn, err] = net::dial("tcp", address);
    if (err) return err.message();
    defer close{[&conn = conn] { conn.close(); }};

    conn.write(text);
    conn.close_write();
    std::string reply;
    char buf[512];
    while (true) {
        auto [n, err] = conn.read(buf);
        reply.append(buf, n);
        if (err) return reply;
    }
}

int main() {
    return run([] {
        auto [listener, err] = net::listen("tcp", "127.0.0.1:0"); // port 0: any that is free
        if (err) panic(err);
        chan<Error> stopped(1); // room for one: the server does not have to wait for whoever wants to know
        go([=, listener = listener] { stopped << serve(listener); });

        const std::string address = listener.addr().string();
        const std::vector<std::string> words{"water", "flows over", "the weir"};
        std::vector<std::string> replies(words.size());
        WaitGroup clients;
        for (std::size_t i = 0; i < words.size(); ++i) {
            clients.go([&, i] { replies[i] = ask(address, words[i]); });
        }
        clients.wait();
        for (std::size_t i = 0; i < replies.size(); ++i) {
            std::cout << "echo to client " << i << ": \"" << replies[i] << "\"\n";
        }

        listener.close();
        std::cout << "server stopped: " << stopped.recv().as<net::OpError>()->err << "\n";
    });
}
