package accesslog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/event"
)

// sink keeps what it gets, as often as it is let.
type sink struct {
	write   func(ctx context.Context) error // before a batch is taken, nil for at once
	batches []int                           // their sizes
	ids     []string
	closed  int
}

func (s *sink) Write(ctx context.Context, batch []Entry) error {
	if s.write != nil {
		if err := s.write(ctx); err != nil {
			return err
		}
	}
	s.batches = append(s.batches, len(batch))
	for _, e := range batch {
		var record struct{ RequestID, ContainerName string }
		if err := json.Unmarshal(e.JSON, &record); err != nil || record.ContainerName != string(e.Container) {
			return fmt.Errorf("%s: %w", e.JSON, err)
		}
		s.ids = append(s.ids, record.RequestID)
	}
	return nil
}

func (s *sink) Close() error {
	s.closed++
	return errors.New("closed")
}

// config is for a sink inside a bubble.
func config(s Sink, log io.Writer, dropped *atomic.Int64) Config {
	return Config{
		Sink: s, Now: time.Now, Log: slog.New(slog.NewTextHandler(log, nil)),
		OnDrop: func(n int) { dropped.Add(int64(n)) },
	}
}

func request(id int) *event.Request {
	r := answered()
	r.ID = fmt.Sprint(id)
	return r
}

func ids(from, to int) (all []string) {
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

func TestCloseWritesWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		var dropped atomic.Int64
		w := New(config(s, t.Output(), &dropped))
		for i := range 2500 {
			w.Request(request(i))
		}
		unlogged := request(-1)
		unlogged.Logged = false
		w.Request(unlogged)
		for range 2 {
			if err := w.Close(t.Context()); err == nil || err.Error() != "closed" {
				t.Errorf("Close: %v, which is not what the sink says", err)
			}
		}
		if diff := cmp.Diff(ids(0, 2500), s.ids); diff != "" {
			t.Error(diff)
		}
		for _, n := range s.batches {
			if n > maxBatch {
				t.Errorf("a batch has %d records", n)
			}
		}
		if s.closed != 1 || dropped.Load() != 0 {
			t.Errorf("the sink was closed %d times, %d records were lost", s.closed, dropped.Load())
		}
	})
}

// TestFullQueue: what has no room is counted, and what has is written in order.
func TestFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &sink{write: func(context.Context) error { <-release; return nil }}
		var dropped atomic.Int64
		var log bytes.Buffer
		c := config(s, &log, &dropped)
		c.Queue = 10
		w := New(c)
		w.Request(request(0))
		synctest.Wait() // the sink has the first
		for i := 1; i < 18; i++ {
			w.Request(request(i))
		}
		if got := dropped.Load(); got != 7 {
			t.Errorf("%d were dropped, want 7", got)
		}
		close(release)
		w.Close(t.Context())
		if diff := cmp.Diff(ids(0, 11), s.ids); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]int{1, 10}, s.batches); diff != "" {
			t.Error(diff)
		}
		if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "records=7") || !strings.Contains(got, "full") {
			t.Errorf("log: %s", got)
		}
	})
}

// TestFailingSink: a failure loses its batch only, and does not flood the log.
func TestFailingSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		s := &sink{write: func(context.Context) error {
			if calls++; calls <= 5 {
				return errors.New("no space")
			}
			return nil
		}}
		var dropped atomic.Int64
		var log bytes.Buffer
		w := New(config(s, &log, &dropped))
		for i := range 6 {
			w.Request(request(i))
			time.Sleep(25 * time.Second) // of the bubble: reports at 0 s and 75 s, the rest at the end
		}
		w.Close(t.Context())
		if diff := cmp.Diff(ids(5, 6), s.ids); diff != "" || dropped.Load() != 5 {
			t.Errorf("%d lost; %s", dropped.Load(), diff)
		}
		var reports []string
		for line := range strings.Lines(log.String()) {
			_, report, _ := strings.Cut(line, "records=")
			reports = append(reports, report)
		}
		want := []string{"1 error=\"no space\"\n", "3 error=\"no space\"\n", "1 error=\"no space\"\n"}
		if diff := cmp.Diff(want, reports); diff != "" {
			t.Error(diff)
		}
	})
}

// part is the error of a sink that lost some of a batch.
type part int

func (p part) Error() string { return "in part" }
func (p part) Lost() int     { return int(p) }

func TestPartOfABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		batches := 0
		s := &sink{write: func(context.Context) error { batches++; return fmt.Errorf("sink: %w", part(2)) }}
		var dropped atomic.Int64
		w := New(config(s, t.Output(), &dropped))
		for i := range 3 {
			w.Request(request(i))
		}
		w.Close(t.Context())
		if got := dropped.Load(); batches == 0 || got != int64(2*batches) {
			t.Errorf("%d lost of %d batches, want 2 of each", got, batches)
		}
	})
}

// TestCloseInTime: a sink that hangs is told when there is no more time.
func TestCloseInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{write: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		var dropped atomic.Int64
		w := New(config(s, t.Output(), &dropped))
		for i := range 3 {
			w.Request(request(i))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		w.Close(ctx)
		if ctx.Err() == nil || dropped.Load() != 3 || s.closed != 1 {
			t.Errorf("%v, %d lost, closed %d times", ctx.Err(), dropped.Load(), s.closed)
		}
	})
}

// TestLongPaths: a batch of large records is cut short of a thousand.
func TestLongPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		var dropped atomic.Int64
		w := New(config(s, t.Output(), &dropped))
		for i := range 100 {
			r := request(i)
			r.Path = strings.Repeat("\x01", 60_000)
			w.Request(r)
		}
		w.Close(t.Context())
		for _, n := range s.batches {
			if n > 3 {
				t.Errorf("a batch has %d records of 360 kB", n)
			}
		}
		if diff := cmp.Diff(ids(0, 100), s.ids); diff != "" {
			t.Error(diff)
		}
	})
}

type file struct {
	bytes.Buffer
	closed bool
}

func (f *file) Close() error { f.closed = true; return nil }

func TestLines(t *testing.T) {
	batch := []Entry{{JSON: []byte(`{"a":1}`)}, {JSON: []byte(`{"b":2}`)}}
	var stream bytes.Buffer
	var f file
	for _, s := range []Sink{Stream(&stream), File(&f)} {
		for range 2 {
			if err := s.Write(t.Context(), batch); err != nil {
				t.Error(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	const want = "{\"a\":1}\n{\"b\":2}\n{\"a\":1}\n{\"b\":2}\n"
	if stream.String() != want || f.String() != want || !f.closed {
		t.Errorf("the stream has %q, the file %q; closed: %v", stream.String(), f.String(), f.closed)
	}
}

// BenchmarkRequest is what a request pays for its record: at most a send and a
// receive.
func BenchmarkRequest(b *testing.B) {
	w := &Writer{queue: make(chan *event.Request, defaultQueue)}
	r := answered()
	b.ReportAllocs()
	for b.Loop() {
		w.Request(r)
		<-w.queue
	}
}

// BenchmarkThroughput is the whole way of a record to its stream, none lost.
func BenchmarkThroughput(b *testing.B) {
	w := New(Config{Sink: Stream(io.Discard), Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	r := answered()
	b.SetBytes(int64(len(appendRecord(nil, r))))
	b.ReportAllocs()
	for b.Loop() {
		w.queue <- r
	}
	w.Close(b.Context())
	if w.lost.Load() != 0 {
		b.Error("records were lost")
	}
}
