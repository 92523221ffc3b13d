// Handing the processor over: yields, a round trip between two goroutines, a token around a ring.
package main

import (
	"runtime"
	"sync"
)

func yield(b *bench) {
	const fibers = 4
	perFiber := b.count(1_000_000, 100)
	b.perOp(perFiber*fibers, func(n int) {
		var counts [fibers]int
		var wg sync.WaitGroup
		wg.Add(fibers)
		for i := range counts {
			go func(count *int) {
				done := 0
				for ; done < n/fibers; done++ {
					runtime.Gosched()
				}
				*count = done
				wg.Done()
			}(&counts[i])
		}
		wg.Wait()
		for _, c := range counts {
			b.expect("yields of a fiber", c, n/fibers)
		}
	})
}

func pingPong(b *bench) {
	b.perOp(b.count(1_000_000, 100), func(n int) {
		ping, pong := make(chan int), make(chan int)
		go func() {
			for v := range ping {
				pong <- v + 1
			}
			close(pong)
		}()
		sum := 0
		for i := 0; i < n; i++ {
			ping <- i
			sum += <-pong
		}
		close(ping)
		_, open := <-pong
		b.expect("sum of the answers", sum, sumBelow(n)+n)
		if open {
			b.expect("values after the close", 1, 0)
		}
	})
}

// ring1000 sends one token round a ring of a thousand goroutines; an operation is one hop.
func ring1000(b *bench) {
	const fibers = 1000
	laps := b.count(1000, 3)
	b.perOp(laps*fibers, func(n int) {
		first := make(chan int)
		in := first
		for i := 0; i < fibers-1; i++ {
			out := make(chan int)
			go func(in <-chan int, out chan<- int) {
				for token := range in {
					out <- token + 1
				}
				close(out)
			}(in, out)
			in = out
		}
		token := 0
		for i := 0; i < n/fibers; i++ {
			first <- token + 1
			token = <-in
		}
		close(first)
		<-in
		b.expect("hops", token, n/fibers*fibers)
	})
}
