// 02 channels: send a value from one fiber to another.
//
// You learn: a channel without a buffer is a meeting point: send waits for a receiver, recv waits
// for a sender, so every value that passes also says "I am done so far". A chan<T> is a cheap
// handle, copied as in Go; send_chan<T> and recv_chan<T> are its two ends, and a function that
// takes one of them shows what it does with the channel.
//
// It prints:
//     17 + -5 = 12
//     ping 1, pong
//     ping 2, pong
//     ping 3, pong
#include <algorithm>
#include <iostream>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <weir/weir.h>

using namespace weir;

void sum(std::span<const int> part, send_chan<int> out) { out << std::accumulate(part.begin(), part.end(), 0); }

void pong(recv_chan<std::string> in, send_chan<std::string> out) {
    for (int i = 0; i < 3; ++i) out << in.recv() + ", pong";
}

int main() {
    return run([] {
        // Two fibers add one half each. The results come in either order, so the larger one is printed first.
        const std::vector<int> numbers{7, 2, 8, -9, 4, 0};
        const std::span<const int> all(numbers);
        chan<int> results;
        go(sum, all.first(3), results);
        go(sum, all.last(3), results);
        const int x = results.recv();
        const int y = results.recv();
        std::cout << std::max(x, y) << " + " << std::min(x, y) << " = " << x + y << "\n";

        // A ball going to and fro over two channels.
        chan<std::string> there;
        chan<std::string> back;
        go(pong, there, back);
        for (int i = 1; i <= 3; ++i) {
            there << "ping " + std::to_string(i);
            std::cout << back.recv() << "\n";
        }
    });
}
