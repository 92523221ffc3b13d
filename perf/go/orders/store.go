package main

import (
	"database/sql"
	"errors"
	"fmt"

	_ "github.com/mattn/go-sqlite3"
)

const (
	maxBatch = 128
	schema   = `
		PRAGMA journal_mode = WAL;
		PRAGMA synchronous = NORMAL;
		CREATE TABLE IF NOT EXISTS orders (
			id       INTEGER PRIMARY KEY AUTOINCREMENT,
			item     TEXT    NOT NULL,
			quantity INTEGER NOT NULL
		);`
)

type result struct {
	order order
	err   error
}

// job asks for an insert of `order`, or for the order `id` where that is not 0.
type job struct {
	order  newOrder
	id     int64
	answer chan result
	result result
}

// store: one goroutine owns the database, and takes whatever has queued up meanwhile as one batch and one commit.
type store struct {
	db          *sql.DB
	insertOrder *sql.Stmt
	findOrder   *sql.Stmt
	jobs        chan job
	doneServing chan struct{}
}

func openStore(path string) (*store, error) {
	db, err := sql.Open("sqlite3", "file:"+path+"?_busy_timeout=5000&_mutex=no&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(schema); err != nil {
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	s := &store{db: db, jobs: make(chan job, maxBatch), doneServing: make(chan struct{})}
	if s.insertOrder, err = db.Prepare("INSERT INTO orders (item, quantity) VALUES (?, ?)"); err != nil {
		return nil, err
	}
	if s.findOrder, err = db.Prepare("SELECT item, quantity FROM orders WHERE id = ?"); err != nil {
		return nil, err
	}
	go s.serve()
	return s, nil
}

func (s *store) close() {
	close(s.jobs)
	<-s.doneServing
	s.db.Close()
}

func (s *store) insert(o newOrder) (order, error) { return s.ask(job{order: o}) }

func (s *store) find(id int64) (order, error) {
	if id < 1 {
		return order{}, errNotFound
	}
	return s.ask(job{id: id})
}

func (s *store) ask(j job) (order, error) {
	j.answer = make(chan result, 1) // room for one: the goroutine answers without waiting for anybody
	s.jobs <- j
	r := <-j.answer
	return r.order, r.err
}

func (s *store) serve() {
	defer close(s.doneServing)
	batch := make([]job, 0, maxBatch)
	for j := range s.jobs {
		batch = s.fill(append(batch[:0], j))
		s.execute(batch)
		for i := range batch {
			batch[i].answer <- batch[i].result
		}
	}
}

// fill adds what waits already.
func (s *store) fill(batch []job) []job {
	for len(batch) < maxBatch {
		select {
		case j, open := <-s.jobs:
			if !open {
				return batch
			}
			batch = append(batch, j)
		default:
			return batch
		}
	}
	return batch
}

// execute does the look-ups first: they must not see orders that may yet be rolled back.
func (s *store) execute(batch []job) {
	var inserts []*job
	for i := range batch {
		if j := &batch[i]; j.id != 0 {
			j.result = s.look(j.id)
		} else {
			inserts = append(inserts, j)
		}
	}
	if len(inserts) > 0 {
		s.insertAll(inserts)
	}
}

func (s *store) look(id int64) result {
	found := order{ID: id}
	err := s.findOrder.QueryRow(id).Scan(&found.Item, &found.Quantity)
	if errors.Is(err, sql.ErrNoRows) {
		err = errNotFound
	}
	return result{found, err}
}

// insertAll stores the orders in one transaction or, where that fails, each in its own.
func (s *store) insertAll(jobs []*job) {
	if s.insertTogether(jobs) == nil {
		return
	}
	for _, j := range jobs {
		j.result = insertOne(s.insertOrder, j.order)
	}
}

func (s *store) insertTogether(jobs []*job) error {
	tx, err := s.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	insert := tx.Stmt(s.insertOrder)
	for _, j := range jobs {
		if j.result = insertOne(insert, j.order); j.result.err != nil {
			return j.result.err
		}
	}
	return tx.Commit()
}

func insertOne(insert *sql.Stmt, o newOrder) result {
	done, err := insert.Exec(o.Item, o.Quantity)
	if err != nil {
		return result{err: err}
	}
	id, err := done.LastInsertId()
	return result{order{id, o.Item, o.Quantity}, err}
}
