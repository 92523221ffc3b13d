// The shape of the costs: the same operation among few goroutines and among a million, over one channel and over a hundred thousand.
package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// yieldAmong times the yields of so many goroutines: from the moment when all of them are in one to the end of the last.
func yieldAmong(b *bench, part string, fibers, each int) {
	done := make([]int32, fibers)
	var yielding atomic.Int64
	var start time.Time
	gate := make(chan struct{})
	var arrived, left sync.WaitGroup
	arrived.Add(fibers)
	left.Add(fibers)
	for i := range done {
		go func(count *int32) {
			arrived.Done()
			<-gate
			if yielding.Add(1) == int64(fibers) {
				start = time.Now()
			}
			for yielding.Load() < int64(fibers) {
				runtime.Gosched()
			}
			for ; *count < int32(each); *count++ {
				runtime.Gosched()
			}
			left.Done()
		}(&done[i])
	}
	arrived.Wait()
	close(gate)
	left.Wait()
	yields := fibers * (each + 1) // one of the wait for the others is still to come back from
	b.report(part, nsEach(time.Since(start), yields), "ns", yields)
	b.expect("fibers that yielded that often", marked(done, int32(each)), fibers)
}

// handOverBy sends from one goroutine to another, by each of so many channels in turn.
func handOverBy(b *bench, part string, channels, n int) {
	by := make([]chan int, channels)
	for i := range by {
		by[i] = make(chan int)
	}
	sum := 0
	var sender sync.WaitGroup
	sender.Add(1)
	start := time.Now()
	go func() {
		for i := 0; i < n; i++ {
			by[i%channels] <- i
		}
		sender.Done()
	}()
	for i := 0; i < n; i++ {
		sum += <-by[i%channels]
	}
	b.report(part, nsEach(time.Since(start), n), "ns", n)
	sender.Wait()
	b.expect("sum received", sum, sumBelow(n))
}

func shapeYield(b *bench) {
	yields := b.count(3_000_000, 1000)
	among := func(part string, full int) {
		fibers := b.count(full, 10)
		yieldAmong(b, part, fibers, max(yields/fibers, 3))
	}
	among("10", 10)
	among("1k", 1000)
	among("100k", 100_000)
	among("1m", 1_000_000)
}

func shapeChannels(b *bench) {
	n := b.count(1_000_000, 1000)
	handOverBy(b, "1", 1, n)
	handOverBy(b, "1k", b.count(1000, 10), n)
	handOverBy(b, "100k", b.count(100_000, 10), n)
}
