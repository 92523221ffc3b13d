// Store: the orders, for any number of fibers at once.
//
// One fiber owns the database and serves the others' requests from a channel ("share memory by communicating"). It takes whatever
// has queued up meanwhile as one batch: one trip to a blocking thread and one commit for all of it. Under load the batches grow
// by themselves, and an order is answered only after its commit.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <weir/chan.h>
#include <weir/error.h>
#include <weir/waitgroup.h>

#include "database.h"
#include "order.h"

namespace orders {

class Store {
public:
    /// open opens the file and starts the fiber. Fails when the file cannot be written.
    static std::pair<std::unique_ptr<Store>, weir::Error> open(const std::string& path);

    explicit Store(std::unique_ptr<Database> database);
    ~Store() { close(); }

    /// insert and find take no Context: once a request is in the queue its answer is only a commit away, and a client who is told
    /// "timed out" must not find the order placed all the same.
    std::pair<Order, weir::Error> insert(NewOrder order) { return ask(std::move(order)); }
    std::pair<Order, weir::Error> find(std::int64_t id) { return ask(id); }

    /// close serves what has queued up, and ends the fiber. insert and find panic afterwards.
    void close();

private:
    using Result = std::pair<Order, weir::Error>;
    struct Job {
        std::variant<NewOrder, std::int64_t> what; // insert this order, or find that id
        weir::chan<Result> answer;
        Result result = {};
    };

    Result ask(std::variant<NewOrder, std::int64_t> what);
    void serve();
    void execute(std::vector<Job>& batch);
    void insert_all(const std::vector<Job*>& jobs);
    bool insert_together(const std::vector<Job*>& jobs);
    void insert_one(Job& job);

    std::unique_ptr<Database> database_; // used by the fiber only
    weir::chan<Job> jobs_;
    weir::WaitGroup fiber_;
    bool closed_ = false;
};

} // namespace orders
