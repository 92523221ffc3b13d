#include "fixture.h"

#include <cerrno>
#include <exception>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <vector>

#include <weir/error.h>
#include <weir/panic.h>
#include <weir/waitgroup.h>

using weir::Error;

static_assert(sizeof(Error) == sizeof(void*));
static_assert(std::is_nothrow_default_constructible_v<Error> && std::is_nothrow_move_constructible_v<Error>);
static_assert(!std::is_convertible_v<const char*, Error> && !std::is_convertible_v<std::string, Error>); // text only on purpose

namespace {

struct ParseError {
    int line;
    std::string message() const { return "line " + std::to_string(line) + ": syntax"; }
    bool operator==(const ParseError&) const = default;
};

struct Unequal {
    std::string message() const { return "unequal"; }
};

struct Slow {
    std::string message() const { return "slow"; }
    bool timeout() const { return true; }
};

struct Layer {
    Error below;
    std::string message() const { return "layer: " + below.message(); }
    Error unwrap() const { return below; }
};

struct Alias { // claims to be kEof
    std::string message() const { return "alias"; }
    bool is(const Error& target) const { return target == weir::kEof; }
};

struct Point {
    int x, y;
    friend std::ostream& operator<<(std::ostream& out, const Point& p) { return out << p.x << '/' << p.y; }
};

Error may_fail(bool fails) {
    if (fails) return ParseError{3};
    return {};
}

} // namespace

TEST_SUITE_BEGIN("error");

TEST_CASE("the empty error is nil") {
    const Error none;
    CHECK_FALSE(none);
    CHECK(none == nullptr);
    CHECK(none == Error());
    CHECK(none.message() == "<nil>");
    CHECK_FALSE(none.unwrap());
    CHECK_FALSE(none.timeout());
    CHECK(none.is(nullptr));
    CHECK_FALSE(none.is(weir::kEof));
    CHECK(none.as<ParseError>() == nullptr);
    CHECK_FALSE(may_fail(false));
    CHECK(may_fail(true));
}

TEST_CASE("a text is equal only to its own copies") {
    const Error a("disk full");
    const Error b("disk full");
    const Error copy = a;
    CHECK(a.message() == "disk full");
    CHECK(a == copy);
    CHECK_FALSE(a == b);
    CHECK(a != b);
    CHECK(Error(std::string("s")).message() == "s");
    CHECK(Error(std::string_view("v")).message() == "v");
    std::ostringstream out;
    out << a << "; " << Error();
    CHECK(out.str() == "disk full; <nil>");
}

TEST_CASE("the constants have Go's texts") {
    CHECK(weir::kEof.message() == "EOF");
    CHECK(weir::kCanceled.message() == "context canceled");
    CHECK(weir::kDeadlineExceeded.message() == "context deadline exceeded");
    CHECK(weir::kDeadlineExceeded.timeout());
    CHECK_FALSE(weir::kCanceled.timeout());
    CHECK(weir::kEof != weir::kCanceled);
    Error copy = weir::kEof;
    CHECK(copy == weir::kEof);
    copy = weir::kCanceled;
    CHECK(copy.is(weir::kCanceled));
}

TEST_CASE("errorf fills the placeholders") {
    CHECK(weir::errorf("plain").message() == "plain");
    CHECK(weir::errorf("read {}: {} bytes", "a.txt", 17).message() == "read a.txt: 17 bytes");
    CHECK(weir::errorf("{}{}{}", 'c', true, -1L).message() == "ctrue-1");
    CHECK(weir::errorf("{} {}", 1.5, 0.1f).message() == "1.5 0.1");
    CHECK(weir::errorf("{{{}}} {{}}", std::string("x")).message() == "{x} {}");
    CHECK(weir::errorf("at {}", Point{1, 2}).message() == "at 1/2");
    CHECK(weir::errorf("{}: {}", std::string_view("view"), weir::kEof).message() == "view: EOF");
    CHECK(weir::errorf("{}", std::runtime_error("what")).message() == "what");
    CHECK(weir::errorf("{}", Error()).message() == "<nil>");
    CHECK(weir::errorf("{}", ParseError{9}).message() == "line 9: syntax");
}

TEST_CASE("errorf wraps what is given by wrap, and nothing else") {
    const Error wrapped = weir::errorf("read {}: {}", "a", weir::wrap(weir::kEof));
    CHECK(wrapped.message() == "read a: EOF");
    CHECK(wrapped.is(weir::kEof));
    CHECK(wrapped != weir::kEof);
    CHECK(wrapped.unwrap() == weir::kEof);
    const Error only_shown = weir::errorf("read {}: {}", "a", weir::kEof);
    CHECK_FALSE(only_shown.is(weir::kEof));
    CHECK_FALSE(only_shown.unwrap());
    const Error twice = weir::errorf("{}; {}", weir::wrap(weir::kEof), weir::wrap(ParseError{1}));
    CHECK(twice.is(weir::kEof));
    CHECK(twice.as<ParseError>()->line == 1);
    CHECK_FALSE(twice.unwrap()); // as Go's errors.Unwrap of several
    CHECK(weir::errorf("{}", weir::wrap({})).message() == "<nil>");
    Error deep = weir::kEof;
    for (int i = 0; i < 100; ++i) deep = weir::errorf("{}", weir::wrap(deep));
    CHECK(deep.is(weir::kEof));
    CHECK(deep.message() == "EOF");
}

