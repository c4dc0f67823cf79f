package demo

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// request is what a server saw.
type request struct {
	Method, Path, ContentType, CacheControl, User, Password, Body string
	Length                                                        int64
}

// serve answers each request with status and reason, and returns a client of a
// container there and where the last request is kept.
func serve(t *testing.T, status int, reason string) (*Client, *request) {
	t.Helper()
	last := &request{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		user, password, _ := r.BasicAuth()
		*last = request{r.Method, r.URL.Path, r.Header.Get("Content-Type"), r.Header.Get("Cache-Control"), user, password, string(body), r.ContentLength}
		w.WriteHeader(status)
		io.WriteString(w, reason)
	}))
	t.Cleanup(server.Close)
	return &Client{Endpoint: server.URL + "/abcdefghijklmn", AccessKey: "AKIDEXAMPLE", Secret: "secret:with colon", HTTP: server.Client()}, last
}

func TestClientPut(t *testing.T) {
	c, last := serve(t, http.StatusOK, `{"ETag":"00"}`)
	if err := c.Put(t.Context(), "live/a.m3u8", File{playlistType, playlistCache, []byte("#EXTM3U\n")}); err != nil {
		t.Fatal(err)
	}
	want := request{"PUT", "/abcdefghijklmn/live/a.m3u8", playlistType, "max-age=1", "AKIDEXAMPLE", "secret:with colon", "#EXTM3U\n", 8}
	if diff := cmp.Diff(want, *last); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestClientDelete(t *testing.T) {
	c, last := serve(t, http.StatusOK, "{}")
	if err := c.Delete(t.Context(), "live/1.m4s"); err != nil {
		t.Fatal(err)
	}
	want := request{Method: "DELETE", Path: "/abcdefghijklmn/live/1.m4s", User: "AKIDEXAMPLE", Password: "secret:with colon"}
	if diff := cmp.Diff(want, *last); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestClientErrors(t *testing.T) {
	tests := []struct {
		status int
		put    string // what the error of PUT says; empty for none
		del    string
	}{
		{http.StatusOK, "", ""},
		{http.StatusNoContent, "", ""},
		{http.StatusNotFound, "404 Not Found", ""},
		{http.StatusForbidden, "403 Forbidden: why not", "403 Forbidden: why not"},
		{http.StatusServiceUnavailable, "503 Service Unavailable: why not", "503 Service Unavailable: why not"},
	}
	for _, tt := range tests {
		c, _ := serve(t, tt.status, "why not")
		check(t, tt.status, c.Put(t.Context(), "x", File{}), tt.put)
		check(t, tt.status, c.Delete(t.Context(), "x"), tt.del)
	}
}

func check(t *testing.T, status int, err error, want string) {
	t.Helper()
	if want == "" && err != nil {
		t.Errorf("status %d: %v", status, err)
	}
	if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("status %d: error %v, want %q in it", status, err, want)
	}
	if err != nil && strings.Contains(err.Error(), "secret") {
		t.Errorf("status %d: the error tells the secret: %v", status, err)
	}
}

// An answer without end costs neither memory nor the programme's time.
func TestClientReadsLittleOfAnAnswer(t *testing.T) {
	c, _ := serve(t, http.StatusBadGateway, strings.Repeat("x", 1<<20))
	err := c.Put(t.Context(), "x", File{})
	if err == nil || len(err.Error()) > 600 {
		t.Errorf("an error of %d characters", len(err.Error()))
	}
}

// The whole way: a channel that a publisher keeps on a server over HTTP.
func TestPublishesOverHTTP(t *testing.T) {
	c, last := serve(t, http.StatusOK, "{}")
	channel, err := Bundled()
	if err != nil {
		t.Fatal(err)
	}
	p := newPublisher(c)
	p.Channel = channel
	p.Now = func() time.Time { return time.Unix(1_800_000_000, 0) }
	if err := p.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if last.Path != "/abcdefghijklmn/live/index.m3u8" || last.Body != string(channel.Multivariant) {
		t.Errorf("the last request was %s with %d bytes", last.Path, len(last.Body))
	}
}
