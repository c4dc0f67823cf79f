package main

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// turn is one measurement: a row, on a server, in a round.
type turn struct {
	row     row
	server  *server
	round   int
	time    time.Duration
	profile string // file, or empty
}

// result is what a turn found.
type result struct {
	perSecond float64       // operations
	cpu       time.Duration // of the server, for each operation
	p50, p99  time.Duration // of the row relay
}

// operation is one request and its answer. An operation is called by one
// goroutine.
type operation func() error

// warmUp is how long the load goes on before it is measured.
const warmUp = 500 * time.Millisecond

// measure lets every operation go on in a goroutine of its own, and counts.
func (t *turn) measure(ctx context.Context, operations []operation) (result, error) {
	l := &load{done: make([]counter, len(operations))}
	for i, op := range operations {
		l.running.Go(func() { l.repeat(op, &l.done[i].Int64) })
	}
	defer l.running.Wait()
	defer l.stopped.Store(true)
	pause(ctx, warmUp)
	stop := t.startProfile()
	done, used, began := l.total(), t.server.cpu(), time.Now()
	pause(ctx, t.time)
	done, used, took := l.total()-done, t.server.cpu()-used, time.Since(began)
	stop()
	if err, _ := l.err.Load().(error); err != nil {
		return result{}, err
	}
	if done == 0 {
		return result{}, fmt.Errorf("nothing was done in %v", took)
	}
	return result{perSecond: float64(done) / took.Seconds(), cpu: used / time.Duration(done)}, ctx.Err()
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// startProfile lets perf look at the server until the returned function is
// called.
func (t *turn) startProfile() (stop func()) {
	if t.profile == "" {
		return func() {}
	}
	cmd := exec.Command("perf", "record", "-q", "-F", "499", "-g", "-o", t.profile, "-p", strconv.Itoa(t.server.cmd.Process.Pid), "--", "sleep", strconv.FormatFloat(t.time.Seconds(), 'f', 1, 64))
	if err := cmd.Start(); err != nil {
		return func() {}
	}
	return func() { _ = cmd.Wait() }
}

// load is what runs at one time.
type load struct {
	running sync.WaitGroup
	stopped atomic.Bool
	err     atomic.Value // the first error
	done    []counter
}

// counter has a cache line of its own.
type counter struct {
	atomic.Int64
	_ [56]byte
}

func (l *load) repeat(op operation, done *atomic.Int64) {
	for !l.stopped.Load() {
		if err := op(); err != nil {
			l.err.CompareAndSwap(nil, fmt.Errorf("request: %w", err))
			l.stopped.Store(true)
			return
		}
		done.Add(1)
	}
}

func (l *load) total() (n int64) {
	for i := range l.done {
		n += l.done[i].Load()
	}
	return n
}

// objects is how many objects of each size the readers read.
const objects = 64

func objectPath(size, i int) string { return fmt.Sprintf("/read/%d/segment-%d.ts", size, i) }

// fill lays the objects that are read.
func fill(s *server) error {
	c, err := dial(s.addr, s.tls)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, size := range []int{small, large} {
		body := make([]byte, size)
		for i := range objects {
			head, err := s.head(http.MethodPut, objectPath(size, i), size, s.service != "", contentType...)
			if err != nil {
				return err
			}
			if _, err := c.exchange(head, body); err != nil {
				return err
			}
		}
	}
	return nil
}

var contentType = []string{"Content-Type", "video/mp2t"}
