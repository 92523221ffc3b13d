// Timers: the processor time of many sleepers, and what it costs to make and to stop timers.
package main

import (
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

// afterLoop: a receive with a limit, again and again: each makes a timer that is not needed.
func afterLoop(b *bench) {
	b.perOp(b.count(1_000_000, 1000), func(n int) {
		c := make(chan int, 128)
		go func() {
			for i := 0; i < n; i++ {
				c <- i
			}
		}()
		sum, late := 0, 0
		for i := 0; i < n; i++ {
			select {
			case v := <-c:
				sum += v
			case <-time.After(time.Hour):
				late++
			}
		}
		b.expect("sum received", sum, sumBelow(n))
		b.expect("timers that fired", late, 0)
	})
}
