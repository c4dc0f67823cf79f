// Package httpapi is what the HTTP edges share: an adapter from handlers that
// return errors to http.Handler, request IDs, the panic guard, the log line of a
// request, and who sent it (behind trusted proxies too).
//
// It must not know any operation, nor a table from error kinds to codes: those
// belong to each edge.
package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"
)

// bodyTimeout is how long the body of a request may take that is not an upload.
const bodyTimeout = 10 * time.Second

// Handler answers one request, or returns why it cannot.
type Handler func(w *Response, r *http.Request) error

// ErrorWriter answers a request with an error, in the terms of its edge. It is
// not called when the answer has begun.
type ErrorWriter func(w *Response, r *http.Request, err error)

// Adapter turns Handlers into http.Handlers.
type Adapter struct {
	Log     *slog.Logger
	Proxies TrustedProxies
	Now     func() time.Time
	// Observe, unless nil, is told of every answer.
	Observe func(edge string, status int, took time.Duration)
}

// Wrap returns a handler that runs h, answers its error with fail, guards
// against panics and logs the request at debug level.
func (a *Adapter) Wrap(edge string, h Handler, fail ErrorWriter) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		start := a.Now()
		w := &Response{ResponseWriter: rw, ID: newRequestID(), Client: a.Proxies.Client(r), Received: start, now: a.Now, head: r.Method == http.MethodHead}
		w.Header()["x-amzn-RequestId"] = []string{w.ID}
		if r.ContentLength != 0 { // an upload sets its own, read by read
			_ = http.NewResponseController(rw).SetReadDeadline(start.Add(bodyTimeout))
		}
		err := a.run(h, w, r)
		if err != nil {
			a.fail(w, r, err, fail)
		}
		a.observe(edge, w, r, err)
		if err != nil && w.Broken {
			panic(http.ErrAbortHandler) // resets the connection; net/http does not log it
		}
	})
}

// run calls the handler and turns a panic into an internal error.
func (a *Adapter) run(h Handler, w *Response, r *http.Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			a.Log.Error("panic while answering a request", "request", w.ID, "method", r.Method, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
			err = errors.New("panic")
		}
	}()
	return h(w, r)
}

// fail answers err, or breaks the answer off when it has begun.
func (a *Adapter) fail(w *Response, r *http.Request, err error, write ErrorWriter) {
	if w.Status != 0 {
		w.Broken = true
		return
	}
	if r.ContentLength != 0 { // net/http reads on before it answers, and a client may send no more
		_ = http.NewResponseController(w).SetReadDeadline(a.Now().Add(time.Second))
	}
	write(w, r, err)
}

// observe tells of an answer that is complete, or broken off.
func (a *Adapter) observe(edge string, w *Response, r *http.Request, err error) {
	end := a.Now()
	if w.Answered != nil {
		w.Answered(end, err)
	}
	if a.Observe != nil {
		a.Observe(edge, w.Status, end.Sub(w.Received))
	}
	a.log(r.Context(), edge, w, r, end.Sub(w.Received), err)
}

func (a *Adapter) log(ctx context.Context, edge string, w *Response, r *http.Request, took time.Duration, err error) {
	level := slog.LevelDebug
	if err != nil && w.Status >= 500 {
		level = slog.LevelError
	}
	if !a.Log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("edge", edge),
		slog.String("request", w.ID),
		slog.String("method", r.Method),
		slog.String("path", r.URL.Path), // never the query: it may carry a signature
		slog.Int("status", w.Status),
		slog.Int64("sent", w.Sent),
		slog.Duration("took", took),
		slog.String("client", w.Client.IP.String()),
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err), slog.Bool("broken", w.Broken))
	}
	a.Log.LogAttrs(ctx, level, "request", attrs...)
}

// Response is the writer that a Handler gets. It remembers what was answered.
type Response struct {
	http.ResponseWriter
	ID        string    // of the request
	Client    Client    // who sent it
	Received  time.Time // the request's head had come
	Status    int       // 0 until the answer begins
	FirstByte time.Time // zero until the answer begins
	Sent      int64     // bytes of body
	Broken    bool      // the answer was begun and not completed
	// Answered, when a Handler sets it, is called at the end of the answer with
	// what the Handler returned.
	Answered func(end time.Time, err error)

	now  func() time.Time
	head bool // net/http takes the body of an answer to HEAD, and sends none
}

func (w *Response) begin(status int) {
	if w.Status == 0 {
		w.Status, w.FirstByte = status, w.now()
	}
}

// WriteHeader begins the answer.
func (w *Response) WriteHeader(status int) {
	w.begin(status)
	w.ResponseWriter.WriteHeader(status)
}

// Write sends bytes of the body.
func (w *Response) Write(p []byte) (int, error) {
	w.begin(http.StatusOK)
	n, err := w.ResponseWriter.Write(p)
	if !w.head {
		w.Sent += int64(n)
	}
	return n, err
}

// SendFile sends a run of a file, by the shortest way that the connection has.
func (w *Response) SendFile(section *FileSection) error {
	w.begin(http.StatusOK)
	to, ok := w.ResponseWriter.(io.ReaderFrom)
	if !ok {
		to = readerFrom{w.ResponseWriter}
	}
	n, err := to.ReadFrom(section)
	if !w.head {
		w.Sent += n
	}
	return err
}

// readerFrom reads from for a writer that cannot.
type readerFrom struct{ io.Writer }

func (w readerFrom) ReadFrom(r io.Reader) (int64, error) { return io.Copy(w.Writer, r) }

// Unwrap lets http.ResponseController reach the connection.
func (w *Response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

var requestIDs = base32.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567").WithPadding(base32.NoPadding)

// newRequestID names a request in answers and logs: 26 letters and digits.
func newRequestID() string {
	var b [16]byte
	rand.Read(b[:])
	return requestIDs.EncodeToString(b[:])
}
