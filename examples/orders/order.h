// What the service deals in: an order that a client asks for, and one that was placed.
#pragma once

#include <cstdint>
#include <string>

#include <weir/error.h>

namespace orders {

inline constexpr std::size_t kMaxItemBytes = 200;
inline constexpr std::int64_t kMaxQuantity = 1000;

struct NewOrder {
    std::string item;
    std::int64_t quantity = 0;
};

struct Order {
    std::int64_t id = 0; ///< given by the store, from 1
    std::string item;
    std::int64_t quantity = 0;
};

/// kNotFound: there is no order of that id.
inline const weir::Error kNotFound("no such order");

/// validate says what is wrong with an order; nil when nothing is. Panics on quantity -1: the poison order, which stands for the
/// bug that every validator has somewhere, and shows that it costs one request and no more.
weir::Error validate(const NewOrder& order);

} // namespace orders
