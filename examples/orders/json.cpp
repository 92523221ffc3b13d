#include "json.h"

#include <nlohmann/json.hpp>

namespace orders {

using nlohmann::json;
using weir::Error;
using weir::errorf;

namespace {

/// reason is the message of a JSON exception without the library's own "[json.exception.parse_error.101] ".
std::string reason(const json::exception& e) {
    const std::string_view what = e.what();
    const std::size_t end = what.find("] ");
    return std::string(end == what.npos ? what : what.substr(end + 2));
}

// Text that is not UTF-8 (an error quotes what the client sent) must not make the answer fail.
std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

} // namespace

std::pair<NewOrder, Error> parse_order(std::string_view body) {
    json order;
    try {
        order = json::parse(body);
    } catch (const json::exception& e) {
        return {{}, errorf("bad JSON: {}", reason(e))};
    }
    if (!order.is_object()) return {{}, errorf("an order must be an object, not {}", order.type_name())};

    const auto item = order.find("item");
    if (item == order.end()) return {{}, Error("item is missing")};
    if (!item->is_string()) return {{}, errorf("item must be text, not {}", item->type_name())};

    const auto quantity = order.find("quantity");
    if (quantity == order.end()) return {{}, Error("quantity is missing")};
    if (!quantity->is_number()) return {{}, errorf("quantity must be a number, not {}", quantity->type_name())};
    // One too large for int64 would come out negative below.
    const bool too_large = quantity->is_number_unsigned() && quantity->get<std::uint64_t>() > kMaxQuantity;
    if (!quantity->is_number_integer() || too_large) {
        return {{}, errorf("quantity must be a whole number from 1 to {}, not {}", kMaxQuantity, dump(*quantity))};
    }
    return {NewOrder{item->get<std::string>(), quantity->get<std::int64_t>()}, {}};
}

std::string to_json(const Order& order) { return dump({{"id", order.id}, {"item", order.item}, {"quantity", order.quantity}}); }

std::string error_json(std::string_view text) { return dump({{"error", text}}); }

} // namespace orders
