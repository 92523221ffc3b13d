// Panics raised by weir's own unwinding (raise.h) do what the same throw by libgcc's does.
#include "fixture.h"

#include <atomic>
#include <cstdlib>
#include <dlfcn.h>
#include <string>
#include <thread>
#include <vector>

#include <unwind.h>

#include <weir/chan.h>
#include <weir/defer.h>
#include "raise.h"
#include "unwind_frames.h"

namespace {

std::atomic<int> g_libgcc_raises{0};

} // namespace

/// libgcc's, counted.
extern "C" __attribute__((visibility("default"))) _Unwind_Reason_Code _Unwind_RaiseException(_Unwind_Exception* e) {
    using Fn = _Unwind_Reason_Code (*)(_Unwind_Exception*);
    static const auto next = reinterpret_cast<Fn>(dlsym(RTLD_NEXT, "_Unwind_RaiseException"));
    g_libgcc_raises.fetch_add(1, std::memory_order_relaxed);
    _Unwind_Reason_Code code = next(e);
    asm volatile("" ::: "memory"); // no tail call
    return code;
}

TEST_SUITE_BEGIN("unwind");

namespace {

[[gnu::noinline]] void panics() { weir::panic(7); }

const void* g_caller = nullptr;

[[gnu::noinline]] void panics_noted() {
    g_caller = __builtin_return_address(0);
    weir::panic(7);
}

/// throws throws the same by an ordinary throw.
[[gnu::noinline]] void throws() {
    static const weir::Panic panic = *weir::catch_panic([] { weir::panic(7); });
    throw weir::PanicException(panic);
}

/// OwnUnwindingOff switches it off while it lives.
struct OwnUnwindingOff {
    OwnUnwindingOff() { weir::detail::set_own_unwinding(false); }
    ~OwnUnwindingOff() { weir::detail::set_own_unwinding(true); }
};

/// raises_by_libgcc counts them while fn runs.
template <class Fn>
int raises_by_libgcc(Fn&& fn) {
    const int before = g_libgcc_raises.load();
    fn();
    return g_libgcc_raises.load() - before;
}

/// same_as_libgcc runs a case by libgcc and then by weir, twice: the plans are then made and used.
void same_as_libgcc(const FrameCase& c) {
    std::string wanted;
    {
        OwnUnwindingOff off;
        wanted = c.run(panics);
    }
    CHECK_MESSAGE(c.run(panics) == wanted, c.name);
    CHECK_MESSAGE(c.run(panics) == wanted, c.name);
    CHECK_MESSAGE(!contains(wanted, "askew"), c.name);
    CHECK_MESSAGE(!contains(wanted, "moved"), c.name);
    if (std::string(c.name) != "frame, defer, recover, catch_panic")
        CHECK_MESSAGE(c.run(throws) == wanted, c.name); // that panics anew
}

void all_the_same() {
    for (auto cases : {frames_o0::cases(), frames_o2::cases(), frames_no_fp::cases(), frames_pushes::cases()}) {
        for (const FrameCase& c : cases) same_as_libgcc(c);
    }
}

int by_qsort(const void*, const void*) {
    panics();
    return 0;
}

/// through_libc panics below a frame of libc's.
void through_libc() {
    int numbers[] = {2, 1};
    std::qsort(numbers, 2, sizeof(int), by_qsort);
}

void panics_noexcept() noexcept { panics(); }

template <int n>
[[gnu::noinline]] int nested(std::string& log) {
    struct Count {
        std::string& log;
        ~Count() { log += 'x'; }
    } count{log};
    if constexpr (n == 0) {
        panics();
        return 0;
    } else {
        return nested<n - 1>(log) + n;
    }
}

} // namespace

TEST_CASE("frames of every kind: on fibers") { each_workers(all_the_same); }

TEST_CASE("frames of every kind: on a plain thread") {
    all_the_same();
    std::thread(all_the_same).join();
}

TEST_CASE("usual frames need no libgcc") {
    for (auto cases : {frames_o0::cases(), frames_o2::cases(), frames_no_fp::cases()}) {
        for (const FrameCase& c : cases.first(7)) CHECK_MESSAGE(raises_by_libgcc([&] { c.run(panics); }) == 0, c.name);
    }
    OwnUnwindingOff off;
    CHECK(raises_by_libgcc([] { frames_o2::cases()[0].run(panics); }) == 1);
}

