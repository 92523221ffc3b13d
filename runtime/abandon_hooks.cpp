#include "abandon_hooks.h"

#include <memory>
#include <utility>

#include <weir/go.h>
#include <weir/on_abandon.h>
#include <weir/panic.h>
#include "fiber.h"
#include "report.h"
#include "worker.h"

namespace weir {

namespace detail {

namespace {

/// hooks_of is the head of the calling fiber's list, or null on a plain thread.
AbandonHook** hooks_of_this_fiber() {
    Worker* w = this_worker();
    Fiber* f = w != nullptr ? w->current : nullptr;
    if (f == nullptr) return nullptr;
    if (f->extra == nullptr) set_extra(*f, new FiberExtra);
    return &f->extra->abandon_hooks;
}

void run_hooks(AbandonHook* list) {
    AbandonHook*& own = *hooks_of_this_fiber();
    own = list;
    while (own != nullptr) {
        std::unique_ptr<AbandonHook> hook(std::exchange(own, own->below));
        if (auto p = catch_panic([&] { hook->fn(); })) write_stderr("weir: panic in an OnAbandon function: " + p->message() + "\n" + p->stack());
    }
}

} // namespace

void run_abandon_hooks(Fiber& f) noexcept {
    if (f.extra == nullptr || f.extra->abandon_hooks == nullptr) return;
    AbandonHook* list = std::exchange(f.extra->abandon_hooks, nullptr);
    if (auto p = catch_panic([&] { go({.name = "on_abandon"}, run_hooks, list); })) {
        write_stderr("weir: the OnAbandon functions of fiber " + std::to_string(f.id.load(std::memory_order_relaxed)) + " cannot run: " + p->message() + "\n");
    }
}

FiberExtra::~FiberExtra() {
    while (abandon_hooks != nullptr) delete std::exchange(abandon_hooks, abandon_hooks->below);
}

} // namespace detail

OnAbandon::OnAbandon(std::function<void()> fn) {
    detail::AbandonHook** list = detail::hooks_of_this_fiber();
    if (list == nullptr) return;
    hook_ = new detail::AbandonHook{*list, std::move(fn)};
    *list = hook_;
}

OnAbandon::~OnAbandon() {
    if (hook_ == nullptr) return;
    detail::AbandonHook** at = detail::hooks_of_this_fiber();
    while (at != nullptr && *at != nullptr && *at != hook_) at = &(*at)->below;
    if (at != nullptr && *at == hook_) *at = hook_->below;
    delete hook_;
}

} // namespace weir
