package accesslog

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"headwater/internal/event"
)

const (
	defaultQueue = 65536
	maxBatch     = 1000    // records
	maxBatchSize = 1 << 20 // bytes, after which no record is added
	reportEvery  = time.Minute
)

var errFull = errors.New("the queue was full")

// Config says where the records go.
type Config struct {
	Sink  Sink // the Writer closes it
	Queue int  // how many requests may wait for the sink, 0 for 65536
	Now   func() time.Time
	Log   *slog.Logger // is told of lost records, at most once a minute

	// OnDrop, unless nil, is told how many records have been lost, because the
	// queue was full or the sink failed. It is called on the way of a request and
	// must not block.
	OnDrop func(n int)
}

// Writer makes records of requests and writes them in the background.
type Writer struct {
	c     Config
	queue chan *event.Request
	lost  atomic.Int64 // records, in all

	stop   chan struct{}
	ending sync.Once
	ctx    context.Context // of the sink's writes
	cancel context.CancelFunc
	done   chan struct{}
	err    error // of closing the sink, once done

	// The goroutine's own.
	buf      []byte
	batch    []Entry
	reported int64     // of the lost
	quiet    time.Time // until when nothing is reported
	failure  error     // of the sink, the last since a report
}

// New starts a Writer. Close ends it.
func New(c Config) *Writer {
	if c.Queue == 0 {
		c.Queue = defaultQueue
	}
	if c.OnDrop == nil {
		c.OnDrop = func(int) {}
	}
	w := &Writer{
		c:     c,
		queue: make(chan *event.Request, c.Queue),
		stop:  make(chan struct{}),
		done:  make(chan struct{}),
	}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	go w.run()
	return w
}

// Request takes an answered request, if its container's access logging is on. It
// never waits: when the queue is full, the record is lost and counted.
func (w *Writer) Request(r *event.Request) {
	if !r.Logged {
		return
	}
	select {
	case w.queue <- r:
	default:
		w.lose(1)
	}
}

// Close writes the records of all requests taken so far, and closes the sink.
// Requests that come later may be lost. When ctx ends first, the sink's writes are
// told to give up.
func (w *Writer) Close(ctx context.Context) error {
	w.ending.Do(func() { close(w.stop) })
	defer context.AfterFunc(ctx, w.cancel)()
	<-w.done
	return w.err
}

func (w *Writer) run() {
	defer close(w.done)
	defer w.cancel()
	for {
		select {
		case r := <-w.queue:
			w.write(r)
		case <-w.stop:
			w.finish()
			return
		}
	}
}

// finish writes what waits, and closes the sink.
func (w *Writer) finish() {
	for {
		select {
		case r := <-w.queue:
			w.write(r)
		default:
			w.quiet = time.Time{}
			w.report(nil)
			w.err = w.c.Sink.Close()
			return
		}
	}
}

// write hands the sink a batch that begins with r.
func (w *Writer) write(r *event.Request) {
	w.gather(r)
	err := w.c.Sink.Write(w.ctx, w.batch)
	if err != nil {
		w.lose(lostOf(err, len(w.batch)))
	}
	w.report(err)
}

// lostOf returns how many records of a batch are lost by a sink's error.
func lostOf(err error, batch int) int {
	var part interface{ Lost() int }
	if errors.As(err, &part) {
		return part.Lost()
	}
	return batch
}

// gather makes a batch of r and what waits behind it. Entries stay good when the
// buffer grows: they keep the one that they were written to.
func (w *Writer) gather(r *event.Request) {
	w.buf, w.batch = w.buf[:0], w.batch[:0]
	for {
		start := len(w.buf)
		w.buf = appendRecord(w.buf, r)
		w.batch = append(w.batch, Entry{r.Account, r.Container, r.Received, w.buf[start:len(w.buf):len(w.buf)]})
		if len(w.batch) == maxBatch || len(w.buf) >= maxBatchSize {
			return
		}
		select {
		case r = <-w.queue:
		default:
			return
		}
	}
}

func (w *Writer) lose(n int) {
	w.lost.Add(int64(n))
	w.c.OnDrop(n)
}

// report logs how many records were lost since the last report, unless that was
// just now. The requests cannot: a log may block.
func (w *Writer) report(err error) {
	if err != nil {
		w.failure = err
	}
	lost, now := w.lost.Load(), w.c.Now()
	if lost == w.reported || now.Before(w.quiet) {
		return
	}
	cause := w.failure
	if cause == nil {
		cause = errFull
	}
	w.c.Log.Error("access log records were lost", "records", lost-w.reported, "error", cause)
	w.reported, w.quiet, w.failure = lost, now.Add(reportEvery), nil
}
