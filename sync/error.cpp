#include <weir/error.h>

#include <algorithm>
#include <cctype>
#include <ostream>
#include <vector>

#include "error_constant.h"

namespace weir {

using detail::ErrorConstant;
using detail::ErrorNode;

namespace {

class TextError final : public ErrorNode {
public:
    explicit TextError(std::string text) : text_(std::move(text)) {}
    std::string message() const override { return text_; }

private:
    std::string text_;
};

class CodeError final : public ErrorNode {
public:
    explicit CodeError(std::error_code code) : code_(code) {}
    std::string message() const override {
        std::string text = code_.message();
        const bool word = text.size() > 1 && std::islower(static_cast<unsigned char>(text[1])); // "RFS specific error" stays
        if (from_system() && word) text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
        return text;
    }
    const void* value(const std::type_info& type) const noexcept override {
        return type == typeid(std::error_code) ? &code_ : nullptr;
    }
    bool equals(const ErrorNode& other) const noexcept override {
        const void* v = other.value(typeid(std::error_code));
        return v != nullptr && code_ == *static_cast<const std::error_code*>(v);
    }
    bool timeout() const noexcept override {
        return from_system() &&
               (code_.value() == EAGAIN || code_.value() == EWOULDBLOCK || code_.value() == ETIMEDOUT); // Go's syscall.Errno
    }

private:
    bool from_system() const noexcept {
        return code_.category() == std::system_category() || code_.category() == std::generic_category();
    }

