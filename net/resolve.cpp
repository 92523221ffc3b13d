#include "resolve.h"

#include <charconv>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <optional>
#include <string>
#include <unistd.h>

#include <weir/chan.h>
#include <weir/go.h>
#include <weir/runtime.h>
#include <weir/select.h>

namespace weir::net {

namespace {

using detail::SockAddr;

struct Lookup {
    std::vector<SockAddr> addrs;
    Error err;
};

struct FreeAddrInfo {
    void operator()(addrinfo* list) const noexcept { ::freeaddrinfo(list); }
};

Error lookup_error(const std::string& host, int code, int number) {
    if (code == EAI_SYSTEM) return OpError{"lookup", "", "", host, Error::from_errno(number)};
    if (code == EAI_NONAME || code == EAI_NODATA) return OpError{"lookup", "", "", host, Error("no such host")};
    return OpError{"lookup", "", "", host, Error(::gai_strerror(code))};
}

/// query asks the system's resolver. `flags` with AI_NUMERICHOST never blocks. Not inlined: see fd.h about errno.
WEIR_NOINLINE Lookup query(const std::string& host, int family, int flags) {
    addrinfo hints{};
    hints.ai_family = family;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags;
    addrinfo* list = nullptr;
    const int code = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
    const int number = errno;
    const std::unique_ptr<addrinfo, FreeAddrInfo> owner(list);
    if (code != 0) return {{}, lookup_error(host, code, number)};
    Lookup result;
    for (const addrinfo* a = list; a != nullptr; a = a->ai_next) {
        SockAddr addr;
        addr.size = a->ai_addrlen;
        std::memcpy(&addr.storage, a->ai_addr, a->ai_addrlen);
        result.addrs.push_back(addr);
    }
    return result;
}

/// lookup finds a name's addresses. The resolver cannot be interrupted: when ctx can end, it runs on a fiber that may outlast
/// this call.
Lookup lookup(const Context& ctx, const std::string& host, int family) {
    if (Lookup numeric = query(host, family, AI_NUMERICHOST); !numeric.err) return numeric;
    recv_chan<void> done = ctx.done();
    if (done == nil) return blocking([&] { return query(host, family, AI_ADDRCONFIG); });
    auto result = std::make_shared<Lookup>();
    chan<void> ready(1);
    go({.name = "net.lookup"}, [result, ready, host, family]() mutable {
        *result = blocking([&] { return query(host, family, AI_ADDRCONFIG); });
        ready.close();
    });
    bool finished = false;
    select(recv(ready, [&] { finished = true; }), recv(done, [] {}));
    if (finished) return std::move(*result);
    return {{}, OpError{"lookup", "", "", host, ctx.err()}};
}

/// lookup_port: a number, or a service name of /etc/services.
std::pair<std::uint16_t, Error> lookup_port(const std::string& port) {
    std::uint32_t number = 0;
    const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (ec == std::errc{} && end == port.data() + port.size()) {
        if (number > 65535) return {0, errorf("address {}: invalid port", port)};
        return {static_cast<std::uint16_t>(number), Error()};
    }
    if (port.empty()) return {0, Error()}; // Go: "host:" is port 0
    servent entry{};
    servent* found = nullptr;
    char buf[1024];
    if (::getservbyname_r(port.c_str(), "tcp", &entry, buf, sizeof buf, &found) != 0 || found == nullptr) {
        return {0, errorf("lookup tcp/{}: unknown port", port)};
    }
    return {ntohs(static_cast<std::uint16_t>(found->s_port)), Error()};
}

} // namespace

HostPort split_host_port(std::string_view address) {
    const auto fail = [&](const char* why) { return HostPort{"", "", errorf("address {}: {}", address, why)}; };
    const std::size_t colon = address.rfind(':');
    if (colon == std::string_view::npos) return fail("missing port in address");
    std::string_view host = address.substr(0, colon);
    if (address.front() == '[') {
        const std::size_t bracket = address.find(']');
        if (bracket == std::string_view::npos) return fail("missing ']' in address");
        if (bracket + 1 == address.size()) return fail("missing port in address");
        if (bracket + 1 != colon)
            return fail(address[bracket + 1] == ':' ? "too many colons in address" : "missing port in address");
        host = address.substr(1, bracket - 1);
    } else if (host.find(':') != std::string_view::npos) {
        return fail("too many colons in address");
    }
    if (host.find('[') != std::string_view::npos) return fail("unexpected '[' in address");
    if (host.find(']') != std::string_view::npos) return fail("unexpected ']' in address");
    return {std::string(host), std::string(address.substr(colon + 1)), Error()};
}

std::string join_host_port(std::string_view host, std::string_view port) {
    const bool ipv6 = host.find(':') != std::string_view::npos;
    std::string out;
    out.append(ipv6 ? "[" : "").append(host).append(ipv6 ? "]:" : ":").append(port);
    return out;
}

std::pair<std::vector<std::string>, Error> lookup_host(const Context& ctx, std::string_view host) {
    Lookup found = lookup(ctx, std::string(host), AF_UNSPEC);
    std::vector<std::string> out;
    for (const SockAddr& a : found.addrs) out.push_back(split_host_port(a.text()).host);
    return {std::move(out), std::move(found.err)};
}

namespace detail {

bool ipv6_available() noexcept {
    static const bool available = [] {
        const int fd = new_socket(AF_INET6);
        if (fd < 0) return false;
        const SockAddr any = make_ipv6_any(0);
        const bool ok = ::bind(fd, any.get(), any.size) == 0;
        ::close(fd);
        return ok;
    }();
    return available;
}

std::pair<std::vector<SockAddr>, Error> resolve(const Context& ctx, const Network& network, std::string_view address,
                                                Purpose purpose) {
    if (network.is_unix()) {
        SockAddr addr;
        if (!make_unix(address, addr)) return {{}, Error::from_errno(EINVAL)};
        return {{addr}, Error()};
    }
    if (address.empty()) return {{}, Error("missing address")};
    auto [host, port_name, split_error] = split_host_port(address);
    if (split_error) return {{}, split_error};
    const auto [port, port_error] = lookup_port(port_name);
    if (port_error) return {{}, port_error};
    if (host.empty()) {
        const bool ipv6 =
            network.family == AF_INET6 || (network.family == AF_UNSPEC && purpose == Purpose::Listen && ipv6_available());
        if (purpose == Purpose::Dial)
            host = ipv6 ? "::1" : "127.0.0.1";
        else
            return {{ipv6 ? make_ipv6_any(port) : make_ipv4(INADDR_ANY, port)}, Error()};
    }
    Lookup found = lookup(ctx, host, network.family);
    if (found.err) return {{}, found.err};
    for (SockAddr& a : found.addrs) a.set_port(port);
    return {std::move(found.addrs), Error()};
}

} // namespace detail

} // namespace weir::net
