package httpapi_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"headwater/internal/httpapi"
	"headwater/internal/mediastore"
)

func TestClient(t *testing.T) {
	proxies := httpapi.TrustedProxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	for _, test := range []struct {
		name, remote, forwarded, proto string
		want                           string
		secure                         bool
	}{
		{"no proxy", "192.0.2.1:5", "", "", "192.0.2.1", false},
		{"a client's own word counts for nothing", "192.0.2.1:5", "198.51.100.7", "https", "192.0.2.1", false},
		{"behind a proxy", "10.1.1.1:5", "198.51.100.7", "https", "198.51.100.7", true},
		{"proxy says http", "10.1.1.1:5", "198.51.100.7", "http", "198.51.100.7", false},
		{"proxy says nothing", "10.1.1.1:5", "", "", "10.1.1.1", false},
		{"two proxies", "10.1.1.1:5", "198.51.100.7, 10.2.2.2", "", "198.51.100.7", false},
		{"what the client made up before", "10.1.1.1:5", "203.0.113.9, 198.51.100.7", "", "198.51.100.7", false},
		{"nothing but proxies", "10.1.1.1:5", "10.3.3.3, 10.2.2.2", "", "10.3.3.3", false},
		{"garbage", "10.1.1.1:5", "198.51.100.7, garbage", "", "10.1.1.1", false},
		{"with a port", "10.1.1.1:5", "198.51.100.7:1234", "", "198.51.100.7", false},
		{"IPv6", "[2001:db8::1]:5", "2001:dead::7", "", "2001:dead::7", false},
		{"IPv6 in brackets with a port", "[2001:db8::1]:5", "[2001:dead::7]:99", "", "2001:dead::7", false},
		{"IPv4 in IPv6", "[::ffff:10.1.1.1]:5", "::ffff:198.51.100.7", "", "198.51.100.7", false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = test.remote
		if test.forwarded != "" {
			r.Header.Set("X-Forwarded-For", test.forwarded)
		}
		if test.proto != "" {
			r.Header.Set("X-Forwarded-Proto", test.proto)
		}
		got := proxies.Client(r)
		if got.IP.String() != test.want || got.Secure != test.secure {
			t.Errorf("%s: %s, secure %v; want %s, %v", test.name, got.IP, got.Secure, test.want, test.secure)
		}
	}
}

func TestRouter(t *testing.T) {
	const id = "abcdefghijklmn"
	say := func(s string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) })
	}
	router := &httpapi.Router{
		Domain:     "example.com",
		Operations: say("operations"),
		Control:    say("control"),
		Data: func(id mediastore.ContainerID, path string) http.Handler {
			return say("data " + string(id) + " " + path)
		},
		Fallback: say("fallback"),
	}
	for _, test := range []struct{ method, host, path, want string }{
		{"GET", "h", "/-/live", "operations"},
		{"GET", id + ".data.example.com", "/-/live", "operations"},
		{"POST", "h", "/", "control"},
		{"GET", "h", "/", "fallback"},
		{"GET", "h", "/" + id, "data " + id + " /"},
		{"GET", "h", "/" + id + "/", "data " + id + " /"},
		{"PUT", "h", "/" + id + "/a/b", "data " + id + " /a/b"},
		{"PUT", "h", "/" + id + "//a/b", "data " + id + " //a/b"},
		{"POST", "h", "/" + id + "/a", "data " + id + " /a"},
		{"GET", "h", "/short/a", "fallback"},
		{"GET", "h", "/toolongtobeacontainer/a", "fallback"},
		{"GET", id + ".data.example.com", "/a/b", "data " + id + " /a/b"},
		{"POST", id + ".data.example.com:8484", "/", "data " + id + " /"},
		{"GET", strings.ToUpper(id) + ".DATA.Example.com", "/a", "data " + id + " /a"},
		{"GET", "short.data.example.com", "/a", "fallback"},
		{"GET", id + ".data.other.com", "/" + id + "/a", "data " + id + " /a"},
		{"GET", "[::1]:8484", "/" + id + "/a", "data " + id + " /a"},
	} {
		r := httptest.NewRequest(test.method, "http://"+test.host+test.path, nil)
		w := httptest.NewRecorder()
		router.ServeHTTP(w, r)
		if w.Body.String() != test.want {
			t.Errorf("%s %s%s goes to %q, want %q", test.method, test.host, test.path, w.Body, test.want)
		}
	}
}

// serve runs one handler behind the adapter on a real connection.
func serve(t *testing.T, h httpapi.Handler) (url string, log *bytes.Buffer) {
	t.Helper()
	log = &bytes.Buffer{}
	a := &httpapi.Adapter{
		Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now: time.Now,
	}
	s := httptest.NewServer(a.Wrap("test", h, func(w *httpapi.Response, _ *http.Request, err error) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, httpapi.Message(err, w.ID))
	}))
	t.Cleanup(s.Close)
	return s.URL, log
}

func TestAdapterAnswersErrors(t *testing.T) {
	for name, test := range map[string]struct {
		handler httpapi.Handler
		want    string
	}{
		"a public error": {func(*httpapi.Response, *http.Request) error { return mediastore.Invalid("Field", "is wrong") }, "Field: is wrong"},
		"a private one":  {func(*httpapi.Response, *http.Request) error { return errors.New("the password is 123") }, "Internal error. Request ID: "},
		"a panic":        {func(*httpapi.Response, *http.Request) error { panic("boom") }, "Internal error. Request ID: "},
	} {
		t.Run(name, func(t *testing.T) {
			url, _ := serve(t, test.handler)
			res, err := http.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, _ := io.ReadAll(res.Body)
			if res.StatusCode != http.StatusTeapot || !strings.HasPrefix(string(body), test.want) || strings.Contains(string(body), "123") {
				t.Errorf("%d %s", res.StatusCode, body)
			}
			if len(res.Header.Get("x-amzn-RequestId")) != 26 {
				t.Errorf("x-amzn-RequestId %q", res.Header.Get("x-amzn-RequestId"))
			}
		})
	}
}

// TestBrokenAnswerIsNotAnEnd: an answer that cannot be completed ends in a
// connection error, never in what looks like the end of a shorter one.
func TestBrokenAnswerIsNotAnEnd(t *testing.T) {
	url, _ := serve(t, func(w *httpapi.Response, _ *http.Request) error {
		_, _ = io.WriteString(w, "some bytes")
		_ = http.NewResponseController(w).Flush()
		return errors.New("the disk broke")
	})
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil || string(body) != "some bytes" {
		t.Errorf("the reader got %q and the error %v", body, err)
	}
}

func TestLogHasNoQuery(t *testing.T) {
	url, log := serve(t, func(w *httpapi.Response, _ *http.Request) error { w.WriteHeader(http.StatusOK); return nil })
	res, err := http.Get(url + "/path?X-Amz-Signature=secret")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if s := log.String(); !strings.Contains(s, "path=/path") || strings.Contains(s, "secret") {
		t.Errorf("log: %s", s)
	}
}

func TestMessageIsCut(t *testing.T) {
	err := mediastore.Invalid("F", "%s", strings.Repeat("ü", 300))
	if got := []rune(httpapi.Message(err, "id")); len(got) != 255 {
		t.Errorf("the message has %d characters", len(got))
	}
}

func TestEpochSeconds(t *testing.T) {
	if got := httpapi.EpochSeconds(time.UnixMilli(1700000000123)); got != "1700000000.123" {
		t.Error(got)
	}
}
