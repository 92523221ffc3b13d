#include <weir/panic.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cxxabi.h>

#include <weir/defer.h>
#include <weir/go.h>
#include "crash.h"
#include "exception_hook.h"
#include "overflow.h"
#include "panic_context.h"
#include "scheduler.h"
#include "symbols.h"
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
std::shared_ptr<PanicRecord> live(PanicContext& pc) {
    int in_flight = std::uncaught_exceptions();
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
        r.text = first.text;
        r.type = first.type;
        r.fault = first.fault;
        r.fiber_id = first.fiber_id;
        if (first.site != nullptr) r.site = std::make_unique<Trace>(*first.site);
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

std::shared_ptr<PanicRecord> new_record(PanicKind kind) {
    auto r = std::make_shared<PanicRecord>();
    r->kind = kind;
    r->fiber_id = this_fiber::id();
    return r;
}

/// foreign_record makes the record of a C++ exception that weir has not seen yet. `object` is the exception object.
std::shared_ptr<PanicRecord> foreign_record(PanicContext& pc, const std::exception_ptr& e, void* object, int depth) {
    auto r = new_record(PanicKind::Exception);
    r->object = object;
    r->depth = depth;
    describe_exception(*r, e);
    r->link = live(pc);
    if (r->site == nullptr && depth >= 1 && depth <= PanicContext::kDepths && pc.thrown[depth - 1].object == object) {
        r->site = std::move(pc.thrown[depth - 1].site);
    }
    return r;
}

void* object_of(const std::exception_ptr& e) noexcept { return *reinterpret_cast<void* const*>(&e); }

/// pointer_to makes an exception_ptr to an exception that is still in flight; libstdc++'s exception_ptr is one pointer, counted by copying.
std::exception_ptr pointer_to(void* object) noexcept { return *reinterpret_cast<std::exception_ptr*>(&object); }

/// in_flight finds the record of the innermost exception that is unwinding right now, for a deferred call.
std::shared_ptr<PanicRecord> in_flight(PanicContext& pc) {
    int depth = std::uncaught_exceptions();
    void* object = depth <= PanicContext::kDepths ? pc.thrown[depth - 1].object : nullptr;
    std::shared_ptr<PanicRecord> current = live(pc);
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

/// caught finds the record of the exception that the calling catch block handles.
std::shared_ptr<PanicRecord> caught(PanicContext& pc) {
    std::exception_ptr e = std::current_exception();
    void* object = object_of(e);
    for (auto r = pc.current; r != nullptr; r = r->link) {
        if (r->object == object) return r;
    }
    return foreign_record(pc, e, object, std::uncaught_exceptions() + 1);
}

/// drop forgets a panic that has reached its frame, and those that it replaced.
void drop(PanicContext& pc, const std::shared_ptr<PanicRecord>& r) {
    r->state = PanicState::Done;
    for (auto p = pc.current; p != nullptr; p = p->link) {
        if (p != r) continue;
        pc.current = r->link;
        break;
    }
    while (pc.current != nullptr && pc.current->state == PanicState::Aborted) pc.current = pc.current->link;
}

bool is_recovered(const PanicRecord& r) noexcept { return r.state == PanicState::Done || r.state == PanicState::Recovered; }

[[noreturn]] void throw_record(PanicContext& pc, const std::shared_ptr<PanicRecord>& r) {
    r->depth = std::uncaught_exceptions() + 1;
    pc.throwing = r;
    if (r->exception != nullptr) std::rethrow_exception(r->exception);
    throw PanicException(Panic(r));
}

[[noreturn]] void throw_goexit(PanicContext& pc) {
    auto r = std::make_shared<PanicRecord>();
    r->goexit = true;
    r->depth = std::uncaught_exceptions() + 1;
    r->link = live(pc);
    pc.current = r;
    pc.throwing = r;
    throw GoexitSignal{};
}

} // namespace

void throw_panic(PanicKind kind, std::shared_ptr<const PanicValue> value) {
    PanicContext& pc = panic_context();
    auto r = new_record(kind);
    r->value = std::move(value);
    r->type = &r->value->type();
    r->link = live(pc);
    r->site = std::make_unique<Trace>();
    take_trace(*r->site, 1);
    pc.current = r;
    throw_record(pc, r);
}

void throw_fault(PanicKind kind, std::string text, const FaultInfo& fault, std::unique_ptr<Trace> site) {
    PanicContext& pc = panic_context();
    auto r = crash_record(kind, std::move(text), fault, std::move(site));
    r->link = live(pc);
    pc.current = r;
    throw_record(pc, r);
}

std::shared_ptr<PanicRecord> crash_record(PanicKind kind, std::string text, const FaultInfo& fault, std::unique_ptr<Trace> site) {
    auto r = new_record(kind);
    r->value = make_panic_value(RuntimeError(std::move(text)));
    r->type = &r->value->type();
    r->fault = fault;
    r->site = std::move(site);
    return r;
}

std::shared_ptr<PanicRecord> terminated_record() {
    if (std::current_exception() == nullptr) {
        auto site = std::make_unique<Trace>();
        take_trace(*site, 3);
        return crash_record(PanicKind::Fatal, "std::terminate called", {}, std::move(site));
    }
    std::shared_ptr<PanicRecord> r = caught(panic_context());
    if (r->kind == PanicKind::Exception) r->kind = PanicKind::Fatal;
    return r;
}

void throw_nil_panic() { throw_panic(PanicKind::RuntimeError, make_panic_value(PanicNilError{})); }

void panic_runtime(std::string_view text) {
    throw_panic(PanicKind::RuntimeError, make_panic_value(RuntimeError(std::string(text))));
}

void panic_nil_defer() { panic_runtime("runtime error: invalid memory address or nil pointer dereference"); }

void note_throw(void* object, const std::type_info* type, bool rethrown) noexcept {
    rearm_overflow();
    PanicContext& pc = panic_context();
    int depth = std::uncaught_exceptions();
    if (depth < PanicContext::kDepths) {
        Thrown& t = pc.thrown[depth];
        if (!rethrown || t.object != object) t.site.reset();
        t.object = object;
    }
    if (pc.throwing != nullptr) {
        pc.throwing->object = object;
        pc.throwing.reset();
        return;
    }
    if (rethrown) return;
    for (auto r = pc.current; r != nullptr; r = r->link) {
        if (r->object == object) r->object = nullptr; // swallowed long ago, and its memory used again
    }
    if (*type != typeid(GoexitSignal) && depth < PanicContext::kDepths && on_fiber()) {
        pc.thrown[depth].site.reset(new (std::nothrow) Trace);
        if (pc.thrown[depth].site) take_trace(*pc.thrown[depth].site, 0); // printing leaves our own frames out: how many depends on the compiler
    }
}

void frame_caught() {
    rearm_overflow();
    PanicContext& pc = panic_context();
    std::shared_ptr<PanicRecord> r = caught(pc);
    if (is_recovered(*r)) {
        drop(pc, r);
        if (r->over_goexit) throw_goexit(pc);
        return;
    }
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
    drop(pc, r);
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
    std::shared_ptr<PanicRecord> p = in_flight(panic_context());
    DeferRun run{panic_context().run, p};
    panic_context().run = &run;
    std::shared_ptr<PanicRecord> replacement;
    try {
        fn(arg);
    } catch (...) {
        replacement = caught(panic_context());
    }
    PanicContext& pc = panic_context(); // the call may have moved to another thread
    pc.run = run.outer;
    if (replacement != nullptr && is_recovered(*replacement) && !replacement->over_goexit) {
        drop(pc, replacement); // recovered by a defer of the deferred call itself, which has thereby ended
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

std::string panic_chain_text(const PanicRecord& record) {
    std::vector<const PanicRecord*> chain;
    for (const PanicRecord* p = &record; p != nullptr; p = p->link.get()) {
        bool over = p->state == PanicState::Done || p->state == PanicState::Aborted;
        if (p == &record || (!p->goexit && (!over || p->was_replaced))) chain.push_back(p);
    }
    std::string out;
    for (std::size_t i = chain.size(); i-- > 0;) {
        const PanicRecord& p = *chain[i];
        if (i + 1 != chain.size()) out += '\t';
        out += "panic: " + indent_lines(record_message(p));
        if (p.was_recovered) out += " [recovered]";
        out += '\n';
    }
    return out + signal_line(record.fault);
}

PanicRecord::~PanicRecord() {
    if (was_recovered && !looked_at.load(std::memory_order_relaxed)) g_ignored_total.fetch_add(1, std::memory_order_relaxed);
}

std::string record_message(const PanicRecord& record) {
    if (record.value == nullptr) return record.text;
    try {
        return record.value->print();
    } catch (const std::exception& e) {
        return std::string("panic while printing panic value: ") + e.what();
    } catch (...) {
        return "panic while printing panic value";
    }
}

std::string indent_lines(std::string text) {
    for (std::size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 2)) text.insert(at + 1, "\t");
    return text;
}

std::string type_name(const std::type_info& type) {
    int status = 0;
    char* name = abi::__cxa_demangle(type.name(), nullptr, nullptr, &status);
    std::string out = status == 0 ? name : type.name();
    std::free(name);
    return out;
}

std::string print_float(double value) {
    char text[48];
    std::snprintf(text, sizeof text, "%+.6e", value);
    // Go prints at least three digits of the exponent.
    std::string s = text;
    std::size_t e = s.find('e');
    if (e != std::string::npos && s.size() - e == 4) s.insert(e + 2, "0");
    return s;
}

std::string print_pointer(const void* p) {
    char text[32];
    std::snprintf(text, sizeof text, "%p", p);
    return text;
}

} // namespace detail

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

// ---- Panic ----

namespace {

/// looked_at: the program takes notice of this panic.
const detail::PanicRecord& looked_at(const std::shared_ptr<detail::PanicRecord>& r) noexcept {
    if (!r->looked_at.load(std::memory_order_relaxed)) r->looked_at.store(true, std::memory_order_relaxed);
    return *r;
}

} // namespace

std::string Panic::message() const { return detail::record_message(looked_at(record_)); }

std::exception_ptr Panic::exception() const {
    return looked_at(record_).exception != nullptr ? record_->exception : std::make_exception_ptr(PanicException(*this));
}

PanicKind Panic::kind() const noexcept { return looked_at(record_).kind; }
std::string Panic::type_name() const { return looked_at(record_).type != nullptr ? detail::type_name(*record_->type) : std::string(); }
std::uint64_t Panic::fiber_id() const noexcept { return record_->fiber_id; }
bool Panic::recovered() const noexcept { return record_->was_recovered; }

std::string Panic::stack() const {
    if (looked_at(record_).site == nullptr) return {};
    return detail::print_trace({record_->site->pc.data(), static_cast<std::size_t>(record_->site->size)});
}

std::vector<Panic> Panic::replaced() const {
    std::vector<Panic> out;
    for (auto p = record_->link; p != nullptr; p = p->link) {
        if (!p->goexit) out.insert(out.begin(), Panic(p));
    }
    return out;
}

const detail::PanicValue* Panic::raw_value() const noexcept { return looked_at(record_).value.get(); }

PanicException::PanicException(Panic panic)
    : panic_(std::move(panic)), what_(std::make_shared<const std::string>(detail::record_message(*panic_.record()))) {}

PanicException::~PanicException() { detail::rearm_overflow(); } // the end of the catch block that ended the panic

const char* PanicException::what() const noexcept { return what_->c_str(); }

} // namespace weir
