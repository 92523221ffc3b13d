// Orders as JSON: {"item": text, "quantity": number}, and with an "id" once placed. The only file that knows the JSON library is
// json.cpp.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "order.h"

namespace orders {

/// parse_order reads a request body. The error says what is wrong with it, in words for the client. Fields it does not know are
/// ignored.
std::pair<NewOrder, weir::Error> parse_order(std::string_view body);

/// to_json is {"id": ..., "item": ..., "quantity": ...}.
std::string to_json(const Order& order);

/// error_json is {"error": text}.
std::string error_json(std::string_view text);

} // namespace orders
