package loadtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// store is a small server that can be told to do badly. It is a RoundTripper, for
// tests whose time is not real, and a Handler.
type store struct {
	delay func(r *http.Request) time.Duration // before anything is done; may be nil
	spoil func(r *http.Request, a *answer)    // an answer to a GET; may be nil
	deny  func(r *http.Request) int           // status instead of doing it, 0 for none; may be nil
	lag   time.Duration                       // until what was uploaded is seen by followers
	blind bool                                // nothing can be read while it is uploaded

	mu       sync.Mutex
	objects  map[string]*object
	previous map[string]*object
	requests int
}

// object may be growing.
type object struct {
	mu            sync.Mutex
	grown         *sync.Cond
	data          []byte
	ended, broken bool
}

// answer is what a GET is about to be answered.
type answer struct {
	status      int
	body        io.Reader
	now, before *object // versions of the object
	all         func(path string) *object
}

func newStore() *store {
	return &store{objects: map[string]*object{}, previous: map[string]*object{}}
}

func (s *store) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	if s.delay != nil {
		if err := pause(r.Context(), s.delay(r)); err != nil {
			return nil, err
		}
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if s.deny != nil {
		if status := s.deny(r); status != 0 {
			return reply(status, strings.NewReader("because")), nil
		}
	}
	switch r.Method {
	case http.MethodPut:
		return s.put(r)
	case http.MethodGet:
		return s.get(r), nil
	default:
		return s.delete(r), nil
	}
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, err := s.RoundTrip(r)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(a.StatusCode)
	buf := make([]byte, 4096)
	for {
		n, err := a.Body.Read(buf)
		w.Write(buf[:n])
		http.NewResponseController(w).Flush()
		if err == io.EOF {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func reply(status int, body io.Reader) *http.Response {
	a := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(body)}
	if status >= 400 {
		a.Header.Set("X-Amzn-Errortype", fmt.Sprintf("Code%cException:http://x/", 'A'+status%26))
	}
	return a
}

func (s *store) put(r *http.Request) (*http.Response, error) {
	o := &object{}
	o.grown = sync.NewCond(&o.mu)
	if r.Header.Get("X-Amz-Upload-Availability") == "STREAMING" && !s.blind {
		s.show(r.URL.Path, o)
	}
	buf := make([]byte, 4096)
	for {
		n, err := r.Body.Read(buf)
		o.grow(buf[:n], err == io.EOF)
		if err == io.EOF {
			break
		}
		if err != nil {
			s.breakOff(r.URL.Path, o)
			return nil, err
		}
	}
	s.show(r.URL.Path, o)
	return reply(http.StatusOK, strings.NewReader("{}")), nil
}

func (s *store) show(path string, o *object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if old := s.objects[path]; old != nil && old != o {
		s.previous[path] = old
	}
	s.objects[path] = o
}

// breakOff cuts the followers of an upload.
func (s *store) breakOff(path string, o *object) {
	s.mu.Lock()
	if s.objects[path] == o {
		delete(s.objects, path)
	}
	s.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.broken = true
	o.grown.Broadcast()
}

func (s *store) find(path string) *object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[path]
}

func (o *object) grow(p []byte, ended bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.data = append(o.data, p...)
	o.ended = ended
	o.grown.Broadcast()
}

// follower reads an object that may be growing.
type follower struct {
	*object
	lag time.Duration
	at  int
}

func (f *follower) Read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	waited := false
	for f.at == len(f.data) && !f.ended && !f.broken {
		f.grown.Wait()
		waited = true
	}
	if f.broken {
		return 0, io.ErrUnexpectedEOF
	}
	if f.at == len(f.data) {
		return 0, io.EOF
	}
	n := copy(p, f.data[f.at:])
	f.at += n
	if waited {
		f.mu.Unlock()
		time.Sleep(f.lag)
		f.mu.Lock()
	}
	return n, nil
}

func (s *store) get(r *http.Request) *http.Response {
	s.mu.Lock()
	o, before := s.objects[r.URL.Path], s.previous[r.URL.Path]
	s.requests++
	s.mu.Unlock()
	if o == nil {
		return reply(http.StatusNotFound, strings.NewReader(""))
	}
	a := &answer{status: http.StatusOK, body: &follower{object: o, lag: s.lag}, now: o, before: before, all: s.find}
	if s.spoil != nil {
		s.spoil(r, a)
	}
	return reply(a.status, a.body)
}

func (s *store) delete(r *http.Request) *http.Response {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.objects[r.URL.Path] == nil {
		return reply(http.StatusNotFound, strings.NewReader(""))
	}
	delete(s.objects, r.URL.Path)
	return reply(http.StatusOK, strings.NewReader("{}"))
}

func (s *store) left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.objects)
}

func isSegment(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, ".m4s") }

// brokenReader breaks off after what it has.
type brokenReader struct{ bytes.Reader }

func (b *brokenReader) Read(p []byte) (int, error) {
	if b.Len() == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	return b.Reader.Read(p)
}
