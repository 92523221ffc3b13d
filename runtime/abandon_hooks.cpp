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

/// tell calls the function of an abandoned fiber, whose closure and control block are never used again.
void tell(const Fiber& f, const Panic& why) {
    Abandoned gone{f.closure, &why};
    f.entry(reinterpret_cast<char*>(&gone) + 1);
}

} // namespace

void run_abandon_hooks(Fiber& f, const Panic& why) noexcept {
    AbandonHook* list = f.extra != nullptr ? std::exchange(f.extra->abandon_hooks, nullptr) : nullptr;
    if (list == nullptr && !f.answers_abandon) return;
    auto answer = [list, &f, why] {
        run_hooks(list);
        if (f.answers_abandon) tell(f, why);
    };
    if (auto p = catch_panic([&] { go({.name = "on_abandon"}, answer); })) {
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
