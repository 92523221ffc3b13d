// A million goroutines parked on one channel: what each costs in memory, to create, and to wake and join, and what they cost while nothing happens.
package main

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// memory is what the kernel counts for this process, in bytes.
type memory struct{ rss, pageTables int }

func memoryNow() (m memory) {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return m
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "VmRSS:":
			kb, _ := strconv.Atoi(fields[1])
			m.rss = kb * 1024
		case "VmPTE:":
			kb, _ := strconv.Atoi(fields[1])
			m.pageTables = kb * 1024
		}
	}
	return m
}

func parkedMillion(b *bench) {
	n := b.count(1_000_000, 1000)
	spawnAndJoin(make([]int32, 1000), 1)

	gate := make(chan struct{})
	var arrived, left sync.WaitGroup
	arrived.Add(n)
	left.Add(n)
	slots := make([]int32, n)
	before := memoryNow()
	start := time.Now()
	for i := 0; i < n; i++ {
		go func(slot *int32) {
			arrived.Done()
			<-gate
			*slot = 1
			left.Done()
		}(&slots[i])
	}
	arrived.Wait()
	b.report("create", nsEach(time.Since(start), n), "ns", n)

	after := memoryNow()
	b.report("rss", float64(after.rss-before.rss)/float64(n), "bytes", n)
	b.report("page_tables", float64(after.pageTables-before.pageTables)/float64(n), "bytes", n)

	b.expect("woken too early", marked(slots, 1), 0)
	start = time.Now()
	close(gate)
	left.Wait()
	b.report("wake", nsEach(time.Since(start), n), "ns", n)
	b.expect("fibers woken", marked(slots, 1), n)
}

// systemSleep blocks the OS thread, so that the runtime has no timer of its own to wake for.
func systemSleep(d time.Duration) {
	for rest := syscall.NsecToTimespec(d.Nanoseconds()); syscall.Nanosleep(&rest, &rest) == syscall.EINTR; {
	}
}

// idleMillion: the processor time used while a million goroutines are parked. Taken in a system call, the nearest to a plain thread that Go has;
// whatever is still to be done about the goroutines' creation has half a second.
func idleMillion(b *bench) {
	n := b.count(1_000_000, 1000)
	nap := time.Duration(b.count(2000, 100)) * time.Millisecond
	woken := 0 // guarded by mu
	var mu sync.Mutex
	gate := make(chan struct{})
	var arrived, left sync.WaitGroup
	arrived.Add(n)
	left.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			defer left.Done()
			arrived.Done()
			<-gate
			mu.Lock()
			defer mu.Unlock()
			woken++
		}()
	}
	arrived.Wait()
	systemSleep(nap / 4)

	start := time.Now()
	before := cpuTime()
	systemSleep(nap)
	used := cpuTime() - before
	b.report("", float64(used.Nanoseconds())/1e3/time.Since(start).Seconds(), "CPU us/s", n)

	close(gate)
	left.Wait()
	b.expect("fibers woken", woken, n)
}
