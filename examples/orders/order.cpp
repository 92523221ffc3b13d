#include "order.h"

#include <weir/panic.h>

namespace orders {

using weir::Error;
using weir::errorf;

Error validate(const NewOrder& order) {
    if (order.quantity == -1) weir::panic("poison order: quantity -1");
    if (order.item.empty()) return Error("item must not be empty");
    if (order.item.size() > kMaxItemBytes)
        return errorf("item is too long: {} bytes, at most {}", order.item.size(), kMaxItemBytes);
    if (order.quantity < 1 || order.quantity > kMaxQuantity) {
        return errorf("quantity must be from 1 to {}, not {}", kMaxQuantity, order.quantity);
    }
    return {};
}

} // namespace orders
