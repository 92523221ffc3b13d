// TCP on the loopback interface: 64 clients, each with a connection of its own to an echo server in the same process.
package main

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
)

type message [64]byte

func echo(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, 512)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		if _, err := conn.Write(buf[:n]); err != nil {
			return
		}
	}
}

func serve(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go echo(conn)
	}
}

// ask sends n messages, each after the answer to the one before, and counts the right answers.
func ask(conn net.Conn, n int) int {
	right := 0
	var sent, received message
	for i := 0; i < n; i++ {
		binary.LittleEndian.PutUint64(sent[:], uint64(i))
		if _, err := conn.Write(sent[:]); err != nil {
			return right
		}
		if _, err := io.ReadFull(conn, received[:]); err != nil {
			return right
		}
		if sent == received {
			right++
		}
	}
	return right
}

// tcpEcho64: an operation is one message of 64 bytes there and back.
func tcpEcho64(b *bench) {
	const conns = 64
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.expect("listen: "+err.Error(), 1, 0)
		return
	}
	var serving sync.WaitGroup
	serving.Add(1)
	go func() {
		serve(listener)
		serving.Done()
	}()
	var open [conns]net.Conn
	for i := range open {
		open[i], err = net.Dial("tcp", listener.Addr().String())
		if err != nil {
			b.expect("dial: "+err.Error(), 1, 0)
			return
		}
	}
	b.perOp(b.count(100_000, 640), func(n int) {
		together(conns, n, func(i, each int) {
			b.expect("right answers", ask(open[i], each), each)
		})
	})
	for _, conn := range open {
		conn.Close()
	}
	listener.Close()
	serving.Wait()
}
