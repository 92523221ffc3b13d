#include <weir/ticker.h>

#include <mutex>

#include <weir/detail/cell.h>
#include <weir/detail/timer.h>
#include <weir/go.h>
#include <weir/panic.h>

namespace weir::detail {

/// TimerCore is the channel of a Timer or Ticker together with its timer. Its handles keep it; the armed timer does not: the last handle to go
/// stops it.
struct TimerCore final : ChanCore {
    TimerCore();
    ~TimerCore() override { timer_stop(timer.node); }

    struct Node : TimerNode {
        TimerCore* core;
    };
    struct {
        Node node;
    } timer;
    SpinLock setting;    // serialises stop and reset
    bool active = false; // armed and not fired; written by the callback, and under `setting` when that cannot run
};

namespace {

constexpr const char* kForeignStop = "stop of synctest timer from outside bubble";
constexpr const char* kForeignReset = "reset of synctest timer from outside bubble";

void fire(TimerNode& node) {
    TimerCore& core = *static_cast<TimerCore::Node&>(node).core;
    time_point now = weir::now();
    if (node.period == 0) core.active = false;
    chan_try_send(&core, &now); // a tick that nobody has taken yet stands for this one too
}

/// drain drops the value of an earlier firing: after stop and reset no stale value is seen (Go 1.23).
void drain(TimerCore& core) noexcept {
    time_point stale;
    chan_try_recv(&core, &stale);
}

bool disarm(TimerCore& core) noexcept {
    const bool in_time = timer_stop(core.timer.node);
    bool was_active = std::exchange(core.active, false);
    if (in_time && core.timer.node.period == 0) return true; // there is no earlier value either: arm() follows a disarm()
    // A value that was sent but not received counts as not fired, as in Go 1.23.
    if (core.count.load(std::memory_order_acquire) > 0) was_active = true;
    drain(core);
    return was_active;
}

void arm(TimerCore& core, std::int64_t ns, std::int64_t period) {
    core.active = true;
    core.timer.node.period = period;
    std::int64_t when = deadline_after(ns);
    if (when != INT64_MAX) timer_arm(core.timer.node, when);
}

} // namespace

TimerCore::TimerCore() : ChanCore(kElementType<time_point>, 1) {
    timer.node.core = this;
    timer.node.bubble = current_bubble();
    put_in_bubble(current_bubble_id());
    timer.node.callback = fire;
}

ChanHandle timer_start(std::int64_t ns, std::int64_t period) {
    auto* core = new TimerCore;
    ChanHandle handle(core);
    arm(*core, ns, period);
    return handle;
}

bool timer_core_stop(ChanCore* chan) {
    auto& core = static_cast<TimerCore&>(*chan);
    if (core.is_foreign()) panic_runtime(kForeignStop);
    std::lock_guard hold(core.setting);
    return disarm(core);
}

bool timer_core_reset(ChanCore* chan, std::int64_t ns, std::int64_t period) {
    auto& core = static_cast<TimerCore&>(*chan);
    if (core.is_foreign()) panic_runtime(kForeignReset);
    std::lock_guard hold(core.setting);
    bool was_active = disarm(core);
    arm(core, ns, period);
    return was_active;
}

std::int64_t ticker_period(std::int64_t ns, const char* where) {
    if (ns <= 0) panic_runtime(std::string("non-positive interval for ") + where);
    return ns;
}

// ---- after_func ----

class FuncTimer : public std::enable_shared_from_this<FuncTimer> {
public:
    explicit FuncTimer(std::function<void()> fn) : fn_(std::move(fn)) {
        node_.timer = this;
        node_.bubble = current_bubble();
        node_.callback = [](TimerNode& node) { static_cast<Node&>(node).timer->fire(); };
        node_.dropped = [](TimerNode& node) { auto last = std::move(static_cast<Node&>(node).timer->armed_); };
    }

    void start(std::int64_t ns) {
        std::lock_guard hold(setting_);
        arm(ns);
    }
    bool stop() {
        check_bubble(kForeignStop);
        std::shared_ptr<FuncTimer> last; // let go of outside the lock
        std::lock_guard hold(setting_);
        last = disarm();
        return last != nullptr;
    }
    bool reset(std::int64_t ns) {
        check_bubble(kForeignReset);
        std::shared_ptr<FuncTimer> last;
        std::lock_guard hold(setting_);
        last = disarm();
        arm(ns);
        return last != nullptr;
    }

private:
    struct Node : TimerNode {
        FuncTimer* timer;
    };

    void check_bubble(const char* what) const {
        if (bubble_id_ != 0 && bubble_id_ != current_bubble_id()) panic_runtime(what);
    }
    void arm(std::int64_t ns) {
        armed_ = shared_from_this(); // a pending call keeps itself: the handle may be dropped, as in Go
        std::int64_t when = deadline_after(ns);
        if (when != INT64_MAX) timer_arm(node_, when);
    }
    /// disarm returns what kept a pending call, or null when there was none: fire() has taken it.
    std::shared_ptr<FuncTimer> disarm() {
        timer_stop(node_);
        return std::move(armed_);
    }

    void fire() {
        std::shared_ptr<FuncTimer> self = std::move(armed_); // timer_stop() waits for this callback: nobody else touches armed_ now
        go([self] { self->fn_(); });
    }

    Node node_;
    std::function<void()> fn_;
    std::shared_ptr<FuncTimer> armed_;
    SpinLock setting_;
    const std::uint32_t bubble_id_ = current_bubble_id(); // 0: none
};

std::shared_ptr<FuncTimer> func_timer_start(std::int64_t ns, std::function<void()> fn) {
    auto timer = std::make_shared<FuncTimer>(std::move(fn));
    timer->start(ns);
    return timer;
}

bool func_timer_stop(const std::shared_ptr<FuncTimer>& timer) { return timer->stop(); }
bool func_timer_reset(const std::shared_ptr<FuncTimer>& timer, std::int64_t ns) { return timer->reset(ns); }

} // namespace weir::detail
