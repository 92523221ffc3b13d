// OnAbandon: what is to be done for a fiber that was abandoned and cannot do it itself.
//
//     void serve(net::Conn conn) {
//         defer d{[&] { conn.close(); }};                // returns, panics, goexit
//         OnAbandon gone{[conn] { conn.close(); }};      // abort() and other crashes that nothing can unwind
//         ...
//     }
//
// A crash that cannot be unwound leaves its fiber where it stands: no destructor and no deferred call of it runs any more. What others wait
// for (a connection to end, a count to go down) is then done by the OnAbandon objects that live on it, the last one made first, on a fiber of
// their own (named "on_abandon"). That fiber may block; a panic of a function is reported, and the next one runs.
//
// Take captures by value: what lies on the abandoned stack is kept, but a crash may have overwritten it.
// Thread safety: an OnAbandon belongs to the fiber that makes it and is destroyed there. On a plain OS thread it does nothing.
#pragma once

#include <functional>

#include <weir/detail/config.h>

namespace weir {

namespace detail {
struct AbandonHook;
}

class WEIR_API OnAbandon {
public:
    /// OnAbandon registers fn. Allocates.
    explicit OnAbandon(std::function<void()> fn);
    /// The fiber has come to its end, or past this scope, by itself: fn is dropped.
    ~OnAbandon();
    OnAbandon(const OnAbandon&) = delete;
    OnAbandon& operator=(const OnAbandon&) = delete;

private:
    detail::AbandonHook* hook_ = nullptr; // owned; in the fiber's list. Not on the stack, which may be corrupt when it is needed
};

} // namespace weir
