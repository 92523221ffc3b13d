// Context's handles and the links that never end by themselves: background, without_cancel, with_value.
#include <weir/context.h>

#include <ostream>

#include "context_access.h"
#include "context_cancel.h"
#include "no_destroy.h"

namespace weir {

using detail::ContextAccess;

namespace {

/// Root is background or todo.
class Root final : public ContextBase {
public:
    constexpr explicit Root(const char* name) noexcept : ContextBase(Lifetime::Immortal), name_(name) {}
    std::optional<Context::time_point> deadline() const override { return {}; }
    recv_chan<void> done() const override { return nil; }
    Error err() const override { return {}; }
    std::string string() const override { return name_; }

private:
    const ContextBase* step(const ContextKey&, ContextValue&) const override { return nullptr; }

    const char* name_;
};

constinit detail::NoDestroy<Root> background_root("context.Background");
constinit detail::NoDestroy<Root> todo_root("context.TODO");

class WithoutCancel final : public ContextBase {
public:
    explicit WithoutCancel(const Context& parent) : ContextBase(parent) {}
    std::optional<Context::time_point> deadline() const override { return {}; }
    recv_chan<void> done() const override { return nil; }
    Error err() const override { return {}; }
    std::string string() const override { return embedded().string() + ".WithoutCancel"; }

private:
    const ContextBase* step(const ContextKey& key, ContextValue&) const override {
        return key == detail::cancel_key() ? nullptr : embedded().base();
    }
};

} // namespace

Context::Context() noexcept : base_(&background_root.value) {}
Context::Context(const Context& other) noexcept : base_(other.base_) { ContextAccess::retain(*base_); }
Context::Context(Context&& other) noexcept : base_(std::exchange(other.base_, &background_root.value)) {}
Context::~Context() { ContextAccess::release(base_); }

recv_chan<void> Context::done() const { return base_->done(); }
Error Context::err() const { return base_->err(); }
std::optional<Context::time_point> Context::deadline() const { return base_->deadline(); }
std::string Context::string() const { return base_->string(); }

ContextValue Context::find(const ContextKey& key) const {
    ContextValue found;
    for (const ContextBase* link = base_; link != nullptr;) link = ContextAccess::step(*link, key, found);
    return found;
}

std::ostream& operator<<(std::ostream& out, const Context& ctx) { return out << ctx.string(); }

std::string ContextBase::string() const { return detail::type_name(typeid(*this)); }

const ContextBase* ContextBase::step(const ContextKey& key, ContextValue& found) const {
    found = value(key);
    return nullptr;
}

Context background() noexcept { return Context(&background_root.value); }
Context todo() noexcept { return Context(&todo_root.value); }
Context without_cancel(const Context& parent) { return Context(new WithoutCancel(parent)); }

namespace detail {

void ContextAccess::destroy(ContextBase* base) noexcept {
    while (base != nullptr && base->unreferenced()) {
        ContextBase* parent = base->embedded_.base();
        if (parent != nullptr) retain(*parent); // so that deleting base does not delete it, and so on
        delete base;
        base = parent != nullptr && drop(*parent) ? parent : nullptr;
    }
}

ValueLink::ValueLink(const Context& parent) : ContextBase(parent), anchor_(ContextAccess::anchor(parent)) {}

std::string ValueLink::string() const { return embedded().string() + ".WithValue(" + text() + ")"; }

const ContextBase* ValueLink::step(const ContextKey& wanted, ContextValue& found) const {
    if (!(key() == wanted)) return embedded().base();
    found = held();
    return nullptr;
}

std::string tagged_type_name(const std::type_info& tag) {
    const std::string name = type_name(tag);
    const std::size_t begin = name.find('<') + 1;
    return name.substr(begin, name.rfind('>') - begin);
}

} // namespace detail

} // namespace weir
