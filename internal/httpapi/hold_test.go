package httpapi_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"headwater/internal/httpapi"
)

// recorder is a connection that notes what reaches it.
type recorder struct {
	net.Conn
	writes    []string
	deadlines int
	closed    bool
}

func (r *recorder) Write(p []byte) (int, error) {
	r.writes = append(r.writes, string(p))
	return len(p), nil
}
func (r *recorder) Read([]byte) (int, error)         { return 0, io.EOF }
func (r *recorder) SetWriteDeadline(time.Time) error { r.deadlines++; return nil }
func (r *recorder) Close() error                     { r.closed = true; return nil }
func (r *recorder) Accept() (net.Conn, error)        { return r, nil }
func (r *recorder) Addr() net.Addr                   { return nil }
func (r *recorder) want(t *testing.T, what ...string) {
	t.Helper()
	if !slices.Equal(r.writes, what) {
		t.Errorf("%d writes reached the connection, want %d", len(r.writes), len(what))
	}
}

// recorded returns a connection over a recorder, and a request that came by it.
func recorded(t *testing.T, l *httpapi.Listener) (*recorder, net.Conn, *http.Request) {
	t.Helper()
	r := &recorder{}
	l.Listener = r
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return r, c, request(t, c)
}

func request(t *testing.T, c net.Conn) *http.Request {
	return httptest.NewRequest(http.MethodGet, "/", nil).WithContext(httpapi.ConnContext(t.Context(), c))
}

func write(t *testing.T, c net.Conn, pieces ...string) {
	t.Helper()
	for _, p := range pieces {
		if n, err := io.WriteString(c, p); n != len(p) || err != nil {
			t.Fatalf("a write of %d bytes: %d, %v", len(p), n, err)
		}
	}
}

