package eventsapi

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/access"
	"headwater/internal/engine"
	"headwater/internal/engine/memory"
	"headwater/internal/event"
	"headwater/internal/httpapi"
	"headwater/internal/mediastore"
	"headwater/internal/telemetry/notify"
)

const account = "111122223333"

// server is the edge over the memory engine, with one container per name.
type server struct {
	t      *testing.T
	engine *memory.Engine
	api    *API
	handle http.Handler
}

func newServer(t *testing.T, names ...mediastore.ContainerName) *server {
	t.Helper()
	s := &server{t: t, engine: memory.New()}
	t.Cleanup(func() { s.engine.Close() })
	for _, name := range names {
		err := s.engine.CreateContainer(t.Context(), mediastore.Container{
			Account: account, Name: name, ID: id(name), Status: mediastore.StatusActive, CreatedAt: time.Unix(0, 0),
		}, 0)
		if err != nil {
			t.Fatal(err)
		}
	}
	s.api = New(Config{
		Access: access.New(access.Config{Account: account, Region: "us-east-1", Root: access.Key{ID: "AKIDROOT", Secret: "secret"}, Now: time.Now}),
		Log:    s.engine, Streams: 3, Now: time.Now,
		Render: &notify.Renderer{Region: "us-east-1", Endpoint: func(id mediastore.ContainerID) string { return "http://origin/" + string(id) }},
	})
	adapter := &httpapi.Adapter{Log: slog.New(slog.DiscardHandler), Now: time.Now}
	s.handle = adapter.Wrap("events", s.api.Handle, WriteError)
	return s
}

func id(name mediastore.ContainerName) mediastore.ContainerID {
	return mediastore.ContainerID(fmt.Sprintf("%014s", name))
}

func (s *server) put(name mediastore.ContainerName, path mediastore.Path) {
	s.t.Helper()
	u, err := s.engine.NewUpload(s.t.Context(), id(name), engine.UploadSpec{Path: path, Size: 0})
	if err != nil {
		s.t.Fatal(err)
	}
	defer u.Close()
	if err := u.Commit(s.t.Context(), mediastore.Object{Path: path, ETag: mediastore.ETag(path)}, mediastore.Precondition{At: time.Unix(0, 0)}); err != nil {
		s.t.Fatal(err)
	}
}

// listen starts the edge on a port.
func (s *server) listen() string {
	front := httptest.NewServer(s.handle)
	s.t.Cleanup(func() { s.api.Close(); front.Close() })
	return front.URL
}

// message is what a browser would dispatch.
type message struct{ ID, Name, Data string }

// reader reads a stream line by line, as the standard says (section 9.2.6).
type reader struct {
	t     *testing.T
	res   *http.Response
	lines *bufio.Reader
	last  string // the last event ID
	beats int    // comments
}

