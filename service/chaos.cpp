#include <weir/chaos.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>

#include <weir/fiber_local.h>
#include <weir/panic.h>
#include <weir/sleep.h>

namespace weir::chaos {

namespace detail {
std::atomic<bool> g_armed{true};
}

namespace {

/// Armed is a rule and its counters. Shared with the calls that are looking at it.
struct Armed {
    const int number;
    const Rule rule;
    std::atomic<std::uint64_t> calls{0};
    std::atomic<std::uint64_t> injected{0};
};
using Rules = std::vector<std::shared_ptr<Armed>>;

/// State is leaked: points may be called from static destructors. Nothing under its mutex parks.
struct State {
    std::mutex mutex;
    bool environment_read = false; // guarded by mutex, as is all below
    std::uint64_t seed = 1;
    int last_number = 0;
    Rules rules;
};

State& state() {
    static auto* s = new State;
    return *s;
}

std::atomic<std::uint64_t> g_injected{0};

fiber_local<Labels>& scopes() {
    static auto* s = new fiber_local<Labels>;
    return *s;
}

// ---- what the text says ----

/// cut splits off what stands before the first `separator`, without blanks around it.
std::string_view cut(std::string_view& text, char separator) {
    const std::size_t at = text.find(separator);
    std::string_view head = text.substr(0, at);
    text = at == text.npos ? std::string_view() : text.substr(at + 1);
    head.remove_prefix(std::min(head.find_first_not_of(' '), head.size()));
    return head.substr(0, head.find_last_not_of(' ') + 1);
}

template <class T>
bool parse(std::string_view text, T& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
}

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
    const std::size_t unit_at = text.find_first_not_of("0123456789.");
    double n = 0;
    if (unit_at == text.npos || !parse(text.substr(0, unit_at), n)) return std::nullopt;
    const std::string_view unit = text.substr(unit_at);
    for (const auto& [name, ns] : {std::pair("ns", 1.0), {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 6e10}}) {
        if (unit == name) return std::chrono::nanoseconds(static_cast<std::int64_t>(n * ns));
    }
    return std::nullopt;
}

bool valid(double probability) { return probability >= 0 && probability <= 1; }

Error parse_action(std::string_view text, Rule& rule) {
    const std::string_view name = cut(text, '=');
    if (name == "panic" || name == "abort") {
        rule.action = name == "panic" ? Action::Panic : Action::Abort;
        return {};
    }
    const auto delay = parse_duration(text);
    if (name != "delay" || !delay) return errorf("\"{}\" must be panic, abort or delay=DURATION", name);
    rule.action = Action::Delay;
    rule.delay = *delay;
    return {};
}

Error parse_option(std::string_view text, Rule& rule) {
    std::string_view rest = text;
    const std::string_view name = cut(rest, ' ');
    if (name == "limit" && parse(rest, rule.limit)) return {};
    if (name != "label" || rest.find('=') == rest.npos) return errorf("\"{}\" must be label KEY=VALUE or limit N", text);
    const std::string_view key = cut(rest, '=');
    rule.labels.emplace_back(key, rest);
    return {};
}

Error parse_rule(std::string_view text, Rule& rule) {
    std::string_view head = cut(text, ',');
    rule.point = cut(head, ':');
    if (rule.point.empty() || head.empty()) return Error("a rule begins with POINT:ACTION");
    if (Error err = parse_action(cut(head, ':'), rule)) return err;
    if (!head.empty() && (!parse(head, rule.probability) || !valid(rule.probability))) return errorf("\"{}\" must be a probability from 0 to 1", head);
    while (!text.empty()) {
        if (Error err = parse_option(cut(text, ','), rule)) return err;
    }
    return {};
}

std::pair<std::vector<Rule>, Error> parse_rules(std::string_view text) {
    std::vector<Rule> rules;
    while (!text.empty()) {
        const std::string_view one = cut(text, ';');
        if (one.empty()) continue;
        Rule rule;
        if (Error err = parse_rule(one, rule)) return {{}, errorf("chaos: {}: {}", one, wrap(err))};
        rules.push_back(std::move(rule));
    }
    return {std::move(rules), {}};
}

// ---- the rules that are armed ----

/// add wants the mutex held.
int add(State& s, Rule rule) {
    if (rule.action == Action::Panic && rule.delay.count() > 0) rule.action = Action::Delay;
    s.rules.push_back(std::make_shared<Armed>(++s.last_number, std::move(rule)));
    detail::g_armed.store(true, std::memory_order_relaxed);
    return s.last_number;
}

/// read_environment wants the mutex held. The error is kept for every later call, which finds it again.
void read_environment(State& s) {
    if (s.environment_read) return;
    if (const char* text = std::getenv("WEIR_CHAOS_SEED"); text != nullptr && !parse(text, s.seed)) {
        panic(RuntimeError(std::string("weir: WEIR_CHAOS_SEED=") + text + ": must be a whole number"));
    }
    if (const char* text = std::getenv("WEIR_CHAOS")) {
        auto [rules, err] = parse_rules(text);
        if (err) panic(RuntimeError("weir: WEIR_CHAOS: " + err.message()));
        for (Rule& rule : rules) add(s, std::move(rule));
    }
    s.environment_read = true;
    if (s.rules.empty()) detail::g_armed.store(false, std::memory_order_relaxed);
}

bool has(const Labels& all, const std::pair<std::string, std::string>& one) { return std::find(all.begin(), all.end(), one) != all.end(); }

bool holds(const Rule& rule, std::string_view name) {
    const std::string_view wanted = rule.point;
    const bool named = wanted.ends_with('*') ? name.starts_with(wanted.substr(0, wanted.size() - 1)) : name == wanted;
    if (!named || rule.labels.empty()) return named;
    const Labels own = this_fiber::labels();
    return std::all_of(rule.labels.begin(), rule.labels.end(), [&](const auto& label) { return has(own, label) || has(*scopes(), label); });
}

/// splitmix64, one step.
std::uint64_t mix(std::uint64_t x) {
    x += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

/// draw is a number from 0 to 1 that depends on its arguments alone.
double draw(std::uint64_t seed, int rule, std::uint64_t call) {
    const std::uint64_t x = mix(mix(mix(seed) ^ static_cast<std::uint64_t>(rule)) ^ call);
    return static_cast<double>(x >> 11) * 0x1p-53;
}

bool strikes(Armed& a, std::uint64_t seed) {
    const std::uint64_t call = a.calls.fetch_add(1, std::memory_order_relaxed);
    if (draw(seed, a.number, call) >= a.rule.probability) return false;
    const std::uint64_t before = a.injected.fetch_add(1, std::memory_order_relaxed);
    if (a.rule.limit != 0 && before >= a.rule.limit) {
        a.injected.fetch_sub(1, std::memory_order_relaxed);
        return false;
    }
    g_injected.fetch_add(1, std::memory_order_relaxed);
    return true;
}

void strike(const Rule& rule, std::string_view name) {
    switch (rule.action) {
    case Action::Panic: panic(Injected{std::string(name)});
    case Action::Delay: sleep(rule.delay); return;
    case Action::Abort: std::abort();
    }
}

} // namespace

void detail::point_armed(std::string_view name) {
    State& s = state();
    Rules rules;
    std::uint64_t seed = 0;
    {
        const std::lock_guard hold(s.mutex);
        read_environment(s);
        rules = s.rules;
        seed = s.seed;
    }
    for (const auto& a : rules) {
        if (holds(a->rule, name) && strikes(*a, seed)) strike(a->rule, name);
    }
}

int arm(Rule rule) {
    if (!valid(rule.probability)) panic("chaos: a probability must be from 0 to 1");
    State& s = state();
    const std::lock_guard hold(s.mutex);
    read_environment(s);
    return add(s, std::move(rule));
}

Error arm(std::string_view text) {
    auto [rules, err] = parse_rules(text);
    if (err) return err;
    for (Rule& rule : rules) arm(std::move(rule));
    return {};
}

void disarm(int rule) {
    State& s = state();
    const std::lock_guard hold(s.mutex);
    read_environment(s);
    std::erase_if(s.rules, [&](const auto& a) { return a->number == rule; });
    detail::g_armed.store(!s.rules.empty(), std::memory_order_relaxed);
}

void disarm_all() {
    State& s = state();
    const std::lock_guard hold(s.mutex);
    read_environment(s);
    s.rules.clear();
    s.last_number = 0;
    detail::g_armed.store(false, std::memory_order_relaxed);
}

void seed(std::uint64_t value) {
    State& s = state();
    const std::lock_guard hold(s.mutex);
    read_environment(s);
    s.seed = value;
    for (const auto& a : s.rules) a->calls.store(0, std::memory_order_relaxed);
}

std::vector<Stats> stats() {
    State& s = state();
    const std::lock_guard hold(s.mutex);
    std::vector<Stats> out;
    for (const auto& a : s.rules) out.push_back({a->number, a->rule.point, a->calls.load(std::memory_order_relaxed), a->injected.load(std::memory_order_relaxed)});
    return out;
}

std::uint64_t injected_total() noexcept { return g_injected.load(std::memory_order_relaxed); }

Scope::Scope(std::string key, std::string value) { scopes()->emplace_back(std::move(key), std::move(value)); }

Scope::~Scope() { scopes()->pop_back(); }

} // namespace weir::chaos
