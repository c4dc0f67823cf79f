// Package eventsapi is the edge of the live stream of changes: /-/events, as
// Server-Sent Events (HTML Living Standard, section 9.2).
//
// It owns the form of the stream and who may read it. What an event looks like
// lives in notify, what events there are in the engine's log. It must not know who
// makes them.
package eventsapi

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"headwater/internal/access"
	"headwater/internal/engine"
	"headwater/internal/event"
	"headwater/internal/httpapi"
	"headwater/internal/mediastore"
	"headwater/internal/telemetry/notify"
)

// action is what a caller must be allowed. MediaStore has no such thing, and no
// action of its prefix can come to mean it.
const action = "headwater:TailEvents"

// DefaultStreams is how many streams there may be at a time unless it is said.
const DefaultStreams = 100

const (
	heartbeat    = 15 * time.Second // at the latest after what was sent last
	writeTimeout = 10 * time.Second // for what is sent at a time
	readBatch    = 100              // events
)

// Config is what an API is made of. All fields are required.
type Config struct {
	Access  *access.Service
	Log     engine.Events
	Render  *notify.Renderer
	Streams int // at a time; further ones are answered 503
	Now     func() time.Time
}

// API is the edge.
type API struct {
	Config
	open   atomic.Int64 // streams
	ending context.Context
	end    context.CancelFunc
}

// New returns the edge.
func New(config Config) *API {
	a := &API{Config: config}
	a.ending, a.end = context.WithCancel(context.Background())
	return a
}

// Close ends all streams, in order, and lets no new one begin. Readers come back
// with the place that they know. It does not wait: the server does.
func (a *API) Close() { a.end() }

// Handle answers one request.
func (a *API) Handle(w *httpapi.Response, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return mediastore.Errorf(mediastore.KindMethodNotAllowed, "The method must be GET or HEAD")
	}
	caller, err := a.Access.Authenticate(r)
	if err != nil {
		return err
	}
	if err := a.Access.AuthorizeControl(caller, action); err != nil {
		return err
	}
	q, err := parse(r)
	if err != nil {
		return err
	}
	q.account = caller.Account
	if r.Method == http.MethodHead {
		begin(w)
		return nil
	}
	if a.open.Add(1) > int64(a.Streams) || a.ending.Err() != nil {
		a.open.Add(-1)
		return mediastore.Errorf(mediastore.KindUnavailable, "There are %d streams already, or the server is ending", a.Streams)
	}
	defer a.open.Add(-1)
	return a.stream(w, r, q)
}

func begin(w *httpapi.Response) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would wait for more
	w.WriteHeader(http.StatusOK)
}

// stream tells of changes until the client leaves, or is too slow, or the server
// ends.
func (a *API) stream(w *httpapi.Response, r *http.Request, q *query) error {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(a.ending, cancel)()
	tail := notify.Tail{Log: a.Log, After: q.after}
	lost, err := a.place(ctx, &tail, q)
	if err != nil {
		return err
	}
	w.Header().Set("Connection", "close") // its deadline is not for a next request
	begin(w)
	s := &stream{w: w, control: http.NewResponseController(w), now: a.Now}
	if lost {
		s.gap(tail.After, 0)
	}
	s.place(tail.After)
	for err := s.flush(); ; err = s.flush() {
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := a.more(ctx, s, &tail, q); err != nil {
			return err
		}
	}
}

// place decides where the stream begins: now, unless the client names a place. It
// reports whether that place is one of another log, which ours has not reached.
func (a *API) place(ctx context.Context, tail *notify.Tail, q *query) (lost bool, err error) {
	_, newest, err := a.Log.EventBounds(ctx)
	if err != nil {
		return false, err
	}
	if !q.resumes || q.after > newest {
		tail.After = newest
	}
	return q.resumes && q.after > newest, nil
}

// more waits for events, for as long as the client can do without a sign of life,
// and writes what concerns it.
func (a *API) more(ctx context.Context, s *stream, tail *notify.Tail, q *query) error {
	wait, cancel := context.WithTimeout(ctx, s.sent.Add(heartbeat).Sub(a.Now()))
	defer cancel()
	events, missed, err := tail.Next(wait, readBatch)
	if err != nil {
		if wait.Err() != nil {
			s.place(tail.After)
			return nil
		}
		return err
	}
	if missed > 0 {
		s.gap(events[0].Position-1, missed)
	}
	for i := range events {
		if q.wants(&events[i]) {
			if err := s.event(&events[i], a.Render); err != nil {
				return err
			}
		}
	}
	if s.held.Len() == 0 && wait.Err() != nil { // for long there was only what does not concern it
		s.place(tail.After)
	}
	return nil
}

// wants reports whether the query asks for an event.
func (q *query) wants(e *event.Event) bool {
	switch {
	case e.Account != q.account:
		return false
	case len(q.containers) > 0 && !q.containers[e.Container]:
		return false
	default:
		return hasPrefix(e.Path, q.prefix)
	}
}
