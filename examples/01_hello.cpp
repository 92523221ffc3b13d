// 01 hello: start a fiber with go.
//
// You learn: run() starts the runtime and runs its function as the main fiber; go() starts another
// fiber beside it, with arguments if you like; the program ends when the main fiber returns,
// whether or not the others have finished. So the main fiber has to wait for them: here on a
// channel, which tutorial 02 explains.
//
// It prints:
//     hello from the main fiber
//     hello, gopher, from a fiber
//     back in the main fiber
#include <iostream>
#include <string>

#include <weir/weir.h>

using namespace weir;

void greet(const std::string& name, chan<void> done) {
    std::cout << "hello, " << name << ", from a fiber\n";
    done.send();
}

int main() {
    return run([] {
        std::cout << "hello from the main fiber\n";

        chan<void> done;
        go(greet, "gopher", done); // the arguments are copied into the new fiber, as std::thread does
        done.recv();               // parks the main fiber, not its OS thread

        std::cout << "back in the main fiber\n";
    });
}
