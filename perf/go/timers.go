// Time: the processor time of many sleepers, the delay from a send to the woken receiver, and what timers cost.
package main

import (
	"sort"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// cpuTime is the processor time this process has used, user and system.
func cpuTime() time.Duration {
	var use syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &use)
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

func sleepers(b *bench, n, naps int) {
	napped := make([]int32, n)
	var wg sync.WaitGroup
	wg.Add(n)
	for i := 0; i < n; i++ {
		go func(i int) {
			for nap := 0; nap < naps; nap++ {
				d := time.Duration(1+(i*7919+nap*31)%100) * time.Millisecond
				start := time.Now()
				time.Sleep(d)
				if time.Since(start) >= d {
					napped[i]++
				}
			}
			wg.Done()
		}(i)
	}
	wg.Wait()
	b.expect("sleepers that never woke early", marked(napped, int32(naps)), n)
}

// timers100k: a hundred thousand goroutines sleep ten times, 1 to 100 ms each.
func timers100k(b *bench) {
	n := b.count(100_000, 1000)
	sleepers(b, n/10, 1)
	before := cpuTime()
	sleepers(b, n, 10)
	b.report("", ms(cpuTime()-before), "CPU ms", n)
}

// wakeLatency: one goroutine sends after every pause, another is parked in a receive.
func wakeLatency(b *bench) {
	n := b.count(3000, 100)
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
	delays = delays[n/10:]
	sort.Slice(delays, func(i, j int) bool { return delays[i] < delays[j] })
	b.report("p50", float64(delays[len(delays)/2].Nanoseconds()), "ns", n)
	b.report("p99", float64(delays[len(delays)*99/100].Nanoseconds()), "ns", n)
}

// timer: make a timer far ahead, and stop it.
func timer(b *bench, fibers int) {
	b.perOp(b.count(5_000_000, 1000), func(n int) {
		var stopped atomic.Int64
		together(fibers, n, func(_, each int) {
			mine := 0
			for i := 0; i < each; i++ {
				if time.NewTimer(time.Hour).Stop() {
					mine++
				}
			}
			stopped.Add(int64(mine))
		})
		b.expect("stopped", int(stopped.Load()), n/fibers*fibers)
	})
}

// timerMillion: a million timers pending at once, over an hour.
func timerMillion(b *bench) {
	n := b.count(1_000_000, 1000)
	timers := make([]*time.Timer, 0, n)
	begun := time.Now()
	for i := 0; i < n; i++ {
		timers = append(timers, time.NewTimer(time.Hour+time.Duration(i*7919%n)*time.Millisecond))
	}
	armed := time.Now()
	stopped := 0
	for _, t := range timers {
		if t.Stop() {
			stopped++
		}
	}
	ended := time.Now()
	b.expect("stopped", stopped, n)
	b.report("arm", nsEach(armed.Sub(begun), n), "ns", n)
	b.report("stop", nsEach(ended.Sub(armed), n), "ns", n)
}
