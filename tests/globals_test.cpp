// What is per thread but belongs to the fiber: errno and the C++ exception globals.
#include "fixture.h"

#include <atomic>
#include <cerrno>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include <sys/syscall.h>
#include <unistd.h>

#include <weir/chan.h>
#include <weir/defer.h>

TEST_SUITE_BEGIN("globals");

namespace {

// Compilers may keep the address of errno over a call: these read and write the errno of the thread that runs now.
__attribute__((noinline)) void set_errno(int value) {
    errno = value;
    asm volatile("" ::: "memory");
}
__attribute__((noinline)) int get_errno() {
    asm volatile("" ::: "memory");
    return errno;
}
__attribute__((noinline)) int uncaught() { return std::uncaught_exceptions(); }
__attribute__((noinline)) std::exception_ptr current() { return std::current_exception(); }

std::string what_of(const std::exception_ptr& e) {
    if (!e) return "(none)";
    try {
        std::rethrow_exception(e);
    } catch (const std::exception& x) {
        return x.what();
    }
}

/// move_about parks a few times in several ways, so that the fiber resumes after others have used its thread, or on another one.
void move_about(const weir::chan<int>& c) {
    weir::yield();
    if (c.recv() % 8 == 0) weir::sleep(1us);
    weir::yield();
}

/// swarm runs `fn(i, c)` in many fibers, feeds c so that each may call move_about `parks` times, and waits for all.
template <typename Fn>
void swarm(int parks, Fn fn) {
    const int fibers = static_cast<int>(stress(1000));
    weir::chan<int> c(7);
    for (int i = 0; i < fibers; ++i) weir::go([&fn, c, i] { fn(i, c); });
    for (int i = 0; i < fibers * parks; ++i) c.send(i);
    CHECK(all_gone());
}

} // namespace

TEST_CASE("errno belongs to the fiber, across parks and other threads") {
    each_workers([] {
        std::atomic<int> wrong{0};
        swarm(3, [&](int i, const weir::chan<int>& c) {
            for (int round = 0; round < 3; ++round) {
                set_errno(1000 * round + i);
                move_about(c);
                wrong += get_errno() != 1000 * round + i;
            }
        });
        CHECK(wrong == 0);
    });
}

TEST_CASE("a new fiber starts with errno 0") {
    each_workers([] {
        std::atomic<int> wrong{0};
        for (int i = 0; i < 100; ++i) {
            weir::go([&] {
                wrong += get_errno() != 0;
                set_errno(7);
            });
        }
        CHECK(all_gone());
        CHECK(wrong == 0);
    });
}

TEST_CASE("a fiber may park inside catch and finds its exception again") {
    each_workers([] {
        std::atomic<int> wrong{0};
        swarm(4, [&](int i, const weir::chan<int>& c) {
            const std::string outer = "outer " + std::to_string(i), inner = "inner " + std::to_string(i);
            try {
                throw std::runtime_error(outer);
            } catch (const std::runtime_error& e) {
                move_about(c);
                wrong += e.what() != outer || what_of(current()) != outer || uncaught() != 0;
                try {
                    throw std::logic_error(inner);
                } catch (const std::logic_error& e2) {
                    move_about(c);
                    wrong += e2.what() != inner || what_of(current()) != inner;
                }
                move_about(c);
                wrong += what_of(current()) != outer;
                try {
                    throw; // the one of the outer catch
                } catch (const std::exception& again) {
                    move_about(c);
                    wrong += again.what() != outer;
                }
            }
            wrong += current() != nullptr;
        });
        CHECK(wrong == 0);
    });
}

TEST_CASE("a fiber may park in a destructor during unwinding; uncaught_exceptions stays right") {
    struct Parks {
        const weir::chan<int>& c;
        std::atomic<int>& wrong;
        int expected;
        ~Parks() {
            wrong += uncaught() != expected;
            move_about(c);
            wrong += uncaught() != expected;
        }
    };
    each_workers([] {
        std::atomic<int> wrong{0};
        swarm(4, [&](int i, const weir::chan<int>& c) {
            try {
                const Parks first{c, wrong, 1};
                const Parks second{c, wrong, 1};
                throw std::runtime_error(std::to_string(i));
            } catch (const std::exception& e) {
                wrong += e.what() != std::to_string(i) || uncaught() != 0;
                const Parks third{c, wrong, 0};
            }
            const Parks last{c, wrong, 0};
            wrong += uncaught() != 0;
        });
        CHECK(wrong == 0);
    });
}

TEST_CASE("an exception inside a destructor that unwinds, with a park in each") {
    struct Nested {
        const weir::chan<int>& c;
        std::atomic<int>& wrong;
        ~Nested() {
            wrong += uncaught() != 1;
            try {
                struct Inner {
                    const weir::chan<int>& c;
                    std::atomic<int>& wrong;
                    ~Inner() {
                        wrong += uncaught() != 2;
                        move_about(c);
                        wrong += uncaught() != 2;
                    }
                } const inner{c, wrong};
                throw std::logic_error("inner");
            } catch (const std::logic_error& e) {
                move_about(c);
                wrong += std::string(e.what()) != "inner" || uncaught() != 1;
            }
        }
    };
    each_workers([] {
        std::atomic<int> wrong{0};
        swarm(2, [&](int, const weir::chan<int>& c) {
            try {
                const Nested nested{c, wrong};
                throw std::runtime_error("outer");
            } catch (const std::runtime_error& e) {
                wrong += std::string(e.what()) != "outer" || uncaught() != 0;
            }
        });
        CHECK(wrong == 0);
    });
}

TEST_CASE("fibers that throw beside fibers that park in catch do not disturb each other") {
    each_workers([] {
        std::atomic<int> wrong{0};
        StopFlag stop;
        for (int t = 0; t < 4; ++t) {
            weir::go([&] {
                for (int i = 0; !stop; ++i) {
                    try {
                        if (i % 2 == 0) throw i;
                        throw std::to_string(i);
                    } catch (int n) {
                        weir::yield();
                        wrong += n != i;
                    } catch (const std::string& s) {
                        weir::yield();
                        wrong += s != std::to_string(i);
                    }
                }
            });
        }
        swarm(0, [&](int i, const weir::chan<int>&) {
            try {
                throw i;
            } catch (const int& n) {
                for (int j = 0; j < 5; ++j) weir::yield();
                wrong += n != i;
                if (i + 1 == static_cast<int>(stress(1000))) stop = true;
            }
        });
        CHECK(wrong == 0);
    });
}

TEST_CASE("an exception_ptr may be thrown on in another fiber") {
    each_workers([] {
        weir::chan<std::exception_ptr> c;
        for (int i = 0; i < 50; ++i) {
            weir::go([c, i] {
                try {
                    throw std::runtime_error(std::to_string(i));
                } catch (...) {
                    c.send(std::current_exception());
                }
            });
        }
        int sum = 0;
        for (int i = 0; i < 50; ++i) {
            try {
                std::rethrow_exception(c.recv());
            } catch (const std::exception& e) {
                sum += std::stoi(e.what());
            }
        }
        CHECK(sum == 1225);
    });
}

TEST_SUITE_END();
