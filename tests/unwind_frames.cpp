// Built several times, WEIR_FRAMES being the namespace and the compiler's options different.
#include "unwind_frames.h"

#include <alloca.h>
#include <array>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include <weir/defer.h>
#include <weir/panic.h>

namespace weir_test {

namespace WEIR_FRAMES {

namespace {

#define FRAME [[gnu::noinline]]

volatile int g_one = 1; // what the compiler must not see through

/// Note writes its name into the log when it is destroyed, and how many exceptions are in flight then.
struct Note {
    std::string& log;
    char name;
    ~Note() {
        log += name;
        log += static_cast<char>('0' + std::uncaught_exceptions());
    }
};

std::string text(const weir::PanicException& e) {
    auto number = e.panic().value<int>();
    return number ? std::to_string(*number) : e.panic().message();
}

FRAME std::string by_reference(Thrower thrower) {
    try {
        thrower();
    } catch (const weir::PanicException& e) {
        return "panic " + text(e);
    }
    return "none";
}

FRAME std::string by_base(Thrower thrower) {
    try {
        thrower();
    } catch (const std::exception& e) {
        return "exception " + text(dynamic_cast<const weir::PanicException&>(e));
    }
    return "none";
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcatch-value"
FRAME std::string by_value(Thrower thrower) {
    try {
        thrower();
    } catch (weir::PanicException e) {
        return "value " + text(e);
    }
    return "none";
}
#pragma GCC diagnostic pop

FRAME std::string by_others(Thrower thrower) {
    std::string log;
    try {
        Note a{log, 'a'};
        try {
            Note b{log, 'b'};
            thrower();
        } catch (int) {
            log += "int ";
        } catch (weir::PanicException*) {
            log += "pointer ";
        } catch (const std::runtime_error&) {
            log += "runtime_error ";
        }
    } catch (...) {
        log += "any";
    }
    return log;
}

FRAME void with_note(std::string& log, Thrower thrower, int depth) {
    Note note{log, static_cast<char>('a' + depth % 26)};
    if (depth == 0) {
        thrower();
    } else {
        with_note(log, thrower, depth - 1);
    }
    log += "returned"; // never
}

FRAME std::string cleanups(Thrower thrower) {
    std::string log;
    try {
        with_note(log, thrower, 30);
    } catch (const weir::PanicException&) {
        log += "caught";
    }
    return log;
}

/// The values that live in registers across the call come back as they were.
FRAME std::string registers(Thrower thrower) {
    std::array<std::uint64_t, 8> v{};
    for (std::size_t i = 0; i < v.size(); ++i) v[i] = (i + 3) * static_cast<std::uint64_t>(g_one) * 0x1234567;
    std::uint64_t a = v[0], b = v[1], c = v[2], d = v[3], e = v[4], f = v[5], g = v[6], h = v[7];
    std::string log;
    try {
        with_note(log, thrower, 3);
    } catch (...) {
        log += "caught ";
    }
    return log + std::to_string(a ^ (b << 1) ^ (c << 2) ^ (d << 3) ^ (e << 4) ^ (f << 5) ^ (g << 6) ^ (h << 7));
}

FRAME void on_alloca(std::string& log, Thrower thrower, std::size_t size) {
    auto* bytes = static_cast<char*>(alloca(size));
    std::memset(bytes, 'x', size);
    struct Check {
        std::string& log;
        const char* bytes;
        std::size_t size;
        ~Check() { log += bytes[size - 1]; }
    } check{log, bytes, size};
    thrower();
}

FRAME std::string alloca_frames(Thrower thrower) {
    std::string log;
    std::size_t size = 100 * static_cast<std::size_t>(g_one);
    auto* bytes = static_cast<char*>(alloca(size));
    std::memset(bytes, 'y', size);
    try {
        on_alloca(log, thrower, 5000 * static_cast<std::size_t>(g_one));
    } catch (const weir::PanicException& e) {
        log += text(e);
    }
    return log + bytes[size - 1];
}

FRAME void realigned_inner(std::string& log, Thrower thrower) {
    struct alignas(128) Wide {
        std::string& log;
        char bytes[128];
        ~Wide() { log += reinterpret_cast<std::uintptr_t>(this) % 128 == 0 ? "aligned " : "askew "; }
    } wide{log, {}};
    std::memset(wide.bytes, g_one, sizeof wide.bytes);
    thrower();
}

FRAME std::string realigned(Thrower thrower) {
    alignas(256) volatile char wide[256] = {};
    std::string log;
    auto* more = static_cast<char*>(alloca(64 * static_cast<std::size_t>(g_one)));
    try {
        realigned_inner(log, thrower);
    } catch (...) {
        log += reinterpret_cast<std::uintptr_t>(wide) % 256 == 0 ? "aligned " : "askew ";
    }
    more[0] = 'z';
    return log + more[0];
}

/// ten remembers where its frame was, and says if that is elsewhere the next time.
FRAME int ten(Thrower thrower, std::string& log, int a, int b, int c, int d, int e, int f, int g, const void*& frame) {
    Note note{log, 't'};
    const void* here = __builtin_frame_address(0);
    if (std::exchange(frame, here) != here && g != g_one) log += "moved ";
    thrower();
    return a + b + c + d + e + f + g;
}

/// The arguments of a call in progress are on the stack, beyond what the frame itself holds: a landing pad finds them popped.
FRAME std::string pushed_arguments(Thrower thrower) {
    std::string log;
    const void* frames[2] = {};
    int n = g_one;
    int sum = 0;
    for (int i = 0; i < 3; ++i) {
        try {
            Note note{log, 'p'};
            sum += ten(thrower, log, n, n + 1, n + 2, n + 3, ten([] {}, log, n, n, n, n, n, n, n + i, frames[1]), n, n + i,
                       frames[0]);
        } catch (const std::exception&) {
            sum += 1000 + i;
        }
    }
    return log + std::to_string(sum);
}

/// Trouble throws in its destructor, and catches that there.
struct Trouble {
    std::string& log;
    Thrower thrower;
    ~Trouble() {
        try {
            Note note{log, 'i'};
            thrower();
        } catch (const std::exception&) {
            log += "inner" + std::to_string(std::uncaught_exceptions());
        }
        try {
            Note note{log, 'j'};
            throw std::string("text");
        } catch (const std::string& s) {
            log += s;
        }
    }
};

FRAME void with_trouble(std::string& log, Thrower thrower) {
    Note note{log, 'o'};
    Trouble trouble{log, thrower};
    thrower();
}

FRAME std::string throwing_cleanup(Thrower thrower) {
    std::string log;
    try {
        with_trouble(log, thrower);
    } catch (const weir::PanicException& e) {
        log += " outer" + text(e) + std::to_string(std::uncaught_exceptions());
    }
    return log + std::to_string(std::uncaught_exceptions());
}

FRAME void rethrows(std::string& log, Thrower thrower) {
    Note outer{log, 'o'};
    try {
        Note inner{log, 'i'};
        thrower();
    } catch (const std::exception&) {
        Note handler{log, 'h'};
        throw;
    }
}

FRAME std::string rethrown(Thrower thrower) {
    std::string log;
    try {
        rethrows(log, thrower);
    } catch (const weir::PanicException& e) {
        log += text(e);
    }
    return log;
}

FRAME std::string replaced(Thrower thrower) {
    std::string log;
    try {
        try {
            with_note(log, thrower, 2);
        } catch (...) {
            Note handler{log, 'h'};
            throw 5;
        }
    } catch (int n) {
        log += std::to_string(n);
    }
    return log;
}

FRAME std::string pointer_outlives(Thrower thrower) {
    std::exception_ptr kept;
    std::string log;
    try {
        with_note(log, thrower, 1);
    } catch (...) {
        kept = std::current_exception();
    }
    for (int i = 0; i < 2; ++i) {
        try {
            Note note{log, 'n'};
            std::rethrow_exception(kept);
        } catch (const weir::PanicException& e) {
            log += text(e);
        }
    }
    return log;
}

struct Member {
    std::string& log;
    Note first;
    Member(std::string& l, Thrower thrower) try : log(l), first{l, 'm'} { thrower(); } catch (const std::exception&) {
        l += "body ";
        // thrown on by itself
    }
};

FRAME std::string constructors(Thrower thrower) {
    std::string log;
    try {
        auto made = std::make_unique<Member>(log, thrower);
        log += made->first.name;
    } catch (const std::exception&) {
        log += "caught";
    }
    return log;
}

FRAME std::string in_a_handler(Thrower thrower) {
    std::string log;
    try {
        throw 1;
    } catch (int outer) {
        try {
            with_note(log, thrower, 2);
        } catch (const weir::PanicException& e) {
            log += text(e);
        }
        log += std::to_string(outer);
    }
    return log + (std::current_exception() == nullptr ? "" : "left over");
}

FRAME std::string frames(Thrower thrower) {
    std::string log;
    weir::frame([&] {
        weir::defer last{[&] {
            if (auto p = weir::recover()) log += "recovered" + std::to_string(*p->value<int>());
        }};
        weir::defer first{[&] { weir::frame([&] { log += "defer "; }); }};
        with_note(log, thrower, 2);
    });
    const auto p = weir::catch_panic([&] { with_note(log, thrower, 2); });
    return log + (p ? p->message() : "none");
}

const FrameCase kCases[] = {
    {"catch by reference", by_reference},
    {"catch by base", by_base},
    {"catch by value", by_value},
    {"handlers that do not match", by_others},
    {"cleanups", cleanups},
    {"registers", registers},
    {"alloca", alloca_frames},
    {"realigned frames", realigned},
    {"pushed arguments", pushed_arguments},
    {"a cleanup that throws and catches", throwing_cleanup},
    {"rethrown", rethrown},
    {"another thrown by the handler", replaced},
    {"an exception_ptr that outlives the handler", pointer_outlives},
    {"constructors", constructors},
    {"inside a handler", in_a_handler},
    {"frame, defer, recover, catch_panic", frames},
};

} // namespace

std::span<const FrameCase> cases() { return kCases; }

} // namespace WEIR_FRAMES

} // namespace weir_test