func (s *server) open(url string, change func(*http.Request)) *reader {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.SetBasicAuth("AKIDROOT", "secret")
	if change != nil {
		change(r)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("Cache-Control") != "no-store" {
		s.t.Fatalf("%s %v", res.Status, res.Header)
	}
	return &reader{t: s.t, res: res, lines: bufio.NewReader(res.Body)}
}

// next returns the next message, or io.EOF at an end that is in order.
func (r *reader) next() (m message, err error) {
	for {
		line, err := r.lines.ReadString('\n')
		if err != nil {
			return m, err
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch {
		case name == "" && value != "":
			r.beats++
		case name == "id":
			r.last = value
		case name == "event":
			m.Name = value
		case name == "data":
			m.Data = value
		case name == "" && m.Data != "":
			m.ID = r.last
			return m, nil
		}
	}
}

// take returns what the next n messages are of, in short.
func (r *reader) take(n int) (all []string) {
	r.t.Helper()
	for range n {
		m, err := r.next()
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(all, short(m))
	}
	return all
}

func short(m message) string {
	if m.Name == gap {
		return m.ID + " gap " + m.Data
	}
	_, path, _ := strings.Cut(m.Data, `:container/`)
	path, _, _ = strings.Cut(path, `"`)
	return m.ID + " " + m.Name + " " + path
}

func TestStream(t *testing.T) {
	s := newServer(t, "movies", "news")
	s.put("movies", "before")
	r := s.open(s.listen(), nil)
	for r.last == "" { // until it has begun
		line, err := r.lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		r.last, _ = strings.CutPrefix(strings.TrimSuffix(line, "\n"), "id: ")
		if strings.HasPrefix(r.last, ":") {
			r.last = ""
		}
	}
	if r.last != "3" {
		t.Errorf("the stream begins at %s", r.last)
	}
	s.put("movies", "a/b.ts")
	m, err := r.next()
	e := event.Event{Kind: event.ObjectUpdated, ContainerID: id("movies"), Path: "a/b.ts", ETag: "a/b.ts"}
	want := message{ID: "4", Name: "object-state-change", Data: `{"version":"1","id":"` + e.ID() + `","detail-type":"MediaStore Object State Change","source":"aws.mediastore",` +
		`"account":"111122223333","time":"1970-01-01T00:00:00Z","region":"us-east-1","resources":["arn:aws:mediastore:us-east-1:111122223333:container/movies/a/b.ts"],` +
		`"detail":{"ContainerName":"movies","Operation":"UPDATE","Path":"a/b.ts","ObjectSize":0,"URL":"http://origin/00000000movies/a/b.ts"}}`}
	if diff := cmp.Diff(want, m); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func TestPlacesAndFilters(t *testing.T) {
	s := newServer(t, "movies", "news")
	for _, path := range []mediastore.Path{"a/1", "b/2", "a/3"} {
		s.put("movies", path)
		s.put("news", path)
	}
	url := s.listen()
	for _, test := range []struct {
		query, last string
		want        []string
	}{
		{"?after=0", "", []string{"1 container-state-change movies", "2 container-state-change news", "3 object-state-change movies/a/1"}},
		{"?after=6", "", []string{"7 object-state-change movies/a/3", "8 object-state-change news/a/3"}},
		{"", "7", []string{"8 object-state-change news/a/3"}},
		{"?after=1", "6", []string{"7 object-state-change movies/a/3"}},
		{"?after=0&container=news", "", []string{"2 container-state-change news", "4 object-state-change news/a/1", "6 object-state-change news/b/2", "8 object-state-change news/a/3"}},
		{"?after=0&container=news&container=movies&prefix=a/3", "", []string{"7 object-state-change movies/a/3", "8 object-state-change news/a/3"}},
		{"?after=0&prefix=/b/&X-Amz-Date=x", "", []string{"5 object-state-change movies/b/2", "6 object-state-change news/b/2"}},
		{"?after=99", "", []string{`8 gap {"missed":0}`}},
	} {
		func() {
			r := s.open(url+"/-/events"+test.query, func(r *http.Request) {
				if test.last != "" {
					r.Header.Set("Last-Event-ID", test.last)
				}
			})
			defer r.res.Body.Close()
			if diff := cmp.Diff(test.want, r.take(len(test.want))); diff != "" {
				t.Errorf("%s, %s:\n%s", test.query, test.last, diff)
			}
		}()
	}
}

func TestGap(t *testing.T) {
	s := newServer(t, "movies")
	for i := range 9 {
		s.put("movies", mediastore.Path(fmt.Sprint("o", i)))
	}
	if err := s.engine.TrimEvents(t.Context(), 8); err != nil {
		t.Fatal(err)
	}
	r := s.open(s.listen()+"?after=3", nil)
	if diff := cmp.Diff([]string{`8 gap {"missed":5}`, "9 object-state-change movies/o7"}, r.take(2)); diff != "" {
		t.Error(diff)
	}
}

// TestOtherAccounts: nobody is told of a container of another account.
func TestOtherAccounts(t *testing.T) {
	q := &query{account: account}
	if q.wants(&event.Event{Account: "999922223333"}) || !q.wants(&event.Event{Account: account}) {
		t.Error("the account is not looked at")
	}
}

func TestRefusals(t *testing.T) {
	s := newServer(t)
	root := func(r *http.Request) { r.SetBasicAuth("AKIDROOT", "secret") }
	for _, test := range []struct {
		method, query string
		change        func(*http.Request)
		status        int
		header, text  string
	}{
		{"GET", "", func(*http.Request) {}, 401, `WWW-Authenticate: Basic realm="headwater", charset="UTF-8"`, "must be signed"},
		{"GET", "", func(r *http.Request) { r.SetBasicAuth("AKIDROOT", "wrong") }, 403, "", "secret"},
		{"GET", "", func(r *http.Request) { r.SetBasicAuth("AKIDOTHER", "secret") }, 403, "", "does not exist"},
		{"POST", "", root, 405, "Allow: GET, HEAD", "GET or HEAD"},
		{"OPTIONS", "", func(*http.Request) {}, 405, "Allow: GET, HEAD", ""},
		{"GET", "?after=-1", root, 400, "", "after: must be the position"},
		{"GET", "?after=99999999999999999999", root, 400, "", "after"},
		{"GET", "", func(r *http.Request) { root(r); r.Header.Set("Last-Event-ID", "x") }, 400, "", "Last-Event-ID: must be"},
		{"GET", "?container=a/b", root, 400, "", "container: must be the name"},
		{"GET", "?container=", root, 400, "", "container"},
		{"GET", "?" + strings.Repeat("container=a&", 101), root, 400, "", "at most 100"},
		{"GET", "?prefix=" + strings.Repeat("p", 1025), root, 400, "", "prefix: must have at most"},
		{"HEAD", "", root, 200, "Content-Type: text/event-stream", ""},
		{"HEAD", "?after=x", root, 400, "", ""},
	} {
		r := httptest.NewRequest(test.method, "/-/events"+test.query, nil)
		test.change(r)
		w := httptest.NewRecorder()
		s.handle.ServeHTTP(w, r)
		name, value, _ := strings.Cut(test.header, ": ")
		if w.Code != test.status || w.Header().Get(name) != value || !strings.Contains(w.Body.String(), test.text) {
			t.Errorf("%s %.40s: %d %v %s", test.method, test.query, w.Code, w.Header(), w.Body)
		}
	}
}

// TestKinds: every kind has an answer, and only what is ours to explain is
// explained.
func TestKinds(t *testing.T) {
	adapter := &httpapi.Adapter{Log: slog.New(slog.DiscardHandler), Now: time.Now}
	for _, kind := range mediastore.Kinds() {
		w := httptest.NewRecorder()
		fails := func(*httpapi.Response, *http.Request) error { return mediastore.Errorf(kind, "a secret of the disk") }
		adapter.Wrap("events", fails, WriteError).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/-/events", nil))
		_, known := statuses[kind]
		if shown := strings.Contains(w.Body.String(), "secret"); shown != known || known == (w.Code == 500) || w.Body.Len() == 0 {
			t.Errorf("%v: %d %s", kind, w.Code, w.Body)
		}
	}
}

func TestStreamsAreBounded(t *testing.T) {
	s := newServer(t, "movies")
	url := s.listen()
	streams := []*reader{s.open(url+"?after=0", nil), s.open(url+"?after=0", nil), s.open(url+"?after=0", nil)}
	get := func() int {
		r, _ := http.NewRequest(http.MethodGet, url, nil)
		r.SetBasicAuth("AKIDROOT", "secret")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	if got := get(); got != http.StatusServiceUnavailable {
		t.Fatalf("a fourth stream: %d", got)
	}
	streams[0].res.Body.Close()
	for get() != http.StatusOK { // as soon as the server has seen it
	}
	streams[1].take(1)
}

// TestClose ends streams as if they were complete.
func TestClose(t *testing.T) {
	s := newServer(t, "movies")
	url := s.listen()
	r := s.open(url+"?after=0", nil)
	r.take(1)
	s.api.Close()
	if m, err := r.next(); !errors.Is(err, io.EOF) {
		t.Errorf("%v, %v", m, err)
	}
	w := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodGet, "/-/events", nil)
	req.SetBasicAuth("AKIDROOT", "secret")
	if s.handle.ServeHTTP(w, req); w.Code != http.StatusServiceUnavailable {
		t.Errorf("after the end: %d", w.Code)
	}
}

// TestHeartbeat runs a stream in a bubble, over a pipe for its connection.
func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, "movies")
		ours, theirs := net.Pipe()
		done := serveOne(s, theirs)
		fmt.Fprint(ours, "GET /-/events?prefix=none HTTP/1.1\r\nHost: h\r\nAuthorization: Basic QUtJRFJPT1Q6c2VjcmV0\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(ours), nil)
		if err != nil {
			t.Fatal(err)
		}
		r := &reader{t: t, res: res, lines: bufio.NewReader(res.Body)}
		begin := time.Now()
		go func() {
			for time.Since(begin) < time.Minute { // what does not concern the client is no sign of life
				s.put("movies", "other")
				time.Sleep(time.Second)
			}
			time.Sleep(16 * time.Second)
			s.api.Close()
		}()
		if _, err := r.next(); !errors.Is(err, io.EOF) {
			t.Errorf("%v", err)
		}
		if r.beats < 5 || r.beats > 8 || r.last != "61" {
			t.Errorf("%d signs of life in %v, the last at %s", r.beats, time.Since(begin), r.last)
		}
		ours.Close()
		<-done
	})
}