    std::error_code code_;
};

class ExceptionError final : public ErrorNode {
public:
    ExceptionError(std::exception_ptr exception, std::string text, Error code)
        : exception_(std::move(exception)), text_(std::move(text)), code_(std::move(code)) {}
    std::string message() const override { return text_; }
    std::exception_ptr exception() const noexcept override { return exception_; }
    std::span<const Error> causes() const noexcept override { return {&code_, code_ ? std::size_t{1} : std::size_t{0}}; }

private:
    std::exception_ptr exception_;
    std::string text_;
    Error code_; // of a std::system_error
};

class PanicError final : public ErrorNode {
public:
    explicit PanicError(Panic panic) : panic_(std::move(panic)) {
        if (auto err = panic_.value<Error>()) cause_ = *err;
    }
    std::string message() const override { return panic_.message(); }
    std::span<const Error> causes() const noexcept override { return {&cause_, cause_ ? std::size_t{1} : std::size_t{0}}; }
    const void* value(const std::type_info& type) const noexcept override { return type == typeid(Panic) ? &panic_ : nullptr; }
    std::exception_ptr exception() const noexcept override { return panic_.exception(); }

private:
    Panic panic_;
    Error cause_;
};

/// WrappingError has causes: what errorf and join make.
class WrappingError final : public ErrorNode {
public:
    WrappingError(std::string text, std::vector<Error> causes) : text_(std::move(text)), causes_(std::move(causes)) {}
    std::string message() const override { return text_; }
    std::span<const Error> causes() const noexcept override { return causes_; }

private:
    std::string text_;
    std::vector<Error> causes_;
};

std::vector<Error> without_nil(std::span<const Error> errors) {
    std::vector<Error> kept;
    kept.reserve(errors.size());
    std::copy_if(errors.begin(), errors.end(), std::back_inserter(kept), [](const Error& e) { return static_cast<bool>(e); });
    return kept;
}

/// from_exception is an Error for a non-null exception.
Error from_exception(const std::exception_ptr& exception) {
    auto made = [&](std::string text, Error code = {}) {
        return Error(new ExceptionError(exception, std::move(text), std::move(code)));
    };
    try {
        std::rethrow_exception(exception);
    } catch (const Error& e) {
        return e;
    } catch (const PanicException& e) {
        return Error(e.panic());
    } catch (const std::system_error& e) {
        return made(e.what(), e.code());
    } catch (const std::exception& e) {
        return made(e.what());
    } catch (const std::string& text) {
        return made(text);
    } catch (const char* text) {
        return made(text);
    } catch (...) {
        return made("exception of type " + detail::type_name(*exception.__cxa_exception_type()));
    }
}

constinit const ErrorConstant eof_node("EOF");
constinit const ErrorConstant canceled_node("context canceled");
constinit const ErrorConstant deadline_node("context deadline exceeded", ErrorConstant::Timeout::Yes);

} // namespace

constinit const Error kEof(&eof_node);
constinit const Error kCanceled(&canceled_node);
constinit const Error kDeadlineExceeded(&deadline_node);

std::span<const Error> ErrorNode::causes() const noexcept { return {}; }
const void* ErrorNode::value(const std::type_info&) const noexcept { return nullptr; }
std::exception_ptr ErrorNode::exception() const noexcept { return nullptr; }
bool ErrorNode::equals(const ErrorNode& other) const noexcept { return this == &other; }
bool ErrorNode::is(const Error&) const { return false; }
bool ErrorNode::timeout() const noexcept { return false; }

Error::Error(std::string text) : node_(new TextError(std::move(text))) {}
Error::Error(std::error_code code) : node_(code ? new CodeError(code) : nullptr) {}
Error::Error(const std::exception_ptr& exception) {
    if (exception) *this = from_exception(exception);
}
Error::Error(Panic panic) : node_(new PanicError(std::move(panic))) {}

std::string Error::message() const { return node_ != nullptr ? node_->message() : "<nil>"; }

Error Error::unwrap() const noexcept {
    if (node_ == nullptr || node_->causes().size() != 1) return {};
    return node_->causes().front();
}

bool Error::is(const Error& target) const {
    if (*this == target) return true;
    if (node_ == nullptr) return false;
    if (node_->is(target)) return true;
    const auto causes = node_->causes();
    return std::any_of(causes.begin(), causes.end(), [&](const Error& cause) { return cause.is(target); });
}

bool Error::is(std::error_condition condition) const noexcept {
    if (node_ == nullptr) return !condition;
    const void* code = node_->value(typeid(std::error_code));
    if (code != nullptr && *static_cast<const std::error_code*>(code) == condition) return true;
    const auto causes = node_->causes();
    return std::any_of(causes.begin(), causes.end(), [&](const Error& cause) { return cause.is(condition); });
}

bool Error::timeout() const noexcept {
    return find([](const ErrorNode& node) -> const void* { return node.timeout() ? &node : nullptr; }) != nullptr;
}

const void* Error::find(Visitor visit) const {
    if (node_ == nullptr) return nullptr;
    if (const void* found = visit(*node_)) return found;
    for (const Error& cause : node_->causes()) {
        if (const void* found = cause.find(visit)) return found;
    }
    return nullptr;
}

std::ostream& operator<<(std::ostream& out, const Error& err) { return out << err.message(); }

Error join(std::span<const Error> errors) {
    std::vector<Error> causes = without_nil(errors);
    if (causes.empty()) return {};
    std::string text;
    for (const Error& e : causes) {
        if (!text.empty()) text += '\n';
        text += e.message();
    }
    return Error(new WrappingError(std::move(text), std::move(causes)));
}

namespace detail {

Error make_wrapping(std::string message, std::span<const Error> causes) {
    return Error(new WrappingError(std::move(message), without_nil(causes)));
}

std::string format_arguments(std::string_view text, const Argument* arguments) {
    std::string out;
    out.reserve(text.size() + 32);
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool placeholder = text[i] == '{' && text[i + 1] == '}';
        if (placeholder) {
            arguments->append(out, arguments->value);
            ++arguments;
        } else {
            out += text[i];
        }
        if (text[i] == '{' || text[i] == '}') ++i; // the second one of {}, {{ or }}
    }
    return out;
}

} // namespace detail

} // namespace weir
