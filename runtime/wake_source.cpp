#include <weir/detail/wake_source.h>

#include <mutex>

#include <weir/panic.h>
#include "poller.h"
#include "scheduler.h"

namespace weir::detail {

void wake_source_add(void (*deliver)()) {
    Scheduler* s = scheduler();
    if (s == nullptr) panic_runtime("weir: no runtime is running: call this inside weir::run");
    s->poller->on_interrupt.store(deliver, std::memory_order_release); // release: pairs with the acquire in Poller::poll()
    s->wake_sources.fetch_add(1, std::memory_order_relaxed);
}

void wake_source_remove() noexcept {
    if (Scheduler* s = scheduler()) s->wake_sources.fetch_sub(1, std::memory_order_relaxed);
}

void wake_source_signal() noexcept {
    Scheduler* s = scheduler();
    if (s == nullptr) return;
    s->poller->interrupt();
}

void at_run_end(void (*fn)()) {
    Scheduler* s = scheduler();
    if (s == nullptr) panic_runtime("weir: no runtime is running: call this inside weir::run");
    std::lock_guard hold(s->start_lock);
    for (auto* known : s->at_end) {
        if (known == fn) return;
    }
    s->at_end.push_back(fn);
}

} // namespace weir::detail
