// 04 select: wait for several channels at once.
//
// You learn: select waits until one of its cases can go on and runs that one; if several can, it
// picks one at random. A case receives or sends. timeout() is the case that runs when nothing else
// did in time, otherwise() the one that runs when nothing else can right now: select with
// otherwise() never blocks.
//
// It prints:
//     0 1 1 2 3 5 8 13 21 34
//     quit after 10 numbers
//     nothing to receive yet
//     gave up waiting
//     got 42
#include <chrono>
#include <iostream>
#include <utility>

#include <weir/weir.h>

using namespace weir;
using namespace std::chrono_literals;

// Sends Fibonacci numbers to whoever asks, until told to quit.
void fibonacci(send_chan<int> numbers, recv_chan<void> quit) {
    int x = 0;
    int y = 1;
    bool running = true;
    while (running) {
        select(send(numbers, x, [&] { x = std::exchange(y, x + y); }), //
               recv(quit, [&] { running = false; }));
    }
}

int main() {
    return run([] {
        chan<int> numbers;
        chan<void> quit;
        go([=] {
            for (int i = 0; i < 10; ++i) std::cout << numbers.recv() << (i < 9 ? " " : "\n");
            quit.send();
        });
        fibonacci(numbers, quit);
        std::cout << "quit after 10 numbers\n";

        chan<int> answers(1);
        auto got = [](int v) { std::cout << "got " << v << "\n"; };
        select(recv(answers, got), otherwise([] { std::cout << "nothing to receive yet\n"; }));
        select(recv(answers, got), timeout(20ms, [] { std::cout << "gave up waiting\n"; }));
        answers << 42;
        select(recv(answers, got), timeout(20ms, [] { std::cout << "gave up waiting\n"; }));
    });
}
