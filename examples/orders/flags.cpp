#include "flags.h"

#include <charconv>
#include <filesystem>
#include <string_view>
#include <system_error>

#include <getopt.h>
#include <unistd.h>

namespace orders {

using weir::Error;
using weir::errorf;

namespace {

constexpr option kOptions[] = {
    {"port", required_argument, nullptr, 'p'},    {"db", required_argument, nullptr, 'd'},
    {"workers", required_argument, nullptr, 'w'}, {"gateway-ms", required_argument, nullptr, 'g'},
    {"crash-routes", no_argument, nullptr, 'c'},  {"help", no_argument, nullptr, 'h'},
    {},
};

/// default_db is a file of this user's in the temporary directory: the orders of a demonstration.
std::string default_db() {
    std::error_code failed;
    std::filesystem::path directory = std::filesystem::temp_directory_path(failed);
    if (failed) directory = "/tmp";
    return directory / ("weir-orders-" + std::to_string(getuid()) + ".db");
}

Error parse_number(std::string_view flag, std::string_view text, int min, int max, int& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size() && value >= min && value <= max) return {};
    return errorf("{} must be a number from {} to {}, not \"{}\"", flag, min, max, text);
}

Error apply(int option, const char* value, Flags& flags) {
    switch (option) {
    case 'p':
        return parse_number("--port", value, 0, 65535, flags.port);
    case 'w':
        return parse_number("--workers", value, 1, 100'000, flags.workers);
    case 'g':
        return parse_number("--gateway-ms", value, 0, 60'000, flags.gateway_ms);
    case 'd':
        flags.db = value;
        return flags.db.empty() ? Error("--db must be a path") : Error();
    case 'c':
        flags.crash_routes = true;
        return {};
    default:
        flags.help = true;
        return {};
    }
}

} // namespace

std::pair<Flags, Error> parse_flags(int argc, char** argv) {
    Flags flags;
    flags.db = default_db();
    opterr = 0; // the caller prints what is wrong
    for (int option; (option = getopt_long(argc, argv, ":h", kOptions, nullptr)) != -1;) {
        if (option == ':') return {flags, errorf("{} needs a value", argv[optind - 1])};
        if (option == '?') return {flags, errorf("unknown flag {}", argv[optind - 1])};
        if (Error err = apply(option, optarg, flags)) return {flags, err};
    }
    if (optind < argc) return {flags, errorf("unexpected argument \"{}\"", argv[optind])};
    return {flags, {}};
}

std::string usage() {
    return "usage: orders [flags]\n"
           "  --port N         port on 127.0.0.1 (default 8080; 0: any that is free)\n"
           "  --db PATH        SQLite file (default " +
           default_db() +
           ")\n"
           "  --workers N      payments made at the same time (default 16)\n"
           "  --gateway-ms N   how long the pretended payment gateway takes (default 1)\n"
           "  --crash-routes   GET /crash/KIND crashes: null, div, overflow, throw, abort\n"
           "  --help           this text\n";
}

} // namespace orders
