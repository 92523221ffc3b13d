// http::ResponseWriter: how a handler answers, and http::Handler itself.
//
//     void hello(http::ResponseWriter& w, const http::Request& r) {
//         w.header().set("Content-Type", "application/json");
//         w.write_header(http::kStatusCreated);          // optional: the first write sends 200
//         w.write(R"({"ok": true})");
//     }
//
// A small body is kept until the handler returns, gets its Content-Length and leaves in one system call with the header; a larger
// one is sent in chunks as it is written. Not thread safe; not to be used after the handler has returned.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <weir/bytes.h>
#include <weir/detail/config.h>
#include <weir/error.h>
#include <weir/http_header.h>
#include <weir/http_request.h>
#include <weir/http_status.h>

namespace weir::http {

/// ResponseWriter is abstract, so that middleware can wrap one in another.
class WEIR_API ResponseWriter {
public:
    ResponseWriter() = default;
    ResponseWriter(const ResponseWriter&) = delete;
    ResponseWriter& operator=(const ResponseWriter&) = delete;
    virtual ~ResponseWriter() = default;

    /// header is what will be sent; changes after write_header or the first write have no effect.
    virtual Header& header() = 0;

    /// write_header fixes the status. A second call is logged and ignored; codes 100 to 199 except 101 are sent at once and
    /// another may follow. Panics "invalid WriteHeader code N" below 100 and above 999.
    virtual void write_header(int code) = 0;

    /// write appends to the body; the first one sends status 200 unless write_header was called. Blocks when the peer is slow and
    /// the body no longer fits the buffer. Errors: kBodyNotAllowed, kContentLength, or the connection's.
    virtual std::pair<std::size_t, Error> write(ByteView bytes) = 0;

    /// flush sends what there is: the way to stream. Blocks as write does.
    virtual void flush() = 0;

    /// reset takes the whole response back, header fields included; false when part of it has left already.
    virtual bool reset() { return false; }

    /// status is the code sent or to be sent, 0 while none is chosen.
    virtual int status() const { return 0; }
};

/// Handler answers requests: any callable (ResponseWriter&, const Request&) that can be copied. Called from many fibers at once.
using Handler = std::function<void(ResponseWriter&, const Request&)>;

/// kBodyNotAllowed: this status has no body (1xx, 204, 304).
extern WEIR_API const Error kBodyNotAllowed;
/// kContentLength: more was written than the Content-Length that the handler had set.
extern WEIR_API const Error kContentLength;

/// error answers with plain text (Go's http.Error). The handler should then return.
WEIR_API void error(ResponseWriter& w, std::string_view text, int code);
/// not_found answers 404 "404 page not found".
WEIR_API void not_found(ResponseWriter& w, const Request& r);
/// redirect answers `code` with a Location; a relative url is taken relative to the request's path.
WEIR_API void redirect(ResponseWriter& w, const Request& r, std::string_view url, int code);

/// detect_content_type guesses a type from the first bytes (a subset of the WHATWG sniffing table, as Go's DetectContentType).
WEIR_API std::string_view detect_content_type(std::string_view data) noexcept;

} // namespace weir::http
