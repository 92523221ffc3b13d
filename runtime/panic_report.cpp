#include <weir/panic_report.h>

#include <cstdio>
#include <ctime>
#include <string_view>

#include "fiber_text.h"

namespace weir {

namespace {

using detail::quoted;

std::string milliseconds(std::chrono::nanoseconds d) {
    return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(d).count());
}

void member(std::string& out, std::string_view name, std::string_view value) {
    out += out.size() > 1 ? "," : "";
    out += quoted(name) + ":" + std::string(value);
}

/// rfc3339 prints a time as Go's RFC3339 does, in UTC with milliseconds.
std::string rfc3339(std::chrono::system_clock::time_point time) {
    std::time_t seconds = std::chrono::system_clock::to_time_t(time);
    auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count() % 1000;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char text[80];
    std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min,
                  parts.tm_sec, static_cast<int>(ms));
    return text;
}

} // namespace

const char* to_string(PanicKind kind) noexcept {
    switch (kind) {
    case PanicKind::User: return "user";
    case PanicKind::Exception: return "exception";
    case PanicKind::RuntimeError: return "runtime error";
    case PanicKind::Fault: return "fault";
    case PanicKind::StackOverflow: return "stack overflow";
    case PanicKind::Fatal: return "fatal";
    }
    return "unknown";
}

std::string PanicReport::text() const {
    std::string out = chain;
    if (abandoned) out += "[fiber abandoned: its code could not be unwound; its destructors did not run and its stack is kept]\n";
    if (suppressed != 0) out += "[" + std::to_string(suppressed) + " identical reports suppressed]\n";
    out += "\n" + detail::fiber_header({fiber_id, locked_to_thread, fiber_name, labels}, "running") + stack + created_by;
    if (!last_wait.empty()) out += "last waited for: " + last_wait + ", begun " + milliseconds(last_wait_ago) + " ms before its end\n";
    if (!unwinding_wait.empty()) out += "waited while it unwound: " + unwinding_wait + "\n";
    return out + (details.empty() ? "" : "\n" + details);
}

std::string PanicReport::json() const {
    std::string named;
    for (const auto& [key, value] : labels) named += (named.empty() ? "" : ",") + quoted(key) + ":" + quoted(value);
    std::string out = "{";
    member(out, "time", quoted(rfc3339(time)));
    member(out, "kind", quoted(to_string(kind)));
    member(out, "message", quoted(message));
    member(out, "type", quoted(type_name));
    member(out, "fiber", std::to_string(fiber_id));
    member(out, "name", quoted(fiber_name));
    member(out, "labels", "{" + named + "}");
    member(out, "last_wait", quoted(last_wait));
    member(out, "last_wait_ms_ago", milliseconds(last_wait_ago));
    member(out, "unwinding_wait", quoted(unwinding_wait));
    member(out, "locked_to_thread", locked_to_thread ? "true" : "false");
    member(out, "abandoned", abandoned ? "true" : "false");
    member(out, "suppressed", std::to_string(suppressed));
    member(out, "chain", quoted(chain));
    member(out, "stack", quoted(stack));
    member(out, "created_by", quoted(created_by));
    if (!details.empty()) member(out, "details", quoted(details));
    return out + "}";
}

} // namespace weir