TEST_CASE("either unwinder goes on where the other has begun, at every cleanup") {
    for (bool begins : {true, false}) {
        std::string log;
        try {
            weir::defer d{[&] { log += 'c'; }};
            weir::defer back{[&] { weir::detail::set_own_unwinding(begins); }};
            weir::defer b{[&] { log += 'b'; }};
            weir::defer change{[&] { weir::detail::set_own_unwinding(!begins); }};
            weir::defer a{[&] { log += 'a'; }};
            weir::detail::set_own_unwinding(begins);
            nested<20>(log);
        } catch (const weir::PanicException& e) {
            log += e.panic().message();
        }
        weir::detail::set_own_unwinding(true);
        CHECK(log == std::string(21, 'x') + "abc7");
        CHECK(std::uncaught_exceptions() == 0);
    }
}

TEST_CASE("a panic through frames of libc is libgcc's to unwind") {
    each_workers([] {
        CHECK(raises_by_libgcc([] { CHECK(panic_text(through_libc) == "7"); }) == 1);
        CHECK(raises_by_libgcc([] { CHECK(panic_text(through_libc) == "7"); }) == 1);
    });
}

TEST_CASE("noexcept: std::terminate, as ever") {
    const auto run = [](bool own) {
        return dies([own] {
            weir::detail::set_own_unwinding(own);
            std::set_terminate([] { std::_Exit(std::uncaught_exceptions() == 1 ? 17 : 18); });
            try {
                panics_noexcept();
            } catch (...) {
            }
        });
    };
    const auto by_libgcc = run(false).status;
    CHECK(run(true).status == by_libgcc);
    CHECK((by_libgcc == 17 || by_libgcc == 18));
}

TEST_CASE("nobody catches on a plain thread: std::terminate at the throw, nothing unwound") {
    const auto child = dies([] {
        std::set_terminate([] { std::_Exit(19); });
        std::thread([] {
            weir::defer never{[] { std::_Exit(20); }};
            panics();
        }).join();
    });
    CHECK(child.status == 19);
}

TEST_CASE("a cleanup that parks and goes on on another thread") {
    each_workers([] {
        const weir::chan<int> done;
        std::atomic<int> wrong{0};
        for (int i = 0; i < 20; ++i) {
            weir::go([&, done, i] {
                for (int round = 0; round < 20; ++round) {
                    int parked = 0;
                    auto p = weir::catch_panic([&] {
                        weir::defer inner{[&] { weir::yield(), ++parked; }};
                        weir::defer middle{[&] { weir::sleep(1us), ++parked; }};
                        weir::defer outer{[&] { weir::yield(), ++parked; }};
                        weir::panic(i * 100 + round);
                    });
                    wrong += parked != 3 || !p || *p->value<int>() != i * 100 + round || std::uncaught_exceptions() != 0;
                }
                done.send(i);
            });
        }
        for (int i = 0; i < 20; ++i) done.recv();
        CHECK(wrong == 0);
        CHECK(all_gone());
    });
}

TEST_CASE("libraries that are loaded at the address of a closed one") {
    std::string log;
    std::vector<const void*> addresses;
    for (int round = 0; round < 4; ++round) {
        const char* file = round % 2 == 0 ? WEIR_TEST_LIBRARY_A : WEIR_TEST_LIBRARY_B;
        void* library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
        REQUIRE(library != nullptr);
        auto cross = reinterpret_cast<int (*)(void (*)(), std::string&)>(dlsym(library, "cross"));
        try {
            log += std::to_string(cross(panics_noted, log));
        } catch (const weir::PanicException&) {
            log += "out";
        }
        addresses.push_back(g_caller);
        dlclose(library);
    }
    CHECK(log == "a1bouta1bout");
    CHECK(addresses[0] == addresses[1]); // or else nothing has been tested
}

TEST_CASE("many threads make the plans of the same frames at once") {
    constexpr int kDepth = 400;
    std::atomic<int> ready{0};
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
        threads.emplace_back([&] {
            ready.fetch_add(1);
            while (ready.load() < 8) std::this_thread::yield();
            for (int round = 0; round < 20; ++round) {
                std::string log;
                auto p = weir::catch_panic([&] { nested<kDepth>(log); });
                wrong += !p || log.size() != kDepth + 1;
            }
        });
    }
    for (auto& t : threads) t.join();
    CHECK(wrong == 0);
    std::string log;
    CHECK(raises_by_libgcc([&] { weir::catch_panic([&] { nested<kDepth>(log); }); }) == 0);
}

TEST_SUITE_END();
