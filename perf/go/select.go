// One receiver in a select over four channels, each with its own sender.
package main

func selectOf4(b *bench, perSender, capacity int) {
	const senders = 4
	b.perOp(perSender*senders, func(n int) {
		share := n / senders
		var c [senders]chan int
		for i := range c {
			c[i] = make(chan int, capacity)
			go func(out chan<- int) {
				for v := 0; v < share; v++ {
					out <- v
				}
			}(c[i])
		}
		var sums [senders]int
		for i := 0; i < share*senders; i++ {
			select {
			case v := <-c[0]:
				sums[0] += v
			case v := <-c[1]:
				sums[1] += v
			case v := <-c[2]:
				sums[2] += v
			case v := <-c[3]:
				sums[3] += v
			}
		}
		for _, sum := range sums {
			b.expect("sum of a channel", sum, sumBelow(share))
		}
	})
}

func select4(b *bench) { selectOf4(b, b.count(250_000, 100), 0) }

func select4Buffered(b *bench) { selectOf4(b, b.count(500_000, 100), 128) }
