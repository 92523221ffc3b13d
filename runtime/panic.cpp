#include <weir/panic.h>

#include <atomic>
#include <cxxabi.h>
#include <utility>

#include <weir/defer.h>
#include <weir/go.h>
#include "crash.h"
#include "exception_header.h"
#include "exception_hook.h"
#include "overflow.h"
#include "panic_context.h"
#include "scheduler.h"
#include "tls.h"
#include "raise.h"
#include "worker.h"

namespace weir {

namespace detail {

namespace {

std::atomic<std::uint64_t> g_uncaught_total{0};
std::atomic<std::uint64_t> g_recovered_total{0};
std::atomic<std::uint64_t> g_ignored_total{0};

void note_recovered(PanicRecord& r) noexcept {
    r.was_recovered = true;
    g_recovered_total.fetch_add(1, std::memory_order_relaxed);
}

/// live returns the innermost panic that is on its way to a frame; first forgets those that a catch of the user's has swallowed.
const std::shared_ptr<PanicRecord>& live(PanicContext& pc) {
    int in_flight = uncaught();
    while (pc.current != nullptr && (pc.current->state == PanicState::Aborted || in_flight < pc.current->depth)) pc.current = pc.current->link;
    return pc.current;
}

void describe_exception(PanicRecord& r, const std::exception_ptr& e) {
    r.exception = e;
    r.type = abi::__cxa_current_exception_type();
    try {
        std::rethrow_exception(e);
    } catch (const PanicException& x) { // Panic::exception() thrown again: the same panic, whose value and site stay
        const PanicRecord& first = *x.panic().record();
        r.kind = first.kind;
        r.value = first.value;
        r.first = x.panic().record();
        r.text = first.text;
        r.type = first.type;
        r.fault = first.fault;
        r.fiber_id = first.fiber_id;
        r.details = first.details;
        if (first.site != nullptr) r.site = site_of(first.site->trace());
    } catch (const std::exception& x) {
        r.text = x.what();
        r.type = &typeid(x);
    } catch (const std::string& x) {
        r.text = x;
    } catch (const char* x) {
        r.text = x;
    } catch (int x) {
        r.text = std::to_string(x);
    } catch (...) {
        if (const std::type_info* t = abi::__cxa_current_exception_type()) r.type = t;
        r.text = "(" + (r.type != nullptr ? type_name(*r.type) : std::string("unknown C++ exception")) + ")";
    }
}

void own(PanicRecord& r, std::unique_ptr<const PanicValue> value) noexcept {
    r.value = value.get();
    r.type = &value->type();
    r.own_value = std::move(value);
}

std::shared_ptr<PanicRecord> new_record(PanicKind kind) {
    auto r = std::make_shared<PanicRecord>();
    r->kind = kind;
    r->fiber_id = this_fiber::id();
    r->last_wait = last_wait();
    return r;
}

/// foreign_record makes the record of a C++ exception that weir has not seen yet. `object` is the exception object.
std::shared_ptr<PanicRecord> foreign_record(PanicContext& pc, const std::exception_ptr& e, void* object, int depth) {
    auto r = new_record(PanicKind::Exception);
    r->object = object;
    r->depth = depth;
    describe_exception(*r, e);
    r->link = live(pc);
    if (r->site == nullptr && depth >= 1 && depth <= PanicContext::kDepths && pc.thrown[depth - 1].object == object && pc.thrown[depth - 1].has_site) {
        r->site = std::move(pc.thrown[depth - 1].site);
        pc.thrown[depth - 1].has_site = false;
    }
    return r;
}

void* object_of(const std::exception_ptr& e) noexcept { return *reinterpret_cast<void* const*>(&e); }

/// pointer_to makes an exception_ptr to an exception that is still in flight; libstdc++'s exception_ptr is one pointer, counted by copying.
std::exception_ptr pointer_to(void* object) noexcept { return *reinterpret_cast<std::exception_ptr*>(&object); }

/// in_flight finds the record of the innermost exception that is unwinding right now, for a deferred call.
std::shared_ptr<PanicRecord> in_flight(PanicContext& pc) {
    int depth = uncaught();
    void* object = depth <= PanicContext::kDepths ? pc.thrown[depth - 1].object : nullptr;
    const std::shared_ptr<PanicRecord>& current = live(pc);
    if (current != nullptr && (object == nullptr || current->object == object)) return current;
    if (object == nullptr) {
        auto r = new_record(PanicKind::Exception);
        r->text = "unknown C++ exception";
        r->depth = depth;
        r->link = current;
        return pc.current = r;
    }
    return pc.current = foreign_record(pc, pointer_to(object), object, depth);
}

/// handles tells whether the calling catch block handles that very object: libstdc++'s header, which the list of caught exceptions is made of, ends
/// where the object begins. Of an exception thrown again through an exception_ptr it does not: std::current_exception knows.
bool handles(const void* object) noexcept {
    auto* header = static_cast<ExceptionHeader*>(eh_globals()->caught);
    return object != nullptr && header != nullptr && header->object() == object;
}

/// caught finds the record of the exception that the calling catch block handles: in the list of panics, or `made` anew.
const std::shared_ptr<PanicRecord>& caught(PanicContext& pc, std::shared_ptr<PanicRecord>& made) {
    if (pc.current != nullptr && handles(pc.current->object)) return pc.current;
    std::exception_ptr e = std::current_exception();
    void* object = object_of(e);
    for (const std::shared_ptr<PanicRecord>* r = &pc.current; *r != nullptr; r = &(*r)->link) {
        if ((*r)->object == object) return *r;
    }
    return made = foreign_record(pc, e, object, std::uncaught_exceptions() + 1);
}

std::shared_ptr<PanicRecord> caught(PanicContext& pc) {
    std::shared_ptr<PanicRecord> made;
    return caught(pc, made);
}

/// drop forgets a panic that has reached its frame, and those that it replaced.
void drop(PanicContext& pc, PanicRecord& r) {
    r.state = PanicState::Done;
    for (const PanicRecord* p = pc.current.get(); p != nullptr; p = p->link.get()) {
        if (p != &r) continue;
        const std::shared_ptr<PanicRecord> dropped = std::move(pc.current); // with those before `r`; the last of them may be gone with it
        pc.current = r.link;
        break;
    }
    while (pc.current != nullptr && pc.current->state == PanicState::Aborted) pc.current = pc.current->link;
}

bool is_recovered(const PanicRecord& r) noexcept { return r.state == PanicState::Done || r.state == PanicState::Recovered; }

[[noreturn]] void throw_record(PanicContext& pc, const std::shared_ptr<PanicRecord>& r) {
    r->depth = std::uncaught_exceptions() + 1;
    pc.throwing = r.get();
    if (r->exception != nullptr) std::rethrow_exception(r->exception);
    throw PanicException(Panic(r));
}

void destroy_panic_exception(void* object) { static_cast<PanicException*>(object)->~PanicException(); }

/// new_panic makes a panic, current from now on, and the exception object that it travels as.
WEIR_NOINLINE void* new_panic(PanicKind kind, std::unique_ptr<const PanicValue> value, const void* thrower) {
    PanicContext& pc = panic_context();
    auto r = new_record(kind);
    own(*r, std::move(value));
    r->link = live(pc);
    r->site = take_site(thrower);
    r->depth = uncaught() + 1;
    void* object = abi::__cxa_allocate_exception(sizeof(PanicException));
    new (object) PanicException(Panic(r));
    pc.throwing = r.get();
    pc.current = std::move(r);
    return object;
}

[[noreturn]] void throw_goexit(PanicContext& pc) {
    auto r = std::make_shared<PanicRecord>();
    r->goexit = true;
    r->depth = std::uncaught_exceptions() + 1;
    r->link = live(pc);
    pc.throwing = r.get();
    pc.current = std::move(r);
    throw GoexitSignal{};
}

} // namespace

void throw_fault(PanicKind kind, std::string text, const FaultInfo& fault, SitePtr site) {
    PanicContext& pc = panic_context();
    auto r = crash_record(kind, std::move(text), fault, std::move(site));
    r->link = live(pc);
    pc.current = r;
    throw_record(pc, r);
}

std::shared_ptr<PanicRecord> crash_record(PanicKind kind, std::string text, const FaultInfo& fault, SitePtr site) {
    auto r = new_record(kind);
    own(*r, std::unique_ptr<const PanicValue>(new_panic_value<RuntimeError>(std::move(text))));
    r->fault = fault;
    r->site = std::move(site);
    return r;
}

std::shared_ptr<PanicRecord> terminated_record() {
    if (std::current_exception() == nullptr) {
        return crash_record(PanicKind::Fatal, "std::terminate called", {}, take_site(nullptr));
    }
    std::shared_ptr<PanicRecord> r = caught(panic_context());
    if (r->kind == PanicKind::Exception) r->kind = PanicKind::Fatal;
    return r;
}

void throw_detailed(std::string text, std::string details) {
    PanicContext& pc = panic_context();
    auto r = crash_record(PanicKind::RuntimeError, std::move(text), {}, take_site(__builtin_return_address(0)));
    r->details = std::move(details);
    r->link = live(pc);
    pc.current = r;
    throw_record(pc, r);
}

void panic_runtime(std::string_view text) { weir_throw_panic(PanicKind::RuntimeError, new_panic_value<RuntimeError>(std::string(text))); }

void panic_nil_defer() { panic_runtime("runtime error: invalid memory address or nil pointer dereference"); }

void note_throw(void* object, const void* thrower) noexcept {
    rearm_overflow();
    PanicContext& pc = panic_context();
    bool rethrown = thrower == nullptr;
    int depth = uncaught();
    Thrown* t = depth < PanicContext::kDepths ? &pc.thrown[depth] : nullptr;
    if (t != nullptr) {
        t->has_site = t->has_site && rethrown && t->object == object;
        t->object = object;
    }
    if (pc.throwing != nullptr) {
        std::exchange(pc.throwing, nullptr)->object = object;
        return;
    }
    if (rethrown) return;
    for (PanicRecord* r = pc.current.get(); r != nullptr; r = r->link.get()) {
        if (r->object == object) r->object = nullptr; // swallowed long ago, and its memory used again
    }
    if (t == nullptr || !on_fiber()) return;
    t->site = take_site(thrower, std::move(t->site));
    t->has_site = t->site != nullptr;
}

void frame_caught() {
    rearm_overflow();
    PanicContext& pc = panic_context();
    std::shared_ptr<PanicRecord> made;
    const std::shared_ptr<PanicRecord>& found = caught(pc, made);
    if (is_recovered(*found)) {
        bool over_goexit = found->over_goexit;
        drop(pc, *found);
        if (over_goexit) throw_goexit(pc);
        return;
    }
    std::shared_ptr<PanicRecord> r = found;
    if (r->goexit) throw;
    if (pc.current != r && r->link == pc.current) pc.current = r;
    if (r->carried_by_other) { // this panic replaced the one whose exception arrived here
        r->carried_by_other = false;
        throw_record(pc, r);
    }
    throw;
}

std::optional<Panic> catch_panic_caught() {
    rearm_overflow();
    PanicContext& pc = panic_context();
    std::shared_ptr<PanicRecord> r = caught(pc);
    if (r->goexit) throw;
    bool recovered = is_recovered(*r);
    drop(pc, *r);
    if (r->over_goexit) throw_goexit(pc);
    if (recovered) return std::nullopt;
    note_recovered(*r);
    return Panic(r);
}

std::shared_ptr<PanicRecord> finish_entry() {
    rearm_overflow();
    PanicContext& pc = panic_context();
    std::shared_ptr<PanicRecord> r = caught(pc);
    pc.goexiting = r->goexit || (is_recovered(*r) && r->over_goexit);
    return r->goexit || is_recovered(*r) ? nullptr : r;
}

void note_uncaught() noexcept { g_uncaught_total.fetch_add(1, std::memory_order_relaxed); }

void run_deferred_panicking(void (*fn)(void*), void* arg) noexcept {
    rearm_overflow();
    PanicContext& before = panic_context();
    DeferRun run{before.run, in_flight(before)};
    before.run = &run;
    const std::shared_ptr<PanicRecord>& p = run.panic;
    std::shared_ptr<PanicRecord> replacement;
    try {
        fn(arg);
    } catch (...) {
        replacement = caught(panic_context());
    }
    PanicContext& pc = panic_context(); // the call may have moved to another thread
    pc.run = run.outer;
    if (replacement != nullptr && is_recovered(*replacement) && !replacement->over_goexit) {
        drop(pc, *replacement); // recovered by a defer of the deferred call itself, which has thereby ended
        replacement = nullptr;
    }
    if (replacement == nullptr) {
        if (p->state == PanicState::Recovered) p->state = PanicState::Done;
        return;
    }
    if (replacement->goexit || is_recovered(*replacement)) {
        // goexit in a deferred call drops the panic; the exception in flight now carries the goexit.
        p->goexit = true;
        p->state = PanicState::Unwinding;
        pc.current = p;
        return;
    }
    replacement->carried_by_other = true;
    replacement->object = p->object;
    replacement->depth = p->depth;
    replacement->link = p;
    replacement->over_goexit = replacement->over_goexit || p->goexit || p->over_goexit;
    p->was_replaced = p->state != PanicState::Done;
    p->state = PanicState::Aborted;
    p->object = nullptr;
    pc.current = replacement;
}

PanicRecord::~PanicRecord() {
    delete what.load(std::memory_order_relaxed);
    if (was_recovered && !looked_at.load(std::memory_order_relaxed)) g_ignored_total.fetch_add(1, std::memory_order_relaxed);
}

} // namespace detail

} // namespace weir

