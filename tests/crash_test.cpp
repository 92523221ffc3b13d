// Crash containment: every way to crash, at 1, 2 and 4 workers, plainly, in a deferred call and after moving to another thread, beside
// healthy fibers that must not notice; then many crashes in a row, reports, policies, and what is not contained.
#include "fixture.h"

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <weir/chan.h>
#include <weir/defer.h>
#include <weir/panic_report.h>

#include "crash_kinds.h"

TEST_SUITE_BEGIN("crash");

namespace {

/// The torture runs in child processes: what it abandons is not this one's.
template <typename Fn>
void in_child(Fn fn) {
    const Death death = dies([&] { return fn(); }, 110s);
    CHECK_MESSAGE(death.status == 0, death.status, "\n", death.err.substr(0, 4000), "\n...\n", death.err.size() > 4000 ? death.err.substr(death.err.size() - 4000) : "");
}

enum class Place { Plain, Deferred, Moved };

/// move_on yields until the fiber is on another thread, if there is one.
void move_on() {
    const auto here = std::this_thread::get_id();
    for (int i = 0; i < 1000 && std::this_thread::get_id() == here; ++i) weir::yield();
}

void crash_at(Place place, const CrashKind& kind) {
    switch (place) {
    case Place::Plain: kind.crash(); break;
    case Place::Deferred: {
        weir::defer d{[&] { kind.crash(); }};
        weir::panic("the first");
    }
    case Place::Moved:
        move_on();
        kind.crash();
        break;
    }
}

/// Victim is one fiber that crashes, and what became of it. Leaked: an abandoned fiber may still refer to it.
struct Victim {
    const CrashKind* kind;
    Place place;
    std::atomic<bool> began{false};
    std::atomic<bool> deferred{false};
    std::atomic<bool> ended{false};
    weir::PanicKind panic_kind{};
    std::string text;
    std::string stack;
};

void be_victim(Victim& v) {
    v.began = true;
    auto p = weir::catch_panic([&] {
        weir::defer d{[&] { v.deferred = true; }};
        crash_at(v.place, *v.kind);
    });
    if (p) {
        v.panic_kind = p->kind();
        v.text = p->message();
    }
    v.ended = true;
}

/// verdict is empty when the crash came to what it should.
std::string verdict(const Victim& v) {
    if (!v.ended) return v.kind->comes == Comes::Panic ? "abandoned instead of panicking" : "";
    if (v.kind->comes == Comes::Abandoned) return "went on instead of being abandoned: " + v.text;
    if (!v.deferred) return "its defer did not run";
    if (v.panic_kind != v.kind->kind) return "wrong kind: " + std::string(weir::to_string(v.panic_kind)) + ": " + v.text;
    if (!contains(v.text, v.kind->text)) return "wrong text: " + v.text;
    return "";
}

/// Healthy pairs hand messages to and fro while others crash.
struct Healthy {
    explicit Healthy(std::size_t pairs, int messages) : expected(pairs) {
        for (std::size_t i = 0; i < pairs; ++i) {
            weir::chan<int> there, back;
            weir::go([=] {
                for (int n : there) back.send(n + 1);
            });
            weir::go([=, this] {
                bool right = true;
                for (int n = 0; n < messages; ++n) {
                    there.send(n);
                    right = back.recv() == n + 1 && right;
                }
                there.close();
                if (right) ++done;
            });
        }
    }
    bool all_done() { return eventually([&] { return done == expected; }, 60s); }

    std::atomic<std::size_t> done{0};
    const std::size_t expected;
};

/// torture crashes fibers of all kinds at once at `place`, among healthy ones; returns 0 if all came to what it should.
int torture(int workers, Place place) {
    int wrong = 0;
    const int status = weir::run(weir::Options{.max_procs = workers}, [&] {
        const auto abandoned_before = weir::abandoned_total();
        auto& healthy = *new Healthy(stress(500), 20); // leaked, like the victims
        std::vector<Victim*> victims;
        for (const CrashKind& kind : crash_kinds()) {
            auto* v = victims.emplace_back(new Victim{&kind, place});
            weir::go({.name = kind.name}, [v] { be_victim(*v); });
        }
        const auto over = [&] {
            std::size_t ended = weir::abandoned_total() - abandoned_before;
            for (const Victim* v : victims) ended += v->ended;
            return ended == victims.size();
        };
        if (!eventually(over, 60s)) std::fprintf(stderr, "WRONG: some neither ended nor were abandoned\n"), ++wrong;
        for (const Victim* v : victims) {
            const std::string what = verdict(*v);
            if (!what.empty()) std::fprintf(stderr, "WRONG: %s at %d workers: %s\n", v->kind->name, workers, what.c_str()), ++wrong;
        }
        if (!healthy.all_done()) std::fprintf(stderr, "WRONG: healthy fibers did not finish\n"), ++wrong;
        if (!eventually([] { return weir::num_fibers() == 1; })) std::fprintf(stderr, "WRONG: %zu fibers left\n", weir::num_fibers() - 1), ++wrong;
    });
    return wrong + status;
}

void torture_at_all_workers(Place place) {
    in_child([place] {
        int wrong = 0;
        for (int workers : {1, 2, 4}) wrong += torture(workers, place);
        return wrong != 0;
    });
}

} // namespace

TEST_CASE("every crash ends its own fiber and no other") { torture_at_all_workers(Place::Plain); }
TEST_CASE("every crash in a deferred call ends its own fiber and no other") { torture_at_all_workers(Place::Deferred); }
TEST_CASE("every crash after moving to another thread ends its own fiber and no other") { torture_at_all_workers(Place::Moved); }

TEST_SUITE_END();
