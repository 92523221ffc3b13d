// Panic, recover and defer.
package main

//go:noinline
func panicAt(depth, value int) int {
	if depth == 1 {
		panic(value)
	}
	return panicAt(depth-1, value) + 1
}

//go:noinline
func guarded(depth, value int) (got int) {
	defer func() {
		if r := recover(); r != nil {
			got = r.(int)
		}
	}()
	return panicAt(depth, value)
}

// panicRecover: a panic `depth` calls below the function whose deferred call recovers it.
func panicRecover(b *bench, depth int) {
	b.perOp(b.count(100_000, 100), func(n int) {
		sum := 0
		for i := 0; i < n; i++ {
			sum += guarded(depth, i)
		}
		b.expect("sum of the recovered values", sum, sumBelow(n))
	})
}

func panicRecover1(b *bench) { panicRecover(b, 1) }

func panicRecover10(b *bench) { panicRecover(b, 10) }

//go:noinline
func deferred(counter *int) {
	defer func() { *counter++ }()
}

// deferCost: a function whose whole work is one deferred addition.
func deferCost(b *bench) {
	b.perOp(b.count(100_000_000, 1000), func(n int) {
		counter := 0
		for i := 0; i < n; i++ {
			deferred(&counter)
		}
		b.expect("deferred calls", counter, n)
	})
}
