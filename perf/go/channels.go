// Many items through one channel: one producer and one consumer, four and four, a hundred and one, and all in one goroutine.
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

func mpmc4x4(b *bench, capacity int) {
	const side = 4
	perProducer := b.count(1_000_000, 1000)
	b.perOp(perProducer*side, func(n int) {
		share := n / side
		c := make(chan int, capacity)
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

// fanIn100: a hundred goroutines send on one unbuffered channel.
func fanIn100(b *bench) {
	const senders = 100
	b.perOp(b.count(20_000, 10)*senders, func(n int) {
		share := n / senders
		c := make(chan int)
		for i := 0; i < senders; i++ {
			go func() {
				for v := 0; v < share; v++ {
					c <- v
				}
			}()
		}
		sum := 0
		for i := 0; i < share*senders; i++ {
			sum += <-c
		}
		b.expect("sum received", sum, sumBelow(share)*senders)
	})
}

// rangeOver: one goroutine fills a channel with a thousand items, closes it and ranges over it; nothing blocks.
func rangeOver(b *bench) {
	const items = 1000
	b.perOp(b.count(10_000, 1)*items, func(n int) {
		sum := 0
		for i := 0; i < n/items; i++ {
			c := make(chan int, items)
			for v := 0; v < items; v++ {
				c <- v
			}
			close(c)
			for v := range c {
				sum += v
			}
		}
		b.expect("sum received", sum, n/items*sumBelow(items))
	})
}
