// Random programs of defer, panic, recover and goexit, run by weir and by Go: the traces must be the same.
//
// Left out, because weir differs from Go by design: recover() works anywhere under a running deferred call, so that the generator calls it
// only where Go's "directly in the deferred function" says the same.
#include "fixture.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

#include <weir/chan.h>
#include <weir/defer.h>

TEST_SUITE_BEGIN("panic");

namespace {

struct Stmt {
    char op;
    int n = 0;
    std::vector<Stmt> body;
};
using Body = std::vector<Stmt>;

// ---- making programs ----

class Generator {
public:
    explicit Generator(unsigned seed) : random_(seed) {}

    /// function makes a body. `recovers`: recover() may stand in it.
    Body function(int depth, bool recovers, bool under_defer) {
        Body out;
        for (int n = pick(1, 5); n > 0; --n) out.push_back(statement(depth, recovers, under_defer));
        return out;
    }

private:
    int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

    Stmt statement(int depth, bool recovers, bool under_defer) {
        switch (pick(0, 15)) {
        case 0:
        case 1: return {'P', next_++, {}};
        case 2: return pick(0, 2) == 0 ? Stmt{'F', 0, {}} : Stmt{'p', next_++, {}};
        case 3: return pick(0, 3) == 0 ? Stmt{'G', 0, {}} : Stmt{'p', next_++, {}};
        case 4: return {'Y', 0, {}};
        case 5:
        case 6:
        case 7:
            if (recovers) return {'R', 0, {}};
            [[fallthrough]];
        case 8:
        case 9: return {'p', next_++, {}};
        case 10:
        case 11:
            if (depth > 0) return {'C', 0, called(depth - 1, under_defer)};
            return {'p', next_++, {}};
        default:
            // Under a deferred call, the defers of a function that does not panic must not recover: Go's would not see the outer panic.
            if (depth > 0) return {'D', 0, deferred(depth - 1, !under_defer || panics_)};
            return {'p', next_++, {}};
        }
    }

    Body deferred(int depth, bool recovers) {
        const bool outer = std::exchange(panics_, false);
        Body out = function(depth, recovers, true);
        panics_ = outer;
        return out;
    }

    /// called makes the body of a function that is called. Under a deferred call it panics at its end, or its defers do not recover.
    Body called(int depth, bool under_defer) {
        const bool outer = panics_;
        panics_ = under_defer && pick(0, 1) == 0;
        Body out = function(depth, false, under_defer);
        if (panics_) out.push_back({'P', next_++, {}});
        panics_ = outer;
        return out;
    }

    std::mt19937 random_;
    int next_ = 1;
    bool panics_ = false; // the function that is being made ends in a panic
};

std::string print(const Body& body) {
    std::string out;
    for (const Stmt& s : body) {
        out += s.op;
        if (s.op == 'p' || s.op == 'P') out += std::to_string(s.n);
        if (s.op == 'C' || s.op == 'D') out += "(" + print(s.body) + ")";
    }
    return out;
}

// ---- running them ----

int* volatile g_null = nullptr;

std::string text(const weir::Panic& p) {
    std::string out = p.message();
    for (char& c : out) {
        if (c == ' ') c = '_';
    }
    return out;
}

class Tracer {
public:
    void call(const Body& body) {
        weir::frame([&] { from(body, 0); });
    }

    std::string trace;

private:
    /// from runs a body from a statement on; a defer lasts to the end of what follows it.
    void from(const Body& body, std::size_t first) {
        for (std::size_t i = first; i < body.size(); ++i) {
            const Stmt& s = body[i];
            if (s.op == 'D') {
                weir::defer d{[&] { call(s.body); }};
                from(body, i + 1);
                return;
            }
            run(s);
        }
    }

    void run(const Stmt& s) {
        switch (s.op) {
        case 'p': trace += " " + std::to_string(s.n); break;
        case 'P': weir::panic(s.n);
        case 'F': trace += std::to_string(*g_null); break;
        case 'R': {
            const auto p = weir::recover();
            trace += p ? " r" + text(*p) : " r-";
            break;
        }
        case 'G': weir::goexit();
        case 'Y': weir::yield(); break;
        case 'C': call(s.body); break;
        }
    }
};

std::string traced(const Body& body) {
    auto t = std::make_shared<Tracer>();
    weir::chan<int> done;
    weir::go([&, t, done]() mutable {
        weir::defer close{[&] { done.close(); }};
        bool returned = false;
        weir::defer last{[&] {
            if (const auto p = weir::recover()) {
                t->trace += " uncaught " + text(*p);
            } else {
                t->trace += returned ? " returned" : " goexit";
            }
        }};
        t->call(body);
        returned = true;
    });
    done.recv();
    return t->trace;
}

// ---- what Go says ----

/// go_traces runs the programs by Go; empty when there is no Go.
std::vector<std::string> go_traces(const std::vector<std::string>& programs) {
    std::string go = "go";
    if (::access("/usr/local/go/bin/go", X_OK) == 0) go = "/usr/local/go/bin/go";
    char name[] = "/tmp/weir-programs-XXXXXX";
    const int fd = ::mkstemp(name);
    std::FILE* file = ::fdopen(fd, "w");
    for (const std::string& p : programs) std::fprintf(file, "%s\n", p.c_str());
    std::fclose(file);
    const std::string command = go + " run " WEIR_TEST_GO_SOURCE " <" + name + " 2>/dev/null";
    std::FILE* out = ::popen(command.c_str(), "r");
    std::vector<std::string> lines;
    char line[1 << 16];
    while (std::fgets(line, sizeof line, out) != nullptr) {
        lines.emplace_back(line);
        lines.back().pop_back();
    }
    ::pclose(out);
    ::unlink(name);
    return lines;
}

} // namespace

TEST_CASE("random programs of defer, panic, recover and goexit leave Go's traces") {
    const std::size_t count = stress(10'000);
    std::vector<Body> bodies;
    std::vector<std::string> programs;
    for (std::size_t i = 0; i < count; ++i) {
        bodies.push_back(Generator(static_cast<unsigned>(i)).function(4, false, false));
        programs.push_back(print(bodies.back()));
    }
    const std::vector<std::string> expected = go_traces(programs);
    if (expected.empty()) {
        MESSAGE("skipped: no Go to compare with");
        return;
    }
    REQUIRE(expected.size() == count);
    each_workers([&] {
        int shown = 0;
        for (std::size_t i = 0; i < count; ++i) {
            const std::string got = traced(bodies[i]);
            if (got == expected[i] || ++shown > 10) continue;
            CHECK_MESSAGE(got == expected[i], programs[i]);
        }
        CHECK(shown == 0);
    });
}

TEST_SUITE_END();
