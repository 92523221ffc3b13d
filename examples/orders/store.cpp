#include "store.h"

#include <weir/runtime.h>

namespace orders {

using weir::chan;
using weir::Error;

namespace {
constexpr std::size_t kMaxBatch = 128;
} // namespace

std::pair<std::unique_ptr<Store>, Error> Store::open(const std::string& path) {
    auto [database, err] = weir::blocking([&] { return Database::open(path); });
    if (err) return {nullptr, err};
    return {std::make_unique<Store>(std::move(database)), Error()};
}

Store::Store(std::unique_ptr<Database> database) : database_(std::move(database)), jobs_(kMaxBatch) {
    fiber_.go([this] { serve(); });
}

void Store::close() {
    if (std::exchange(closed_, true)) return;
    jobs_.close();
    fiber_.wait();
}

Store::Result Store::ask(std::variant<NewOrder, std::int64_t> what) {
    chan<Result> answer(1); // room for one: the fiber answers without waiting for anybody
    jobs_ << Job{std::move(what), answer};
    return answer.recv();
}

void Store::serve() {
    std::vector<Job> batch;
    while (auto job = jobs_.next()) {
        batch.push_back(std::move(*job));
        while (batch.size() < kMaxBatch) {
            auto more = jobs_.try_recv();
            if (!more) break;
            batch.push_back(std::move(*more));
        }
        weir::blocking([&] { execute(batch); });
        for (Job& done : batch) done.answer << std::move(done.result);
        batch.clear();
    }
}

void Store::execute(std::vector<Job>& batch) {
    // Look-ups first: they must not see orders that may yet be rolled back.
    std::vector<Job*> inserts;
    for (Job& job : batch) {
        if (const auto* id = std::get_if<std::int64_t>(&job.what)) {
            job.result = database_->find(*id);
        } else {
            inserts.push_back(&job);
        }
    }
    if (!inserts.empty()) insert_all(inserts);
}

/// insert_all stores the orders in one transaction or, where that fails, each in its own: none pays for its neighbour's fault.
void Store::insert_all(const std::vector<Job*>& jobs) {
    if (Error err = database_->begin()) { // such as another process that keeps the file locked
        for (Job* job : jobs) job->result.second = err;
        return;
    }
    if (insert_together(jobs)) return;
    database_->rollback();
    for (Job* job : jobs) insert_one(*job);
}

bool Store::insert_together(const std::vector<Job*>& jobs) {
    for (Job* job : jobs) {
        insert_one(*job);
        if (job->result.second) return false;
    }
    return !database_->commit();
}

void Store::insert_one(Job& job) { job.result = database_->insert(std::get<NewOrder>(job.what)); }

} // namespace orders