TEST_CASE("join makes one of several") {
    CHECK_FALSE(weir::join());
    CHECK_FALSE(weir::join(Error(), Error()));
    const Error both = weir::join(weir::kEof, Error(), ParseError{4});
    CHECK(both.message() == "EOF\nline 4: syntax");
    CHECK(both.is(weir::kEof));
    CHECK(both.is(Error(ParseError{4})));
    const std::vector<Error> list{Error("a"), Error("b")};
    CHECK(weir::join(list).message() == "a\nb");
}

TEST_CASE("as finds a user's type anywhere in the tree") {
    const Error err = weir::errorf("load: {}", weir::wrap(may_fail(true)));
    REQUIRE(err.as<ParseError>() != nullptr);
    CHECK(err.as<ParseError>()->line == 3);
    CHECK(err.as<Unequal>() == nullptr);
    CHECK(Error(ParseError{3}) == Error(ParseError{3})); // its operator== says so
    CHECK(Error(ParseError{3}) != Error(ParseError{4}));
    CHECK(err.is(ParseError{3}));
    CHECK(Error(Unequal{}) != Error(Unequal{})); // no operator==: the same one or none
}

TEST_CASE("a user's type may unwrap, claim to be another, and be a time-out") {
    const Error layered = Layer{weir::kEof};
    CHECK(layered.message() == "layer: EOF");
    CHECK(layered.is(weir::kEof));
    CHECK(layered.unwrap() == weir::kEof);
    CHECK(Error(Alias{}).is(weir::kEof));
    CHECK_FALSE(Error(Alias{}).is(weir::kCanceled));
    CHECK(weir::errorf("x: {}", weir::wrap(Error(Slow{}))).timeout());
}

TEST_CASE("a std::error_code is an error; zero is nil") {
    CHECK_FALSE(Error(std::error_code()));
    const Error refused = std::error_code(ECONNREFUSED, std::system_category());
    CHECK(refused.message() == "connection refused"); // Go's spelling
    CHECK(refused == Error::from_errno(ECONNREFUSED));
    CHECK(refused != Error::from_errno(EPIPE));
    CHECK(refused.is(std::errc::connection_refused));
    CHECK_FALSE(refused.is(std::errc::broken_pipe));
    const Error dial = weir::errorf("dial tcp: {}", weir::wrap(refused));
    CHECK(dial.is(std::errc::connection_refused));
    CHECK(dial.as<std::error_code>()->value() == ECONNREFUSED);
    CHECK(Error::from_errno(ETIMEDOUT).timeout());
    CHECK_FALSE(refused.timeout());
    errno = ENOENT;
    CHECK(Error::from_errno().message() == "no such file or directory");
}

TEST_CASE("an exception is an error, found by its type or a base") {
    const Error err(std::make_exception_ptr(std::out_of_range("too far")));
    CHECK(err.message() == "too far");
    CHECK(err.as<std::out_of_range>() != nullptr);
    CHECK(err.as<std::logic_error>() != nullptr);
    CHECK(err.as<std::runtime_error>() == nullptr);
    CHECK(std::string(err.as<std::exception>()->what()) == "too far");
    const Error wrapped = weir::errorf("x: {}", weir::wrap(err));
    CHECK(wrapped.as<std::out_of_range>() == err.as<std::out_of_range>()); // the same object, not a copy
    CHECK_FALSE(Error(std::exception_ptr()));
    CHECK(Error(std::runtime_error("direct")).as<std::runtime_error>() != nullptr);
    CHECK(Error(std::make_exception_ptr(std::string("thrown text"))).message() == "thrown text");
    CHECK(Error(std::make_exception_ptr(5)).message() == "exception of type int");
    CHECK(*Error(std::make_exception_ptr(5)).as<int>() == 5);
    CHECK(Error(std::make_exception_ptr(weir::kEof)) == weir::kEof); // a thrown Error is itself
    const Error io(std::make_exception_ptr(std::system_error(EPIPE, std::system_category(), "write")));
    CHECK(io.is(std::errc::broken_pipe));
}

TEST_CASE("a panic is an error") {
    each_workers([] {
        auto text = weir::catch_panic([] { weir::panic("boom"); });
        REQUIRE(text);
        const Error err(*text);
        CHECK(err.message() == "boom");
        CHECK(err.as<weir::Panic>()->value<std::string>() == "boom");
        auto error = weir::catch_panic([] { weir::panic(weir::errorf("read: {}", weir::wrap(weir::kEof))); });
        REQUIRE(error);
        CHECK(error->message() == "read: EOF");
        CHECK(Error(*error).is(weir::kEof));
        auto thrown = weir::catch_panic([] { throw std::out_of_range("far"); });
        REQUIRE(thrown);
        CHECK(Error(*thrown).as<std::out_of_range>() != nullptr);
        CHECK(Error(thrown->exception()).message() == "far");
        CHECK(Error(text->exception()).as<weir::Panic>() != nullptr);
    });
}

TEST_CASE("copies are shared safely between fibers and threads") {
    each_workers([] {
        const Error err = weir::errorf("x: {}", weir::wrap(Error(ParseError{1})));
        auto use = [&] {
            for (int i = 0; i < 1000; ++i) {
                Error copy = err;
                Error other = std::move(copy);
                copy = weir::kEof;
                CHECK(other.is(ParseError{1}));
            }
        };
        std::thread plain(use);
        weir::WaitGroup wg;
        for (int i = 0; i < 4; ++i) wg.go(use);
        wg.wait();
        weir::blocking([&] { plain.join(); });
    });
}

TEST_SUITE_END();
