// Waking up: the delay from a send to the woken receiver, in an idle and in a busy runtime, and sends from an OS thread of its own.
package main

import (
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

func reportPercentiles(b *bench, delays []time.Duration) {
	n := len(delays)
	sort.Slice(delays, func(i, j int) bool { return delays[i] < delays[j] })
	b.report("p50", float64(delays[n/2].Nanoseconds()), "ns", n)
	b.report("p99", float64(delays[n*99/100].Nanoseconds()), "ns", n)
	b.report("p99.9", float64(delays[n*999/1000].Nanoseconds()), "ns", n)
}

// wakeLatency: one goroutine sends after every pause, another is parked in a receive.
func wakeLatency(b *bench) {
	n := b.count(2000, 100)
	c := make(chan time.Time)
	delays := make([]time.Duration, 0, n)
	done := make(chan struct{})
	go func() {
		for sent := range c {
			delays = append(delays, time.Since(sent))
		}
		close(done)
	}()
	for i := 0; i < n; i++ {
		time.Sleep(50 * time.Microsecond)
		c <- time.Now()
	}
	close(c)
	<-done
	b.expect("wake-ups", len(delays), n)
	reportPercentiles(b, delays[n/10:])
}

func computeFor(d time.Duration) {
	for start := time.Now(); time.Since(start) < d; {
	}
}

// wakeLatencyLoaded: the same beside four goroutines a worker that compute for 5 us, yield, and so on.
func wakeLatencyLoaded(b *bench) {
	var stop atomic.Bool
	var load sync.WaitGroup
	for i := 0; i < 4*b.procs; i++ {
		load.Add(1)
		go func() {
			for !stop.Load() {
				computeFor(5 * time.Microsecond)
				runtime.Gosched()
			}
			load.Done()
		}()
	}
	wakeLatency(b)
	stop.Store(true)
	load.Wait()
}

// threadSend: a goroutine with an OS thread of its own, the nearest that Go has to a plain thread, sends, another goroutine receives.
func threadSend(b *bench) {
	b.perOp(b.count(2_000_000, 1000), func(n int) {
		c := make(chan int, 128)
		go func() {
			runtime.LockOSThread()
			for i := 0; i < n; i++ {
				c <- i
			}
			close(c)
		}()
		sum := 0
		for v := range c {
			sum += v
		}
		b.expect("sum received", sum, sumBelow(n))
	})
}
