// One receiver in a select over two, four or eight channels: each with its own sender, or with nothing to receive and a default.
package main

// selectOf: receive does a number of selects over the channels, and adds up what came from each.
func selectOf(b *bench, channels, items, capacity int, receive func(c []chan int, sums []int, selects int)) {
	b.perOp(b.count(items, 1000), func(n int) {
		share := n / channels
		c := make([]chan int, channels)
		for i := range c {
			c[i] = make(chan int, capacity)
			go func(out chan<- int) {
				for v := 0; v < share; v++ {
					out <- v
				}
			}(c[i])
		}
		sums := make([]int, channels)
		receive(c, sums, share*channels)
		for _, sum := range sums {
			b.expect("sum of a channel", sum, sumBelow(share))
		}
	})
}

// selectDefaultOf: poll does a number of selects over the channels, and counts the defaults.
func selectDefaultOf(b *bench, channels int, poll func(c []chan int, selects int) (sum, idle int)) {
	b.perOp(b.count(5_000_000, 1000), func(n int) {
		c := make([]chan int, channels)
		for i := range c {
			c[i] = make(chan int)
		}
		sum, idle := poll(c, n)
		b.expect("default taken", idle, n)
		b.expect("sum received", sum, 0)
	})
}

func receiveOf2(c []chan int, sums []int, selects int) {
	for k := 0; k < selects; k++ {
		select {
		case v := <-c[0]:
			sums[0] += v
		case v := <-c[1]:
			sums[1] += v
		}
	}
}

func pollOf2(c []chan int, selects int) (sum, idle int) {
	for k := 0; k < selects; k++ {
		select {
		case v := <-c[0]:
			sum += v
		case v := <-c[1]:
			sum += v
		default:
			idle++
		}
	}
	return sum, idle
}

func receiveOf4(c []chan int, sums []int, selects int) {
	for k := 0; k < selects; k++ {
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
}

func pollOf4(c []chan int, selects int) (sum, idle int) {
	for k := 0; k < selects; k++ {
		select {
		case v := <-c[0]:
			sum += v
		case v := <-c[1]:
			sum += v
		case v := <-c[2]:
			sum += v
		case v := <-c[3]:
			sum += v
		default:
			idle++
		}
	}
	return sum, idle
}

func receiveOf8(c []chan int, sums []int, selects int) {
	for k := 0; k < selects; k++ {
		select {
		case v := <-c[0]:
			sums[0] += v
		case v := <-c[1]:
			sums[1] += v
		case v := <-c[2]:
			sums[2] += v
		case v := <-c[3]:
			sums[3] += v
		case v := <-c[4]:
			sums[4] += v
		case v := <-c[5]:
			sums[5] += v
		case v := <-c[6]:
			sums[6] += v
		case v := <-c[7]:
			sums[7] += v
		}
	}
}

func pollOf8(c []chan int, selects int) (sum, idle int) {
	for k := 0; k < selects; k++ {
		select {
		case v := <-c[0]:
			sum += v
		case v := <-c[1]:
			sum += v
		case v := <-c[2]:
			sum += v
		case v := <-c[3]:
			sum += v
		case v := <-c[4]:
			sum += v
		case v := <-c[5]:
			sum += v
		case v := <-c[6]:
			sum += v
		case v := <-c[7]:
			sum += v
		default:
			idle++
		}
	}
	return sum, idle
}

func select2(b *bench) { selectOf(b, 2, 1_000_000, 0, receiveOf2) }

func select4(b *bench) { selectOf(b, 4, 1_000_000, 0, receiveOf4) }

func select8(b *bench) { selectOf(b, 8, 1_000_000, 0, receiveOf8) }

func select4Buffered(b *bench) { selectOf(b, 4, 2_000_000, 128, receiveOf4) }

func select2Default(b *bench) { selectDefaultOf(b, 2, pollOf2) }

func select4Default(b *bench) { selectDefaultOf(b, 4, pollOf4) }

func select8Default(b *bench) { selectDefaultOf(b, 8, pollOf8) }