// In other words than its header's: a function that never returns cannot be left by a jump, and every frame between the panic and the program's own
// costs the unwinder.
extern "C" {
WEIR_API void weir_new_panic(weir::PanicKind kind, const weir::detail::PanicValue* value) __asm__("weir_throw_panic");
}

void weir_new_panic(weir::PanicKind kind, const weir::detail::PanicValue* value) {
    using namespace weir::detail;
    void* object = new_panic(kind, std::unique_ptr<const PanicValue>(value), __builtin_return_address(0));
    weir_raise(object, &typeid(weir::PanicException), destroy_panic_exception);
}

namespace weir {

std::optional<Panic> recover() {
    detail::PanicContext& pc = detail::panic_context();
    if (pc.run == nullptr) return std::nullopt;
    const std::shared_ptr<detail::PanicRecord>& p = pc.run->panic;
    if (p->goexit || p->state != detail::PanicState::Unwinding) return std::nullopt;
    p->state = detail::PanicState::Recovered;
    detail::note_recovered(*p);
    return Panic(p);
}

void goexit() {
    if (!detail::on_fiber()) detail::fatal("goexit called outside a fiber");
    detail::throw_goexit(detail::panic_context());
}

std::uint64_t panics_total() noexcept { return detail::g_uncaught_total.load(std::memory_order_relaxed); }
std::uint64_t panics_recovered_total() noexcept { return detail::g_recovered_total.load(std::memory_order_relaxed); }
std::uint64_t panics_ignored_total() noexcept { return detail::g_ignored_total.load(std::memory_order_relaxed); }
std::uint64_t abandoned_total() noexcept { return detail::abandoned_count(); }

} // namespace weir
