// Classic programs: skynet (a tree with a million leaves), the prime sieve, and fib with a goroutine a call.
package main

import (
	"sync"
	"time"
)

// skynet sends the sum of the ordinals num ... num+size-1 to out, through ten children at every level.
func skynet(out chan<- int, num, size int) {
	if size == 1 {
		out <- num
		return
	}
	children := make(chan int)
	for i := 0; i < 10; i++ {
		go skynet(children, num+i*(size/10), size/10)
	}
	sum := 0
	for i := 0; i < 10; i++ {
		sum += <-children
	}
	out <- sum
}

func runSkynet(b *bench, leaves int) {
	root := make(chan int)
	go skynet(root, 0, leaves)
	b.expect("sum of the leaves", <-root, sumBelow(leaves))
}

func skynetMillion(b *bench) {
	leaves := 1000
	for leaves*10 <= b.count(1_000_000, 1000) {
		leaves *= 10
	}
	runSkynet(b, leaves/10)
	start := time.Now()
	runSkynet(b, leaves)
	b.report("", ms(time.Since(start)), "ms", leaves)
}

func generate(out chan<- int) {
	for i := 2; ; i++ {
		out <- i
	}
}

func filter(in <-chan int, out chan<- int, prime int) {
	for {
		if i := <-in; i%prime != 0 {
			out <- i
		}
	}
}

// sieve returns the last of the first n primes. Its goroutines stay parked, as in the program that Go's authors made famous.
func sieve(n int) int {
	ch := make(chan int)
	go generate(ch)
	prime := 0
	for i := 0; i < n; i++ {
		prime = <-ch
		next := make(chan int)
		go filter(ch, next, prime)
		ch = next
	}
	return prime
}

// nthPrime finds the answer the plain way.
func nthPrime(n int) int {
	var primes []int
	for candidate := 2; len(primes) < n; candidate++ {
		prime := true
		for _, p := range primes {
			if p*p > candidate {
				break
			}
			if candidate%p == 0 {
				prime = false
				break
			}
		}
		if prime {
			primes = append(primes, candidate)
		}
	}
	return primes[n-1]
}

func sieve4000(b *bench) {
	n := b.count(4000, 100)
	sieve(n/10 + 1)
	start := time.Now()
	got := sieve(n)
	b.report("", ms(time.Since(start)), "ms", n)
	b.expect("last prime", got, nthPrime(n))
}

// fib computes one of its two terms in a goroutine of its own, down to the last call.
func fib(n int) int {
	if n < 2 {
		return n
	}
	first := 0
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		first = fib(n - 1)
		wg.Done()
	}()
	second := fib(n - 2)
	wg.Wait()
	return first + second
}

func fibByAddition(n int) int {
	a, b := 0, 1
	for ; n > 0; n-- {
		a, b = b, a+b
	}
	return a
}

func fib27(b *bench) {
	n := b.count(27, 10)
	fib(n - 5)
	start := time.Now()
	got := fib(n)
	b.report("", ms(time.Since(start)), "ms", n)
	b.expect("fib", got, fibByAddition(n))
}
