// After a read that did not fill its buffer the next one waits for an event: nothing that needs none may be missed.
#include "net_fixture.h"

#include <array>
#include <cstring>
#include <string>

#include <sys/socket.h>
#include <unistd.h>

namespace {

/// read_some reads once, into a buffer larger than what comes.
std::string read_some(const net::Conn& c) {
    std::array<char, 512> buf;
    const auto [n, err] = c.read(buf);
    return err ? err.message() : std::string(buf.data(), n);
}

void send_urgent(const net::Conn& c, char byte) {
    c.control([byte](int fd) { CHECK(::send(fd, &byte, 1, MSG_OOB) == 1); });
}

/// send_descriptor sends text, and standard input with it.
void send_descriptor(const net::Conn& c, std::string text) {
    iovec part{text.data(), text.size()};
    alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = space;
    message.msg_controllen = sizeof space;
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    const int passed = STDIN_FILENO;
    std::memcpy(CMSG_DATA(rights), &passed, sizeof passed);
    c.control([&message](int fd) { CHECK(::sendmsg(fd, &message, 0) > 0); });
}

} // namespace

TEST_SUITE("net") {

    TEST_CASE("an end that comes together with the last bytes, before or after them, is read") {
        each_workers([] {
            for (std::size_t i = 0, n = stress(500); i < n; ++i) {
                Ends e = connect();
                CHECK(e.client.write("warm").first == 4);
                CHECK(read_some(e.server) == "warm");
                weir::go([client = e.client, i] {
                    client.write("last");
                    for (std::size_t pause = i % 4; pause > 0; --pause) weir::yield();
                    client.close_write();
                });
                if (i % 3 != 0) weir::sleep(std::chrono::microseconds(i % 100));
                CHECK(read_some(e.server) == "last");
                CHECK(read_some(e.server) == "EOF");
                CHECK(read_some(e.server) == "EOF");
            }
        });
    }

    TEST_CASE("bytes that come after a short read are read, however they are cut") {
        each_workers([] {
            Ends e = connect();
            const std::size_t total = stress(200'000);
            weir::go([client = e.client, total] {
                const std::string piece(1000, 'x');
                std::size_t sent = 0;
                for (std::size_t size = 1; sent < total; size = size % 997 + 1) sent += client.write(piece.substr(0, size)).first;
                client.close_write();
            });
            std::size_t got = 0;
            std::array<char, 300> buf;
            for (;;) {
                const auto [n, err] = e.server.read(buf);
                got += n;
                if (err) {
                    CHECK(err.message() == "EOF");
                    break;
                }
                CHECK(n > 0);
            }
            CHECK(got >= total);
        });
    }

    TEST_CASE("urgent data, at which a read stops, does not hide what follows it") {
        each_workers([] {
            for (std::size_t i = 0, n = stress(200); i < n; ++i) {
                Ends e = connect();
                CHECK(e.client.write("ab").first == 2);
                send_urgent(e.client, 'c');
                CHECK(e.client.write("de").first == 2);
                if (i % 2 != 0) weir::sleep(20us);
                std::string got;
                while (got.size() < 4) got += read_some(e.server);
                CHECK(got == "abde");
            }
        });
    }

    TEST_CASE("a unix socket's read that stops at a message with descriptors does not hide what follows it") {
        each_workers([] {
            Ends e = connect("unix");
            for (int i = 0; i < 20; ++i) {
                weir::chan<std::string> read;
                weir::go([server = e.server, read]() mutable {
                    std::string got;
                    while (got.size() < 4) got += read_some(server);
                    read.send(got);
                });
                come_to_wait(1, "IO wait"); // both messages are one event to it
                send_descriptor(e.client, "ab");
                CHECK(e.client.write("cd").first == 2);
                CHECK(read.recv() == "abcd");
            }
        });
    }

} // TEST_SUITE
