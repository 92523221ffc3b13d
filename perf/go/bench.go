// What every workload uses: sizes, timing, checks and the result line. The twin of ../cpp/bench.h.
package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"time"
)

// bench is one run of one workload.
type bench struct {
	name    string
	procs   int
	scale   float64
	ops     int    // 0, or the exact number of operations for perOp
	problem string // the first failed check; empty is good
	results []result
}

type result struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Procs int     `json:"procs"`
	N     int     `json:"n"`
	Check string  `json:"check"`
}

// count scales a workload's full size; a run never gets smaller than least.
func (b *bench) count(full, least int) int {
	n := int(float64(full) * b.scale)
	if n < least {
		return least
	}
	return n
}

const budget = 200 * time.Millisecond

// perOp runs body at a tenth of the size as a warm-up, then at size n, or at one that fits into the budget, and reports the time of
// one operation. With a number of operations given it runs body once, at that size.
func (b *bench) perOp(n int, body func(n int)) {
	if b.ops == 0 {
		trial := n/10 + 1
		begun := time.Now()
		body(trial)
		n = fitting(n, trial, time.Since(begun))
	} else {
		n = b.ops
	}
	start := time.Now()
	body(n)
	b.report("", nsEach(time.Since(start), n), "ns", n)
}

// fitting lessens n to what takes about the budget, going by a trial; never to less than the trial, and to whole thousands.
func fitting(n, trial int, took time.Duration) int {
	within := int(float64(trial) * float64(budget) / math.Max(1, float64(took)))
	if within < trial {
		within = trial
	}
	if n > within {
		n = within
	}
	if n > 1000 {
		n -= n % 1000
	}
	return n
}

// report adds a figure; part names one of several figures of a workload ("parked_million.rss").
func (b *bench) report(part string, value float64, unit string, n int) {
	name := b.name
	if part != "" {
		name += "." + part
	}
	b.results = append(b.results, result{name, math.Round(value*1000) / 1000, unit, b.procs, n, ""})
}

// expect records a failed check: the run then prints it in place of "ok" and the program exits with status 1.
func (b *bench) expect(what string, got, want int) {
	if got != want && b.problem == "" {
		b.problem = fmt.Sprintf("%s: got %d, want %d", what, got, want)
	}
}

// print writes the result lines; false when a check failed.
func (b *bench) print() bool {
	check := "ok"
	if b.problem != "" {
		check = b.problem
	}
	enc := json.NewEncoder(os.Stdout)
	for _, r := range b.results {
		r.Check = check
		enc.Encode(r)
	}
	return b.problem == ""
}

func nsEach(d time.Duration, n int) float64 { return float64(d.Nanoseconds()) / float64(n) }

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// sumBelow is 0 + 1 + ... + (n-1).
func sumBelow(n int) int { return n * (n - 1) / 2 }
