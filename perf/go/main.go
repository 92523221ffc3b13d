// weir_perf's twin: the same workloads under the same names, in Go.
//
//	perf-go [-procs N] [-scale X] [-ops N] [-list] [name...]
//
// Prints one JSON line a figure: {"name","value","unit","procs","n","check"}.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
)

type workload struct {
	name string
	run  func(*bench)
}

var workloads = []workload{
	{"spawn_one", spawnOne},
	{"spawn_burst", spawnBurst},
	{"spawn_million", spawnMillion},
	{"yield", yield},
	{"ping_pong", pingPong},
	{"ring_1000", ring1000},
	{"spsc_128", spsc128},
	{"spsc_1", spsc1},
	{"mpmc_4x4", func(b *bench) { mpmc4x4(b, 128) }},
	{"mpmc_4x4_1", func(b *bench) { mpmc4x4(b, 1) }},
	{"fan_in_100", fanIn100},
	{"range", rangeOver},
	{"select_2", select2},
	{"select_4", select4},
	{"select_8", select8},
	{"select_4_buffered", select4Buffered},
	{"select_2_default", select2Default},
	{"select_4_default", select4Default},
	{"select_8_default", select8Default},
	{"mutex_uncontended", mutexUncontended},
	{"mutex_2", func(b *bench) { mutex(b, 2) }},
	{"mutex_8", func(b *bench) { mutex(b, 8) }},
	{"mutex_64", func(b *bench) { mutex(b, 64) }},
	{"rwmutex_read", rwmutexRead},
	{"rwmutex_2", func(b *bench) { rwmutex(b, 2) }},
	{"rwmutex_8", func(b *bench) { rwmutex(b, 8) }},
	{"waitgroup", waitgroup1},
	{"waitgroup_2", func(b *bench) { waitgroup(b, 2) }},
	{"waitgroup_8", func(b *bench) { waitgroup(b, 8) }},
	{"once", func(b *bench) { once(b, 1) }},
	{"once_2", func(b *bench) { once(b, 2) }},
	{"once_8", func(b *bench) { once(b, 8) }},
	{"cond_broadcast", condBroadcast},
	{"map_load", mapLoad},
	{"map_store", mapStore},
	{"map_2", func(b *bench) { syncMap(b, 2) }},
	{"map_8", func(b *bench) { syncMap(b, 8) }},
	{"pool", func(b *bench) { pool(b, 1) }},
	{"pool_2", func(b *bench) { pool(b, 2) }},
	{"pool_8", func(b *bench) { pool(b, 8) }},
	{"semaphore", func(b *bench) { weighted(b, 1) }},
	{"semaphore_2", func(b *bench) { weighted(b, 2) }},
	{"semaphore_8", func(b *bench) { weighted(b, 8) }},
	{"skynet", skynetMillion},
	{"sieve", sieve4000},
	{"fib_27", fib27},
	{"shape_yield", shapeYield},
	{"shape_channels", shapeChannels},
	{"parked_million", parkedMillion},
	{"idle_million", idleMillion},
	{"timers_100k", timers100k},
	{"wake_latency", wakeLatency},
	{"wake_latency_loaded", wakeLatencyLoaded},
	{"thread_send", threadSend},
	{"timer", func(b *bench) { timer(b, 1) }},
	{"timer_2", func(b *bench) { timer(b, 2) }},
	{"timer_8", func(b *bench) { timer(b, 8) }},
	{"timer_million", timerMillion},
	{"after_loop", afterLoop},
	{"tcp_echo_64", tcpEcho64},
	{"panic_recover_1", panicRecover1},
	{"panic_recover_10", panicRecover10},
	{"defer", deferCost},
}

func find(name string) (workload, bool) {
	for _, w := range workloads {
		if w.name == name {
			return w, true
		}
	}
	return workload{}, false
}

func main() {
	procs := flag.Int("procs", 1, "GOMAXPROCS")
	scale := flag.Float64("scale", 1, "factor on every workload's size")
	ops := flag.Int("ops", 0, "exact number of operations, where a workload counts them")
	list := flag.Bool("list", false, "print the workload names")
	flag.Parse()

	if *list {
		for _, w := range workloads {
			fmt.Println(w.name)
		}
		return
	}
	if *procs < 1 || *scale <= 0 || *ops < 0 {
		fmt.Fprintln(os.Stderr, "perf-go: -procs must be at least 1, -scale above 0 and -ops not below 0")
		os.Exit(2)
	}
	chosen := workloads
	if flag.NArg() > 0 {
		chosen = nil
		for _, name := range flag.Args() {
			w, ok := find(name)
			if !ok {
				fmt.Fprintf(os.Stderr, "perf-go: no workload %q; -list names them\n", name)
				os.Exit(2)
			}
			chosen = append(chosen, w)
		}
	}

	runtime.GOMAXPROCS(*procs)
	status := 0
	for _, w := range chosen {
		b := &bench{name: w.name, procs: *procs, scale: *scale, ops: *ops}
		w.run(b)
		if !b.print() {
			status = 1
		}
	}
	os.Exit(status)
}
