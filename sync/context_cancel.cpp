#include "context_cancel.h"

#include <weir/detail/planted.h>
#include <weir/detail/sched_point.h>
#include <weir/go.h>
#include <weir/select.h>

#include "spin.h"

namespace weir::detail {

namespace {

/// closed_channel is the done channel of every link that had ended before anybody asked for it.
const chan<void>& closed_channel() {
    static const chan<void>* const closed = [] {
        const NoSchedPoints none;
        auto* c = new chan<void>; // never freed: links may outlive static destructors
        c->close();
        ChanAccess::core(*c)->put_out_of_bubble(); // whichever fiber was the first to ask
        return c;
    }();
    return *closed;
}

bool is_shared(const chan<void>& c) noexcept { return ChanAccess::core(c)->refs.load(std::memory_order_relaxed) > 1; }

CancelLink* find_cancel_link(const Context& ctx) { return const_cast<CancelLink*>(ctx.value(cancel_key()).as<CancelLink>()); }

} // namespace

CancelLink::~CancelLink() { ContextAccess::release(up_); }

/// make_done is of the bubble that the link was made in, not of whoever asks first: contexts from outside may end there.
chan<void> CancelLink::make_done() const {
    chan<void> done;
    ChanAccess::core(done)->put_in_bubble(bubble_id_);
    return done;
}

/// check_bubble stops an end that comes from outside the bubble whose fibers may wait for it. Fatal as in Go: half a tree may have ended by now.
void CancelLink::check_bubble() const {
    if (bubble_id_ != current_bubble_id() && bubble_exists(bubble_id_)) fatal("close of synctest channel from outside bubble");
}

recv_chan<void> CancelLink::done() const {
    // acquire: pairs with the release below; done_ is set.
    if (has_done_.load(std::memory_order_acquire)) return done_;
    sched_point();
    chan<void> fresh = live() ? make_done() : closed_channel();
    lock_.lock();
    if (!has_done_.load(std::memory_order_relaxed)) {
        done_ = stage_.load(std::memory_order_relaxed) == Stage::Live ? std::move(fresh) : closed_channel();
        has_done_.store(true, std::memory_order_release);
    }
    lock_.unlock();
    return done_;
}

/// has_ended waits out the moment between the error and the closed channel, so that whoever sees the one finds the other, as in
/// Go.
bool CancelLink::has_ended() const noexcept {
    sched_point();
    Backoff backoff;
    for (;;) {
        // acquire: pairs with the release in end(); err_ and reason_ are set.
        const Stage stage = stage_.load(std::memory_order_acquire);
        if (stage != Stage::Ending) return stage == Stage::Ended;
        backoff.wait();
    }
}

Error CancelLink::err() const { return has_ended() ? err_ : Error(); }
Error CancelLink::reason() const { return has_ended() ? reason_ : Error(); }

const ContextBase* CancelLink::step(const ContextKey& key, ContextValue& found) const {
    if (!(key == cancel_key())) return embedded().base();
    found = ContextValue(*this);
    return nullptr;
}

void CancelLink::end(const Error& err, const Error& reason, Ender ender) {
    sched_point();
    if (bubble_id_ != 0) [[unlikely]] check_bubble();
    lock_.lock();
    if (stage_.load(std::memory_order_relaxed) != Stage::Live) {
        lock_.unlock();
        has_ended(); // when another is ending it: its channel is closed by now
        return;
    }
    err_ = err;
    reason_ = reason ? reason : err;
    std::unique_ptr<Unregister> unregister = std::move(unregister_);
    const bool close = has_done_.load(std::memory_order_relaxed);
    // release: pairs with the acquire in has_ended().
    stage_.store(close ? Stage::Ending : Stage::Ended, std::memory_order_release);
    lock_.unlock();
    if (close) {
        if (bubble_id_ != current_bubble_id()) ChanAccess::core(done_)->put_out_of_bubble(); // which has ended: anyone may close it
        done_.close();
        stage_.store(Stage::Ended, std::memory_order_release);
    }
    on_end(ender);
    if (unregister != nullptr && ender == Ender::TimerCallback) {
        weir::go([unregister = std::move(unregister)] { (*unregister)(); });
    } else if (unregister != nullptr) {
        (*unregister)();
    }
    if (kept_.exchange(false, std::memory_order_relaxed)) ContextAccess::drop(*this); // not the last: the caller has one
}

void CancelLink::cancel(const Error& err, const Error& reason, Ender ender) {
    end(err, reason, ender);
    // Depth first, by the links themselves: no recursion, no allocation. The reference on `at` keeps the way back up, since
    // children hold their parents.
    CancelLink* at = this;
    for (;;) {
        if (CancelLink* child = at->first_child()) {
            child->end(err, reason, Ender::Caller);
            if (at != this) let_go(*at, ender);
            at = child;
        } else if (at != this) {
            CancelLink* up = at->up_;
            if (up != this) ContextAccess::retain(*up);
            at->leave();
            let_go(*at, ender);
            at = up;
        } else {
            break;
        }
    }
    leave();
}

void CancelLink::let_go(CancelLink& link, Ender ender) {
    if (!ContextAccess::drop(link)) return;
    if (ender == Ender::TimerCallback) {
        // Destroying the chain may run destructors of the user's values, and waits for this very callback.
        weir::go([base = static_cast<ContextBase*>(&link)] { ContextAccess::destroy(base); });
    } else {
        ContextAccess::destroy(&link);
    }
}

bool CancelLink::add_child(CancelLink& child) noexcept {
    sched_point();
    lock_.lock();
    const bool joined = planted(Bug::ContextMissesChild) || stage_.load(std::memory_order_relaxed) == Stage::Live;
    if (joined) {
        child.next_ = children_;
        if (children_ != nullptr) children_->place_ = &child.next_;
        child.place_ = &children_;
        children_ = &child;
    }
    lock_.unlock();
    return joined;
}

/// first_child is held for the caller. Children that nobody holds any more are on their way out: they see that they were
/// unlinked.
CancelLink* CancelLink::first_child() noexcept {
    sched_point();
    lock_.lock();
    while (children_ != nullptr && !ContextAccess::try_retain(*children_)) children_->unlink();
    CancelLink* child = children_;
    lock_.unlock();
    return child;
}

/// unlink takes this link off its parent's list, whose lock the caller holds.
void CancelLink::unlink() noexcept {
    *place_ = next_;
    if (next_ != nullptr) next_->place_ = place_;
    place_ = nullptr;
}

void CancelLink::leave() noexcept {
    if (up_ == nullptr) return;
    sched_point();
    up_->lock_.lock();
    if (place_ != nullptr) unlink();
    up_->lock_.unlock();
}

bool CancelLink::listed() noexcept {
    up_->lock_.lock();
    const bool in_list = place_ != nullptr;
    up_->lock_.unlock();
    return in_list;
}

bool CancelLink::unreferenced() noexcept {
    const bool can_end = live() && (up_ != nullptr || ends_by_itself());
    const bool observed = has_done_.load(std::memory_order_relaxed) && is_shared(done_);
    if (!can_end || !observed) {
        leave();
        return true;
    }
    kept_.store(true, std::memory_order_relaxed);
    ContextAccess::revive(*this); // one reference for kept_, one for this call
    // The parent or the timer may have come by while there were none, and passed this link over.
    if (up_ != nullptr && !listed()) {
        cancel(up_->err(), up_->reason());
    } else {
        catch_up();
    }
    return ContextAccess::drop(*this);
}

void CancelLink::join(Keep keep) {
    ContextBase* anchor = ContextAccess::anchor(embedded());
    auto* up = dynamic_cast<CancelLink*>(anchor);
    if (up == nullptr) {
        recv_chan<void> parent_done = anchor->done();
        if (parent_done == nil) return;
        // A context of the user's own that passes on the channel of one of ours ends when that one does.
        up = find_cancel_link(embedded());
        if (up == nullptr || !(up->done() == parent_done)) {
            if (select(recv(parent_done), otherwise([] {})) == 0) return end_with_parent();
            auto* caller = dynamic_cast<AfterFuncer*>(anchor);
            return caller != nullptr ? register_with(*caller) : watch_parent(std::move(parent_done));
        }
    }
    ContextAccess::retain(*up);
    up_ = up;
    if (keep == Keep::UntilEnd) {
        ContextAccess::retain(*this);
        kept_.store(true, std::memory_order_relaxed);
    }
    if (!up->add_child(*this)) cancel(up->err(), up->reason());
}

void CancelLink::watch_parent(recv_chan<void> parent_done) {
    ContextAccess::retain(*this);
    weir::go([self = Context(this), link = this, parent_done = std::move(parent_done)] {
        select(recv(parent_done, [&] { link->end_with_parent(); }), recv(link->done()));
    });
}

void CancelLink::register_with(AfterFuncer& parent) {
    ContextAccess::retain(*this);
    auto unregister = std::make_unique<Unregister>(parent.after_func([self = Context(this), link = this] {
        std::unique_ptr<Unregister> unused; // let go of outside the lock
        link->lock_.lock();
        unused = std::move(link->unregister_);
        link->lock_.unlock();
        link->end_with_parent();
    }));
    lock_.lock();
    // Nobody else can have ended it yet: the maker still has it for itself.
    if (stage_.load(std::memory_order_relaxed) == Stage::Live && *unregister) unregister_ = std::move(unregister);
    lock_.unlock();
}

void CancelLink::end_with_parent() { cancel(embedded().err(), cause(embedded())); }

} // namespace weir::detail

namespace weir {

Error cause(const Context& ctx) {
    if (const detail::CancelLink* link = detail::find_cancel_link(ctx)) {
        if (Error reason = link->reason()) return reason;
    }
    return ctx.err();
}

} // namespace weir
