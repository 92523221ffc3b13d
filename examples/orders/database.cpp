#include "database.h"

#include <system_error>

#include <sqlite3.h>

namespace orders {

using weir::Error;
using weir::errorf;

namespace {

// WAL: a commit appends to one file, and a crash loses nothing that was committed. synchronous=NORMAL: it is not flushed to the
// disk at once, so that a power failure may lose the last commits, but never damages the file.
constexpr const char* kSchema = R"(
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS orders (
        id       INTEGER PRIMARY KEY AUTOINCREMENT,
        item     TEXT    NOT NULL,
        quantity INTEGER NOT NULL
    );
)";

constexpr int kBusyMilliseconds = 5000; // how long to wait for another process that has the file locked

/// Reset makes a statement ready for its next use, however this one ends.
struct Reset {
    sqlite3_stmt* statement;
    ~Reset() { sqlite3_reset(statement); }
};

} // namespace

void Database::Close::operator()(sqlite3* db) const { sqlite3_close(db); }
void Database::Close::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

std::pair<std::unique_ptr<Database>, Error> Database::open(const std::string& path) {
    auto database = std::make_unique<Database>();
    sqlite3* db = nullptr;
    const int code =
        sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    database->db_.reset(db); // even a failed open gives a connection, which has the message
    if (code != SQLITE_OK) {
        const std::string cause = std::generic_category().message(sqlite3_system_errno(db));
        return {nullptr, errorf("database {}: {} ({})", path, sqlite3_errmsg(db), cause)};
    }
    if (sqlite3_db_readonly(db, "main") == 1) return {nullptr, errorf("database {}: file is read-only", path)};
    sqlite3_busy_timeout(db, kBusyMilliseconds);
    if (sqlite3_exec(db, kSchema, nullptr, nullptr, nullptr) != SQLITE_OK) {
        return {nullptr, errorf("database {}: {}", path, sqlite3_errmsg(db))};
    }
    if (Error err = database->prepare_all()) return {nullptr, errorf("database {}: {}", path, weir::wrap(err))};
    return {std::move(database), Error()};
}

Error Database::prepare_all() {
    if (Error err = prepare(begin_, "BEGIN IMMEDIATE")) return err;
    if (Error err = prepare(commit_, "COMMIT")) return err;
    if (Error err = prepare(rollback_, "ROLLBACK")) return err;
    if (Error err = prepare(insert_, "INSERT INTO orders (item, quantity) VALUES (?, ?)")) return err;
    return prepare(find_, "SELECT item, quantity FROM orders WHERE id = ?");
}

Error Database::prepare(Statement& statement, const char* sql) {
    sqlite3_stmt* prepared = nullptr;
    const int code = sqlite3_prepare_v3(db_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &prepared, nullptr);
    statement.reset(prepared);
    return code == SQLITE_OK ? Error() : last_error();
}

Error Database::run(const Statement& statement) {
    const Reset reset{statement.get()};
    return sqlite3_step(statement.get()) == SQLITE_DONE ? Error() : last_error();
}

Error Database::last_error() const { return Error(sqlite3_errmsg(db_.get())); }

Error Database::begin() { return run(begin_); }
Error Database::commit() { return run(commit_); }

void Database::rollback() {
    if (sqlite3_get_autocommit(db_.get()) == 0) run(rollback_);
}

std::pair<Order, Error> Database::insert(const NewOrder& order) {
    // SQLITE_STATIC: the text stays where it is until the statement has run.
    sqlite3_bind_text64(insert_.get(), 1, order.item.data(), order.item.size(), SQLITE_STATIC, SQLITE_UTF8);
    sqlite3_bind_int64(insert_.get(), 2, order.quantity);
    if (Error err = run(insert_)) return {{}, err};
    return {Order{sqlite3_last_insert_rowid(db_.get()), order.item, order.quantity}, {}};
}

std::pair<Order, Error> Database::find(std::int64_t id) {
    const Reset reset{find_.get()};
    sqlite3_bind_int64(find_.get(), 1, id);
    switch (sqlite3_step(find_.get())) {
    case SQLITE_ROW: {
        const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(find_.get(), 0));
        const auto size = static_cast<std::size_t>(sqlite3_column_bytes(find_.get(), 0));
        return {Order{id, std::string(text, size), sqlite3_column_int64(find_.get(), 1)}, {}};
    }
    case SQLITE_DONE:
        return {{}, kNotFound};
    default:
        return {{}, last_error()};
    }
}

} // namespace orders
