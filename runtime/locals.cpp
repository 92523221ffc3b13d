#include <weir/fiber_local.h>

#include <mutex>
#include <utility>
#include <vector>

#include "fiber.h"
#include "worker.h"

namespace weir::detail {

/// LocalValues of one fiber or thread, by fiber_local index.
struct LocalValues {
    std::vector<void*> values;
    ~LocalValues();
};

namespace {

struct Types {
    std::mutex mutex;
    std::vector<const LocalType*> list; // guarded by mutex; never shrinks
};

Types& types() {
    static auto* t = new Types; // leaked: fibers may outlive static destruction
    return *t;
}

const LocalType* type_at(std::size_t index) {
    std::lock_guard hold(types().mutex);
    return types().list[index];
}

WEIR_NOINLINE LocalValues& thread_values() {
    static thread_local LocalValues values;
    LocalValues* p = &values;
    asm volatile("" : "+rm"(p));
    return *p;
}

} // namespace

LocalValues::~LocalValues() {
    // The newest first, as thread_local. A destructor may use other values, and so make them again or lengthen the list: a few rounds, as with
    // pthread keys.
    bool any = true;
    for (int round = 0; round < 4 && any; ++round) {
        any = false;
        for (std::size_t i = values.size(); i-- > 0;) {
            void* value = std::exchange(values[i], nullptr);
            if (value == nullptr) continue;
            any = true;
            type_at(i)->destroy(value);
        }
    }
}

std::size_t local_register(const LocalType* type) {
    std::lock_guard hold(types().mutex);
    types().list.push_back(type);
    return types().list.size() - 1;
}

void** local_slot(std::size_t index) {
    Worker* w = this_worker();
    Fiber* f = w != nullptr ? w->current : nullptr;
    if (f != nullptr && f->locals == nullptr) f->locals = new LocalValues;
    LocalValues& local = f != nullptr ? *f->locals : thread_values();
    if (local.values.size() <= index) local.values.resize(index + 1);
    return &local.values[index];
}

void destroy_locals(Fiber& f) noexcept {
    delete f.locals;
    f.locals = nullptr;
}

void copy_locals(const Fiber& from, Fiber& to) {
    if (from.locals == nullptr) return;
    to.locals = new LocalValues;
    to.locals->values.resize(from.locals->values.size());
    for (std::size_t i = 0; i < from.locals->values.size(); ++i) {
        const void* value = from.locals->values[i];
        if (value != nullptr && type_at(i)->copy != nullptr) to.locals->values[i] = type_at(i)->copy(value);
    }
}

} // namespace weir::detail