// TestSlowClient is cut off: it does not hold a stream for ever.
func TestSlowClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, "movies")
		ours, theirs := net.Pipe() // which holds nothing
		defer ours.Close()
		done := serveOne(s, theirs)
		fmt.Fprint(ours, "GET /-/events?after=0 HTTP/1.1\r\nHost: h\r\nAuthorization: Basic QUtJRFJPT1Q6c2VjcmV0\r\n\r\n")
		begin := time.Now()
		<-done
		if took := time.Since(begin); took != writeTimeout || s.api.open.Load() != 0 {
			t.Errorf("after %v there are %d streams", took, s.api.open.Load())
		}
	})
}

// serveOne serves a connection until it is closed.
func serveOne(s *server, conn net.Conn) <-chan struct{} {
	done := make(chan struct{})
	server := &http.Server{Handler: s.handle, ConnState: func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			close(done)
		}
	}}
	l := &oneConn{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
	l.conns <- conn
	go server.Serve(l)
	s.t.Cleanup(func() { server.Close() })
	return done
}

// oneConn is a listener that has one connection to give.
type oneConn struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error   { close(l.closed); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

func FuzzParse(f *testing.F) {
	f.Add("after=1&container=a&prefix=b/c", "")
	f.Add("after=&container=%zz", "18446744073709551615")
	f.Add("prefix=/", "x")
	f.Fuzz(func(t *testing.T, query, last string) {
		r := &http.Request{Header: http.Header{"Last-Event-Id": {last}}}
		var err error
		if r.URL, err = r.URL.Parse("http://h/"); err != nil {
			return
		}
		r.URL.RawQuery = query
		q, err := parse(r)
		if err != nil {
			if !mediastore.IsKind(err, mediastore.KindInvalid) {
				t.Fatalf("%v", err)
			}
			return
		}
		if len(q.containers) > maxContainers || len(q.prefix) > maxPrefix || !q.resumes && q.after != 0 {
			t.Fatalf("%+v", q)
		}
	})
}

func BenchmarkEvent(b *testing.B) {
	s := &stream{}
	render := &notify.Renderer{Region: "us-east-1", Endpoint: func(id mediastore.ContainerID) string { return "http://origin/" + string(id) }}
	e := event.Event{Kind: event.ObjectUpdated, ContainerID: "00000000movies", Path: "live/a.ts"}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.event(&e, render); err != nil {
			b.Fatal(err)
		}
		s.held.Reset()
	}
}
