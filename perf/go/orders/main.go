// orders: the twin of ../../../examples/orders, the order service; for wrk with load.lua.
//
//	orders [-procs N] [-port N] [-db PATH] [-workers N] [-gateway-ms N]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

const (
	drainTime    = 5 * time.Second // longer than any payment may take
	maxBodyBytes = 64 << 10
)

func main() {
	procs := flag.Int("procs", 1, "GOMAXPROCS")
	port := flag.Int("port", 0, "on 127.0.0.1; 0: any that is free")
	path := flag.String("db", "orders.db", "SQLite file")
	workers := flag.Int("workers", 16, "payments made at the same time")
	gatewayMS := flag.Int("gateway-ms", 1, "how long the pretended payment gateway takes")
	flag.Parse()
	runtime.GOMAXPROCS(*procs)

	store, err := openStore(*path)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		log.Fatal(err)
	}
	payments := newPaymentPool(*workers, time.Duration(*gatewayMS)*time.Millisecond)
	service := &service{payments: payments, store: store}
	server := &http.Server{
		Handler:           service.handler(),
		ReadTimeout:       10 * time.Second,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       60 * time.Second,
	}

	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	fmt.Printf("orders: listening on http://%s, database %s\n", listener.Addr(), *path)

	select {
	case <-stop.Done():
	case err := <-stopped:
		log.Fatal(err)
	}
	ctx, cancelDrain := context.WithTimeout(context.Background(), drainTime)
	defer cancelDrain()
	if err := server.Shutdown(ctx); err != nil && !errors.Is(err, http.ErrServerClosed) {
		log.Printf("orders: some requests did not end in time, cutting them off: %v", err)
		server.Close()
	}
	service.children.Wait()
	payments.close()
	store.close()
}
