// Runs the random programs of panic_go_test.cpp as Go does, and prints their traces, one a line.
//
// A program is a function body: a list of statements. p<n> prints, P<n> panics, F dereferences nil, R recovers and prints, G is Goexit, Y yields, C(...)
// calls and D(...) defers a function with that body.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
)

type stmt struct {
	op   byte
	n    int
	body []stmt
}

func parse(s string, i int) ([]stmt, int) {
	var out []stmt
	for i < len(s) && s[i] != ')' {
		st := stmt{op: s[i]}
		i++
		switch st.op {
		case 'p', 'P':
			for i < len(s) && s[i] >= '0' && s[i] <= '9' {
				st.n = st.n*10 + int(s[i]-'0')
				i++
			}
		case 'C', 'D':
			st.body, i = parse(s, i+1)
			i++
		}
		out = append(out, st)
	}
	return out, i
}

func text(v any) string {
	if err, ok := v.(runtime.Error); ok {
		return strings.Replace(err.Error(), " ", "_", -1)
	}
	return fmt.Sprint(v)
}

type tracer struct{ strings.Builder }

func (t *tracer) run(body []stmt) {
	for _, s := range body {
		switch s.op {
		case 'p':
			fmt.Fprintf(t, " %d", s.n)
		case 'P':
			panic(s.n)
		case 'F':
			var p *int
			t.WriteString(fmt.Sprint(*p))
		case 'R':
			if v := recover(); v != nil {
				t.WriteString(" r" + text(v))
			} else {
				t.WriteString(" r-")
			}
		case 'G':
			runtime.Goexit()
		case 'Y':
			runtime.Gosched()
		case 'C':
			t.run(s.body)
		case 'D':
			defer t.run(s.body)
		}
	}
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for in.Scan() {
		body, _ := parse(in.Text(), 0)
		t := &tracer{}
		done := make(chan struct{})
		go func() {
			defer close(done)
			returned := false
			defer func() {
				if v := recover(); v != nil {
					t.WriteString(" uncaught " + text(v))
				} else if returned {
					t.WriteString(" returned")
				} else {
					t.WriteString(" goexit")
				}
			}()
			t.run(body)
			returned = true
		}()
		<-done
		fmt.Fprintln(out, t.String())
	}
}
