// http::Recorder: a ResponseWriter that only remembers, for testing handlers without a server. Go's httptest.ResponseRecorder.
//
//     http::Recorder rec;
//     mux(rec, http::Request("GET", "/orders/7"));
//     CHECK(rec.code() == 200);
//     CHECK(rec.body() == "...");
//
// Not thread safe.
#pragma once

#include <string>
#include <utility>

#include <weir/detail/config.h>
#include <weir/http_response.h>

namespace weir::http {

class WEIR_API Recorder final : public ResponseWriter {
public:
    /// code is the status sent; 200 when none was chosen.
    int code() const noexcept { return status_ == 0 ? kStatusOK : status_; }
    const std::string& body() const noexcept { return body_; }
    bool flushed() const noexcept { return flushed_; }

    Header& header() override { return header_; }
    void write_header(int code) override {
        if (status_ == 0) status_ = code;
    }
    std::pair<std::size_t, Error> write(ByteView bytes) override {
        write_header(kStatusOK);
        body_.append(bytes.text());
        return {bytes.size(), Error()};
    }
    void flush() override {
        write_header(kStatusOK);
        flushed_ = true;
    }
    bool reset() override {
        if (flushed_) return false;
        status_ = 0;
        header_.clear();
        body_.clear();
        return true;
    }
    int status() const override { return status_; }

private:
    Header header_;
    std::string body_;
    int status_ = 0;
    bool flushed_ = false;
};

} // namespace weir::http
