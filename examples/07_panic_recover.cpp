// 07 defer, panic, recover: clean up, fail, and go on.
//
// You learn: a defer runs when its scope ends, the last one first, also while a panic unwinds the
// fiber. recover() in a defer stops the panic; frame() marks where the function "returns" then,
// since a C++ function body is not a recover frame by itself. Any C++ exception is a panic too. A
// panic that nobody recovers ends its own fiber, with a report on stderr, and nothing else.
//
// It prints (and the report of the last panic, on stderr):
//     closing file
//     closing log
//     10 / 2 = 5
//     10 / 0 failed: division by zero
//     caught: the disk is full
//     a fiber fell over, the others go on
#include <iostream>
#include <stdexcept>

#include <weir/weir.h>

using namespace weir;

void cleanup_order() {
    defer first{[] { std::cout << "closing log\n"; }};
    WEIR_DEFER { std::cout << "closing file\n"; }; // the same without a name
}

int divide(int a, int b) {
    if (b == 0) panic("division by zero");
    return a / b;
}

// As a Go function with "defer func() { if p := recover(); p != nil { ... } }()".
void print_quotient(int a, int b) {
    frame([&] {
        defer on_panic{[&] {
            if (auto p = recover()) std::cout << a << " / " << b << " failed: " << p->message() << "\n";
        }};
        const int q = divide(a, b);
        std::cout << a << " / " << b << " = " << q << "\n";
    });
}

int main() {
    return run([] {
        cleanup_order();

        print_quotient(10, 2);
        print_quotient(10, 0);

        // The short form, and a plain C++ exception.
        if (auto p = catch_panic([] { throw std::runtime_error("the disk is full"); }))
            std::cout << "caught: " << p->message() << "\n";

        chan<void> fell;
        go([=] {
            defer tell{[&] { fell.send(); }};
            panic("nobody recovers this");
        });
        fell.recv();
        std::cout << "a fiber fell over, the others go on\n";
    });
}
