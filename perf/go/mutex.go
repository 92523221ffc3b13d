// Lock and unlock around one addition: alone, and by eight goroutines at once.
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

func mutex8(b *bench) {
	const fibers = 8
	perFiber := b.count(2_000_000, 1000)
	b.perOp(perFiber*fibers, func(n int) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		counter := 0
		wg.Add(fibers)
		for i := 0; i < fibers; i++ {
			go func() {
				for j := 0; j < n/fibers; j++ {
					mu.Lock()
					counter++
					mu.Unlock()
				}
				wg.Done()
			}()
		}
		wg.Wait()
		b.expect("counter", counter, n/fibers*fibers)
	})
}
