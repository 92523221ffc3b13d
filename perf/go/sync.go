// The sync primitives: by one goroutine, and by two and eight at once on the same object.
package main

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"
)

const keys = 1024

// together runs body(fiber, n / fibers) on so many goroutines, and waits for them.
func together(fibers, n int, body func(fiber, each int)) {
	var wg sync.WaitGroup
	wg.Add(fibers)
	for fiber := 0; fiber < fibers; fiber++ {
		go func(fiber int) {
			body(fiber, n/fibers)
			wg.Done()
		}(fiber)
	}
	wg.Wait()
}

func fill(m *sync.Map) {
	for key := 0; key < keys; key++ {
		m.Store(key, key)
	}
}

func rwmutexRead(b *bench) {
	b.perOp(b.count(20_000_000, 1000), func(n int) {
		var mu sync.RWMutex
		counter, sum := 1, 0
		for i := 0; i < n; i++ {
			mu.RLock()
			sum += counter
			mu.RUnlock()
		}
		b.expect("sum", sum, n)
	})
}

// rwmutex: one operation in ten writes.
func rwmutex(b *bench, fibers int) {
	b.perOp(b.count(5_000_000, 1000), func(n int) {
		var mu sync.RWMutex
		counter := 0
		together(fibers, n, func(_, each int) {
			seen := 0
			for i := 0; i < each; i++ {
				if i%10 == 0 {
					mu.Lock()
					counter++
					mu.Unlock()
				} else {
					mu.RLock()
					seen = counter
					mu.RUnlock()
				}
			}
			if seen > n {
				b.expect("seen", seen, n)
			}
		})
		b.expect("writes", counter, (n/fibers+9)/10*fibers)
	})
}

func waitgroup1(b *bench) {
	b.perOp(b.count(20_000_000, 1000), func(n int) {
		var wg sync.WaitGroup
		for i := 0; i < n; i++ {
			wg.Add(1)
			wg.Done()
			wg.Wait()
		}
	})
}

func waitgroup(b *bench, fibers int) {
	b.perOp(b.count(10_000_000, 1000), func(n int) {
		var wg sync.WaitGroup
		together(fibers, n, func(_, each int) {
			for i := 0; i < each; i++ {
				wg.Add(1)
				wg.Done()
			}
		})
		wg.Wait()
	})
}

func once(b *bench, fibers int) {
	b.perOp(b.count(100_000_000, 1000), func(n int) {
		var once sync.Once
		runs := 0
		together(fibers, n, func(_, each int) {
			for i := 0; i < each; i++ {
				once.Do(func() { runs++ })
			}
		})
		b.expect("runs", runs, 1)
	})
}

// condBroadcast: a hundred goroutines wait; an operation is one of them woken by a broadcast.
func condBroadcast(b *bench) {
	const fibers = 100
	b.perOp(b.count(20_000, 10)*fibers, func(n int) {
		rounds := n / fibers
		var mu sync.Mutex
		begun, seenByAll := sync.NewCond(&mu), sync.NewCond(&mu)
		round, seen := 0, 0 // guarded by mu
		var wg sync.WaitGroup
		wg.Add(fibers)
		for i := 0; i < fibers; i++ {
			go func() {
				defer wg.Done()
				mu.Lock()
				defer mu.Unlock()
				for last := 0; last < rounds; last++ {
					for round <= last {
						begun.Wait()
					}
					if seen++; seen == round*fibers {
						seenByAll.Signal()
					}
				}
			}()
		}
		mu.Lock()
		for round < rounds {
			round++
			begun.Broadcast()
			for seen < round*fibers {
				seenByAll.Wait()
			}
		}
		mu.Unlock()
		wg.Wait()
		b.expect("wake-ups", seen, rounds*fibers)
	})
}

func mapLoad(b *bench) {
	var m sync.Map
	fill(&m)
	b.perOp(b.count(20_000_000, 1000), func(n int) {
		found := 0
		for i := 0; i < n; i++ {
			if v, _ := m.Load(i % keys); v.(int) == i%keys {
				found++
			}
		}
		b.expect("found", found, n)
	})
}

func mapStore(b *bench) {
	var m sync.Map
	fill(&m)
	b.perOp(b.count(5_000_000, 1000), func(n int) {
		for i := 0; i < n; i++ {
			m.Store(i%keys, i)
		}
	})
}

// syncMap: one operation in ten stores.
func syncMap(b *bench, fibers int) {
	var m sync.Map
	fill(&m)
	b.perOp(b.count(10_000_000, 1000), func(n int) {
		together(fibers, n, func(fiber, each int) {
			found := 0
			for i := 0; i < each; i++ {
				key := (i*7 + fiber*131) % keys
				if i%10 == 0 {
					m.Store(key, key)
				}
				if v, _ := m.Load(key); v.(int) == key {
					found++
				}
			}
			b.expect("found", found, each)
		})
	})
}

func pool(b *bench, fibers int) {
	type buffer struct {
		used  int
		bytes [1024]byte
	}
	b.perOp(b.count(20_000_000, 1000), func(n int) {
		pool := sync.Pool{New: func() any { return new(buffer) }}
		together(fibers, n, func(_, each int) {
			for i := 0; i < each; i++ {
				buf := pool.Get().(*buffer)
				buf.used++
				pool.Put(buf)
			}
		})
	})
}

// weighted: one unit, so that with more than one goroutine it goes from hand to hand.
func weighted(b *bench, fibers int) {
	full := 2_000_000
	if fibers == 1 {
		full = 10_000_000
	}
	b.perOp(b.count(full, 1000), func(n int) {
		units := semaphore.NewWeighted(1)
		ctx := context.Background()
		counter := 0
		together(fibers, n, func(_, each int) {
			for i := 0; i < each; i++ {
				if units.Acquire(ctx, 1) != nil {
					continue
				}
				counter++
				units.Release(1)
			}
		})
		b.expect("counter", counter, n/fibers*fibers)
	})
}
