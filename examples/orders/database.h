// Database: one SQLite connection and its prepared statements. Knows nothing of fibers: every call blocks its OS thread, and only
// one call may run at a time. Store makes a service of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "order.h"

struct sqlite3;
struct sqlite3_stmt;

namespace orders {

class Database {
public:
    /// open opens the file, and makes it and its table where missing. Fails when it cannot be written.
    static std::pair<std::unique_ptr<Database>, weir::Error> open(const std::string& path);

    std::pair<Order, weir::Error> insert(const NewOrder& order);
    /// find fails with kNotFound when there is no such order.
    std::pair<Order, weir::Error> find(std::int64_t id);

    weir::Error begin();
    weir::Error commit();
    /// rollback ends a transaction that failed; does nothing when SQLite has done so already.
    void rollback();

private:
    struct Close {
        void operator()(sqlite3* db) const;
        void operator()(sqlite3_stmt* statement) const;
    };
    using Statement = std::unique_ptr<sqlite3_stmt, Close>;

    weir::Error prepare_all();
    weir::Error prepare(Statement& statement, const char* sql);
    weir::Error run(const Statement& statement);
    weir::Error last_error() const;

    // The statements must go before the connection.
    std::unique_ptr<sqlite3, Close> db_;
    Statement begin_;
    Statement commit_;
    Statement rollback_;
    Statement insert_;
    Statement find_;
};

} // namespace orders