func TestHold(t *testing.T) {
	for name, end := range map[string]func(net.Conn, *http.Request) error{
		"a read":     func(c net.Conn, _ *http.Request) error { _, _ = c.Read(nil); return nil },
		"release":    func(_ net.Conn, r *http.Request) error { return httpapi.Release(r) },
		"close":      func(c net.Conn, _ *http.Request) error { return c.Close() },
		"half close": func(c net.Conn, _ *http.Request) error { return c.(interface{ CloseWrite() error }).CloseWrite() },
	} {
		to, c, r := recorded(t, &httpapi.Listener{Now: time.Now})
		write(t, c, "before")
		httpapi.Hold(r)
		write(t, c, "head", "body", "")
		to.want(t, "before")
		if err := end(c, r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		to.want(t, "before", "headbody")
		write(t, c, "after")
		to.want(t, "before", "headbody", "after")
	}
}

// TestHoldIsBounded: what does not fit goes out at once, in order.
func TestHoldIsBounded(t *testing.T) {
	to, c, r := recorded(t, &httpapi.Listener{Now: time.Now})
	var sent bytes.Buffer
	for i := range 40 {
		httpapi.Hold(r)
		piece := bytes.Repeat([]byte{byte('a' + i%26)}, 7000)
		sent.Write(piece)
		write(t, c, string(piece))
	}
	c.Close()
	var got bytes.Buffer
	for _, w := range to.writes {
		if got.WriteString(w); len(w) > 80<<10 {
			t.Errorf("a write of %d bytes", len(w))
		}
	}
	if !bytes.Equal(got.Bytes(), sent.Bytes()) || !to.closed {
		t.Errorf("%d of %d bytes were sent, or in another order; closed %v", got.Len(), sent.Len(), to.closed)
	}
}

// TestNothingIsHeldInHTTP2, where the connection is being read already when an
// answer begins, so that nothing would ever release it.
func TestNothingIsHeldInHTTP2(t *testing.T) {
	to, c, r := recorded(t, &httpapi.Listener{Now: time.Now})
	r.ProtoMajor = 2
	httpapi.Hold(r)
	write(t, c, "a frame")
	to.want(t, "a frame")
}

// TestOthersConnections have no Hold, and that is all.
func TestOthersConnections(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	httpapi.Hold(r)
	if err := httpapi.Release(r); err != nil {
		t.Error(err)
	}
}

func TestSendIdle(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r, c, _ := recorded(t, &httpapi.Listener{SendIdle: 30 * time.Second, Now: func() time.Time { return now }})
	for range 100 {
		write(t, c, "x")
	}
	if r.deadlines != 1 {
		t.Errorf("within a moment the deadline was set %d times", r.deadlines)
	}
	now = now.Add(1100 * time.Millisecond)
	write(t, c, "x")
	if r.deadlines != 2 {
		t.Errorf("after a second it was set %d times", r.deadlines)
	}
	if err := c.SetWriteDeadline(time.Time{}); err != nil || r.deadlines != 2 {
		t.Errorf("it was taken off: %d, %v", r.deadlines, err)
	}
	if err := c.SetWriteDeadline(now); err != nil || r.deadlines != 3 {
		t.Errorf("a deadline of somebody else's: %d, %v", r.deadlines, err)
	}
}

// file is a file of bytes that differ at every offset.
func file(t *testing.T, size int) (*os.File, []byte) {
	t.Helper()
	content := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(content)
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, content
}

// TestSendFile sends sections of a file over every kind of connection there is.
func TestSendFile(t *testing.T) {
	f, content := file(t, 3<<20+17)
	adapter := &httpapi.Adapter{Log: slog.New(slog.DiscardHandler), Now: time.Now}
	handler := adapter.Wrap("test", func(w *httpapi.Response, r *http.Request) error {
		from, _ := strconv.Atoi(r.URL.Query().Get("from"))
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		w.Header().Set("Content-Length", strconv.Itoa(n+1))
		if _, err := io.WriteString(w, "!"); err != nil {
			return err
		}
		err := w.SendFile(&httpapi.FileSection{File: f, FD: f.Fd(), Offset: int64(from), Length: int64(n)})
		if w.Sent != int64(n)+1 && r.Method == http.MethodGet {
			t.Errorf("%d bytes were counted", w.Sent)
		}
		return err
	}, func(w *httpapi.Response, _ *http.Request, _ error) { w.WriteHeader(http.StatusTeapot) })

	for name, begin := range map[string]func(*httptest.Server){
		"plain":  (*httptest.Server).Start,
		"TLS":    func(s *httptest.Server) { s.TLS = &tls.Config{NextProtos: []string{"http/1.1"}}; s.StartTLS() },
		"HTTP/2": func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() },
	} {
		s := httptest.NewUnstartedServer(handler)
		s.Listener = &httpapi.Listener{Listener: s.Listener, SendIdle: time.Minute, Now: time.Now}
		s.Config.ConnContext = httpapi.ConnContext
		begin(s)
		for _, part := range [][2]int{{0, len(content)}, {0, 1}, {5000, 100_000}, {1 << 20, 2 << 20}, {len(content) - 1, 1}} {
			res, err := s.Client().Get(s.URL + "/?from=" + strconv.Itoa(part[0]) + "&n=" + strconv.Itoa(part[1]))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(res.Body)
			res.Body.Close()
			want := append([]byte("!"), content[part[0]:part[0]+part[1]]...)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s, %d bytes from %d: got %d bytes, %v", name, part[1], part[0], len(got), err)
			}
		}
		s.Close()
	}
}

// TestFileThatIsTooShort is a broken answer, never a shorter one.
func TestFileThatIsTooShort(t *testing.T) {
	f, _ := file(t, 100_000)
	adapter := &httpapi.Adapter{Log: slog.New(slog.DiscardHandler), Now: time.Now}
	s := httptest.NewUnstartedServer(adapter.Wrap("test", func(w *httpapi.Response, _ *http.Request) error {
		w.Header().Set("Content-Length", "200000")
		w.WriteHeader(http.StatusOK)
		return w.SendFile(&httpapi.FileSection{File: f, FD: f.Fd(), Length: 200_000})
	}, nil))
	s.Listener = &httpapi.Listener{Listener: s.Listener, Now: time.Now}
	s.Start()
	defer s.Close()
	res, err := http.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err == nil || len(b) != 100_000 {
		t.Errorf("got %d bytes, %v", len(b), err)
	}
}
