// 03 buffered channels and range: produce, close, consume until the end.
//
// You learn: a channel with a buffer lets the sender run ahead until the buffer is full. The sender
// closes the channel to say that nothing more will come; what is buffered can still be received. A
// range-for over the channel ends once it is closed and drained; after that recv gives the zero
// value, and recv_ok says that it is not a real one.
//
// It prints:
//     holds 2 of 3
//     first monday
//     got tuesday
//     got wednesday
//     got thursday
//     after the end: "", ok = false
#include <iostream>
#include <string>

#include <weir/weir.h>

using namespace weir;

void produce(send_chan<std::string> days) {
    days << "wednesday"
         << "thursday";
    days.close();
}

int main() {
    return run([] {
        chan<std::string> days(3);

        // No receiver is waiting, and neither send blocks: there is room.
        days << "monday"
             << "tuesday";
        std::cout << "holds " << days.len() << " of " << days.cap() << "\n";

        std::cout << "first " << days.recv() << "\n";

        go(produce, days);
        for (const std::string& day : days) std::cout << "got " << day << "\n";

        auto [day, ok] = days.recv_ok();
        std::cout << "after the end: \"" << day << "\", ok = " << std::boolalpha << ok << "\n";
    });
}
