// What a fault is called: Go's words (runtime/signal_unix.go, runtime/sigtab_linux_generic.go).
#include <csignal>
#include <cstdio>

#include "panic_context.h"

namespace weir::detail {

namespace {

const char* signal_name(int signal) noexcept {
    switch (signal) {
    case SIGSEGV: return "SIGSEGV: segmentation violation";
    case SIGBUS: return "SIGBUS: bus error";
    case SIGFPE: return "SIGFPE: floating-point exception";
    case SIGILL: return "SIGILL: illegal instruction";
    case SIGTRAP: return "SIGTRAP: trace trap";
    case SIGABRT: return "SIGABRT: abort";
    }
    return "unknown signal";
}

} // namespace

std::string fault_text(const FaultInfo& fault) {
    switch (fault.signal) {
    case SIGSEGV:
    case SIGBUS: return "runtime error: invalid memory address or nil pointer dereference";
    case SIGFPE:
        if (fault.code == FPE_INTDIV) return "runtime error: integer divide by zero";
        if (fault.code == FPE_INTOVF) return "runtime error: integer overflow";
        return "runtime error: floating point error";
    case SIGILL: return "runtime error: illegal instruction";
    case SIGTRAP: return "runtime error: trace trap";
    }
    return signal_name(fault.signal);
}

std::string signal_line(const FaultInfo& fault) {
    if (fault.signal == 0) return {};
    char text[160];
    std::snprintf(text, sizeof text, "[signal %s code=0x%x addr=0x%zx pc=0x%zx]\n", signal_name(fault.signal), static_cast<unsigned>(fault.code), fault.address,
                  fault.pc);
    return text;
}

} // namespace weir::detail
