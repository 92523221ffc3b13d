// Pattern: one Mux pattern, parsed, and how two of them relate.
#pragma once

#include <source_location>
#include <string>
#include <string_view>
#include <vector>

namespace weir::http::detail {

/// Segment is one piece of a pattern's path.
struct Segment {
    enum class Kind {
        Literal, // "orders"
        Wild,    // "{id}": exactly one path segment
        Rest,    // "{rest...}", or a trailing slash (without a name): everything that follows
        End,     // "{$}": the path ends here with a slash
    };
    Kind kind;
    std::string text; // the literal, or the wildcard's name
};

/// Relation of two patterns p and q, as bits: what each matches that the other does not.
enum Relation : unsigned {
    kEquivalent = 0,
    kMoreGeneral = 1,  // p matches something that q does not
    kMoreSpecific = 2, // q matches something that p does not
    kOverlaps = 3,     // both
    kDisjoint = 4,     // nothing is matched by both; outweighs the other bits
};

struct Pattern {
    std::string text;   // as registered
    std::string method; // "" matches any
    std::string host;   // "" matches any
    std::vector<Segment> path;
    std::source_location where;

    bool ends_in_rest() const noexcept { return path.back().kind == Segment::Kind::Rest; }
};

/// parse_pattern panics with Go's message when the pattern is malformed.
Pattern parse_pattern(std::string_view text, std::source_location where);

/// conflicts: some request is matched by both and neither is more specific. A pattern with a host always wins over one without.
bool conflicts(const Pattern& p, const Pattern& q);

/// describe_conflict is Go's text for the panic, for p registered after q.
std::string describe_conflict(const Pattern& p, const Pattern& q);

} // namespace weir::http::detail
