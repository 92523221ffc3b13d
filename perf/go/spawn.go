// Spawn and join: what a goroutine costs from `go` to Done.
package main

import (
	"sync"
	"time"
)

// spawnAndJoin starts one goroutine for each slot, which marks its slot, and waits for all.
func spawnAndJoin(slots []int32, mark int32) {
	var wg sync.WaitGroup
	wg.Add(len(slots))
	for i := range slots {
		go func(slot *int32) {
			*slot = mark
			wg.Done()
		}(&slots[i])
	}
	wg.Wait()
}

func marked(slots []int32, mark int32) int {
	n := 0
	for _, s := range slots {
		if s == mark {
			n++
		}
	}
	return n
}

func spawnOne(b *bench) {
	b.perOp(b.count(2_000_000, 1000), func(n int) {
		ran := 0
		for i := 0; i < n; i++ {
			var wg sync.WaitGroup
			wg.Add(1)
			go func() {
				ran++
				wg.Done()
			}()
			wg.Wait()
		}
		b.expect("fibers that ran", ran, n)
	})
}

func spawnBurst(b *bench) {
	const burst = 1000
	slots := make([]int32, burst)
	bursts := b.count(1000, 3)
	mark := int32(0)
	b.perOp(bursts*burst, func(n int) {
		for i := 0; i < n/burst; i++ {
			mark++
			spawnAndJoin(slots, mark)
			b.expect("fibers that ran", marked(slots, mark), burst)
		}
	})
}

func spawnMillion(b *bench) {
	n := b.count(1_000_000, 1000)
	slots := make([]int32, n)
	spawnAndJoin(slots[:n/10], 1)
	for mark, part := range []string{"", "again"} {
		start := time.Now()
		spawnAndJoin(slots, int32(mark+2))
		b.report(part, nsEach(time.Since(start), n), "ns", n)
		b.expect("fibers that ran", marked(slots, int32(mark+2)), n)
	}
}
