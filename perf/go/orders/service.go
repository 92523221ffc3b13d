package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	maxItemBytes   = 200
	maxQuantity    = 1000
	paymentTimeout = 2 * time.Second
	queueWait      = 500 * time.Millisecond
)

var (
	errNotFound = errors.New("no such order")
	errBusy     = errors.New("payment: all workers are busy")
)

type newOrder struct {
	Item     string `json:"item"`
	Quantity int64  `json:"quantity"`
}

type order struct {
	ID       int64  `json:"id"`
	Item     string `json:"item"`
	Quantity int64  `json:"quantity"`
}

// validate says what is wrong with an order. Panics on quantity -1: the poison order.
func validate(o newOrder) error {
	switch {
	case o.Quantity == -1:
		panic("poison order: quantity -1")
	case o.Item == "":
		return errors.New("item must not be empty")
	case len(o.Item) > maxItemBytes:
		return fmt.Errorf("item is too long: %d bytes, at most %d", len(o.Item), maxItemBytes)
	case o.Quantity < 1 || o.Quantity > maxQuantity:
		return fmt.Errorf("quantity must be from 1 to %d, not %d", maxQuantity, o.Quantity)
	}
	return nil
}

type service struct {
	payments *paymentPool
	store    *store
	children sync.WaitGroup // the goroutines that pay
}

// place pays for an order that is valid, and stores it.
func (s *service) place(ctx context.Context, o newOrder) (order, error) {
	if err := s.pay(ctx, o); err != nil {
		return order{}, fmt.Errorf("order not paid: %w", err)
	}
	return s.store.insert(o)
}

// pay runs the payment in a goroutine of its own, and gives up when the time is over, whatever that goroutine does.
func (s *service) pay(parent context.Context, o newOrder) error {
	ctx, cancel := context.WithTimeout(parent, paymentTimeout)
	defer cancel()
	paid := make(chan error, 1) // room for one: the child never waits for a parent who gave up
	s.children.Add(1)
	go func() {
		defer s.children.Done()
		paid <- caught(func() error { return s.payments.charge(ctx, o) })
	}()
	select {
	case err := <-paid:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// caught turns a panic of fn into its error.
func caught(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return fn()
}

type charge struct {
	ctx    context.Context
	order  newOrder
	result chan error
}

// paymentPool is a bounded number of workers that talk to the payment gateway, fed by a channel.
type paymentPool struct {
	latency time.Duration
	queue   chan charge
	workers sync.WaitGroup
}

func newPaymentPool(workers int, latency time.Duration) *paymentPool {
	p := &paymentPool{latency: latency, queue: make(chan charge, workers)}
	p.workers.Add(workers)
	for i := 0; i < workers; i++ {
		go p.work()
	}
	return p
}

func (p *paymentPool) close() {
	close(p.queue)
	p.workers.Wait()
}

func (p *paymentPool) charge(ctx context.Context, o newOrder) error {
	result := make(chan error, 1) // room for one: a worker never waits for a caller who has gone
	select {
	case p.queue <- charge{ctx, o, result}:
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(queueWait):
		return errBusy
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *paymentPool) work() {
	defer p.workers.Done()
	for c := range p.queue {
		c.result <- caught(func() error { return p.callGateway(c) })
	}
}

// callGateway stands for a call over the network: it takes its time, and stops when the caller gives up.
func (p *paymentPool) callGateway(c charge) error {
	select {
	case <-time.After(p.latency):
		return nil
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
}
