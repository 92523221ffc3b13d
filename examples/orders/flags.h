// The command line.
#pragma once

#include <string>
#include <utility>

#include <weir/error.h>

namespace orders {

struct Flags {
    int port = 8080; ///< on 127.0.0.1; 0: any that is free
    std::string db;  ///< SQLite file
    int workers = 16;
    int gateway_ms = 1;
    bool crash_routes = false;
    bool help = false;
};

/// parse_flags reads the command line; the error says what is wrong with it.
std::pair<Flags, weir::Error> parse_flags(int argc, char** argv);

/// usage lists the flags.
std::string usage();

} // namespace orders
