// What the program sees of a panic: Panic, PanicException, and how both are printed.
#include <weir/panic.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cxxabi.h>
#include <memory>
#include <string>
#include <vector>

#include "overflow.h"
#include "panic_context.h"
#include "symbols.h"

namespace weir {

namespace detail {

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

std::string record_stack(const PanicRecord& record) {
    const std::string stack = record.site != nullptr ? print_trace(record.site->trace().addresses()) : "";
    return record.details.empty() ? stack : stack + "\n" + record.details;
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

std::string Panic::stack() const { return detail::record_stack(looked_at(record_)); }

std::vector<Panic> Panic::replaced() const {
    std::vector<Panic> out;
    for (auto p = record_->link; p != nullptr; p = p->link) {
        if (!p->goexit) out.insert(out.begin(), Panic(p));
    }
    return out;
}

const detail::PanicValue* Panic::raw_value() const noexcept { return looked_at(record_).value; }

PanicException::PanicException(Panic panic) noexcept : panic_(std::move(panic)) {}

PanicException::~PanicException() { detail::rearm_overflow(); } // the end of the catch block that ended the panic

namespace {

/// what_of is the message, and the details: who catches a std::exception prints nothing else.
std::string what_of(const detail::PanicRecord& r) { return r.details.empty() ? detail::record_message(r) : detail::record_message(r) + "\n\n" + r.details; }

} // namespace

const char* PanicException::what() const noexcept {
    std::atomic<const std::string*>& what = panic_.record()->what;
    const std::string* text = what.load(std::memory_order_acquire); // acquire: pairs with the exchange below
    if (text != nullptr) return text->c_str();
    auto fresh = std::make_unique<const std::string>(what_of(*panic_.record()));
    // release: publishes the text; acquire: of another thread that was faster.
    if (what.compare_exchange_strong(text, fresh.get(), std::memory_order_acq_rel, std::memory_order_acquire)) text = fresh.release();
    return text->c_str();
}

} // namespace weir
