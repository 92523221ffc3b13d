// CancelLink: a context that can end. Its kinds: with_cancel (itself), with_deadline, after_func.
//
// Each link knows the nearest link above it that can end, `up_`, and is in that one's list of children until it ends itself.
// References go up only: a child holds up_, while lists and timers hold nothing; a link leaves both before it is destroyed. So a
// context that nobody holds any more goes away, cancelled or not. Two kinds hold themselves until they end (kept_), because
// somebody can still notice: a pending after_func, and a link without handles whose done channel is still held somewhere. An
// AfterFuncer holds what it is to end, until that has ended.
//
// Ending a link (end) and ending all below it (cancel) take one SpinLock at a time, for a few instructions, and call nobody under
// it; so a timer callback may do it. A child stays in its parent's list until everything below it has ended. Thus an empty list
// means that all descendants are done, and of two callers that cancel overlapping trees each helps the other: neither returns too
// early.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <weir/context.h>
#include <weir/detail/bubble.h>
#include <weir/detail/spinlock.h>
#include <weir/detail/timer.h>

#include "context_access.h"

namespace weir::detail {

/// Ender is who ends a link: a timer callback runs on no fiber and must neither wait for itself nor run a user's destructor.
enum class Ender : std::uint8_t { Caller, TimerCallback };

/// Keep is what keeps a link that has not ended.
enum class Keep : std::uint8_t { ByHandles, UntilEnd };

class CancelLink : public ContextBase {
public:
    explicit CancelLink(const Context& parent) : CancelLink(parent, parent.deadline()) {}
    ~CancelLink() override;

    std::optional<Context::time_point> deadline() const final { return deadline_; }
    recv_chan<void> done() const final;
    Error err() const final;
    std::string string() const override { return embedded().string() + ".WithCancel"; }

    /// reason is why it has ended; nil before that.
    Error reason() const;

    /// join makes this link end when its parent does; at once if that has ended already. To be called once, by its maker.
    void join(Keep keep = Keep::ByHandles);

    /// cancel ends this link and everything below it, and leaves the parent. If it has ended already, it only sees to it that all
    /// below has. The caller holds a reference.
    void cancel(const Error& err, const Error& reason, Ender ender = Ender::Caller);

    bool live() const noexcept { return stage_.load(std::memory_order_acquire) == Stage::Live; }

    /// let_go drops one reference.
    static void let_go(CancelLink& link, Ender ender);

protected:
    CancelLink(const Context& parent, std::optional<Context::time_point> deadline) : ContextBase(parent), deadline_(deadline) {}

    /// on_end runs once, when the link has ended, with no lock held.
    virtual void on_end(Ender) {}
    /// ends_by_itself tells whether a timer is going to end it.
    virtual bool ends_by_itself() const noexcept { return false; }
    /// catch_up ends the link if its timer fired while it had no references.
    virtual void catch_up() {}

    mutable SpinLock lock_;
    const std::uint32_t bubble_id_ = current_bubble_id(); // the bubble that made it, and may end it; 0: none

private:
    enum class Stage : std::uint8_t {
        Live,
        Ending, // err_ and reason_ are set, done_ is about to be closed
        Ended,
    };

    const ContextBase* step(const ContextKey& key, ContextValue& found) const override;
    bool unreferenced() noexcept override;

    void end(const Error& err, const Error& reason, Ender ender);
    bool has_ended() const noexcept;
    chan<void> make_done() const;
    void check_bubble() const;
    bool add_child(CancelLink& child) noexcept;
    CancelLink* first_child() noexcept;
    void unlink() noexcept;
    void leave() noexcept;
    bool listed() noexcept;
    void watch_parent(recv_chan<void> parent_done);
    void register_with(AfterFuncer& parent);
    void end_with_parent();

    const std::optional<Context::time_point> deadline_;
    std::atomic<Stage> stage_{Stage::Live};     // leaves Live under lock_
    mutable std::atomic<bool> has_done_{false}; // changes under lock_
    mutable chan<void> done_ = nil;             // set once, before has_done_
    Error err_;                                 // set once, before stage_ leaves Live
    Error reason_;                              // likewise

    CancelLink* children_ = nullptr; // guarded by lock_
    CancelLink* up_ = nullptr;       // a reference of its own; set by join()
    CancelLink* next_ = nullptr;     // guarded by up_->lock_
    CancelLink** place_ = nullptr;   // guarded by up_->lock_: what points here in its list; null when not in it
    std::atomic<bool> kept_{false};  // the link holds a reference to itself, which end() drops

    using Unregister = std::function<bool()>;
    std::unique_ptr<Unregister> unregister_; // from an AfterFuncer above; guarded by lock_
};

/// cancel_key finds the nearest CancelLink from any context, through contexts of a user's own too.
inline ContextKey cancel_key() noexcept { return ContextKey::of_type<CancelLink>(); }

} // namespace weir::detail
