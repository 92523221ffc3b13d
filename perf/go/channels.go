// Buffered channels: one producer and one consumer, four and four.
package main

import "sync"

func spsc(b *bench, items, capacity int) {
	b.perOp(items, func(n int) {
		c := make(chan int, capacity)
		go func() {
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

func spsc128(b *bench) { spsc(b, b.count(5_000_000, 1000), 128) }

func spsc1(b *bench) { spsc(b, b.count(1_000_000, 1000), 1) }

func mpmc4x4(b *bench) {
	const side = 4
	perProducer := b.count(1_000_000, 1000)
	b.perOp(perProducer*side, func(n int) {
		share := n / side
		c := make(chan int, 128)
		var producers, consumers sync.WaitGroup
		producers.Add(side)
		consumers.Add(side)
		var sums [side]int
		for i := 0; i < side; i++ {
			go func(first int) {
				for v := first; v < first+share; v++ {
					c <- v
				}
				producers.Done()
			}(i * share)
			go func(total *int) {
				sum := 0
				for v := range c {
					sum += v
				}
				*total = sum
				consumers.Done()
			}(&sums[i])
		}
		producers.Wait()
		close(c)
		consumers.Wait()
		b.expect("sum received", sums[0]+sums[1]+sums[2]+sums[3], sumBelow(share*side))
	})
}
