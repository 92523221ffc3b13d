// Addresses as users write them, turned into socket addresses.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include <weir/context.h>
#include <weir/error.h>

#include "sockaddr.h"
#include "socket.h"

namespace weir::net::detail {

/// Purpose of an address: an empty host means every local address to listen on, and this machine to dial.
enum class Purpose { Listen, Dial };

/// resolve gives the addresses of "host:port" or of a unix path, in the order to try them. Blocks while a name is looked up,
/// until ctx ends.
std::pair<std::vector<SockAddr>, Error> resolve(const Context& ctx, const Network& network, std::string_view address,
                                                Purpose purpose);

/// ipv6_available tells whether this machine can listen on IPv6.
bool ipv6_available() noexcept;

} // namespace weir::net::detail
