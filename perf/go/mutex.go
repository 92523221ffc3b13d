// Lock and unlock around one addition: alone, and by several goroutines at once.
package main

import "sync"

func mutexUncontended(b *bench) {
	b.perOp(b.count(20_000_000, 1000), func(n int) {
		var mu sync.Mutex
		counter := 0
		for i := 0; i < n; i++ {
			mu.Lock()
			counter++
			mu.Unlock()
		}
		b.expect("counter", counter, n)
	})
}

// mutex: a tiny section by so many goroutines at once.
func mutex(b *bench, fibers int) {
	b.perOp(b.count(10_000_000, 1000), func(n int) {
		var mu sync.Mutex
		counter := 0
		together(fibers, n, func(_, each int) {
			for i := 0; i < each; i++ {
				mu.Lock()
				counter++
				mu.Unlock()
			}
		})
		b.expect("counter", counter, n/fibers*fibers)
	})
}
