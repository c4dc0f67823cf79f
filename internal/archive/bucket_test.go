package archive

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"headwater/internal/mediastore"
)

const testBucket = "cold-tier"

// startS3 starts versitygw, an S3-compatible server, on a free port with an empty
// bucket and returns its URL. The environment has credentials for it, and no others
// can be found.
func startS3(t testing.TB) string {
	t.Helper()
	binary, err := filepath.Abs("../../bin/versitygw")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("the S3-compatible server is not installed: run make tools (%v)", err)
	}
	data, metadata := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(data, testBucket), 0o700); err != nil {
		t.Fatal(err)
	}
	nowhere := filepath.Join(t.TempDir(), "none")
	for key, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AK" + rand.Text(), "AWS_SECRET_ACCESS_KEY": rand.Text(), "AWS_SESSION_TOKEN": "",
		"AWS_CONFIG_FILE": nowhere, "AWS_SHARED_CREDENTIALS_FILE": nowhere, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_PROFILE": "",
	} {
		t.Setenv(key, value)
	}
	address := freeAddress(t)
	cmd := exec.CommandContext(t.Context(), binary, "--port", address, "--health", "/health", "--keep-alive", "--quiet", "posix", "--sidecar", metadata, data)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+os.Getenv("AWS_ACCESS_KEY_ID"), "ROOT_SECRET_KEY="+os.Getenv("AWS_SECRET_ACCESS_KEY"))
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("versitygw said:\n%s", output.Bytes())
		}
	})
	awaitHealth(t, "http://"+address+"/health", ended)
	return "http://" + address
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// awaitHealth returns when the server answers, and fails when it has ended.
func awaitHealth(t testing.TB, url string, ended chan error) {
	t.Helper()
	for {
		if answer, err := http.Get(url); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("versitygw ended: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func openS3(t testing.TB, endpoint string) *bucket {
	t.Helper()
	s, err := Open(t.Context(), "s3://"+testBucket+"/some/prefix", Options{Endpoint: endpoint, PathStyle: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.(*bucket)
}

// network is what lies between a store and its server: it counts requests, and
// does to answers to GET what a test wants.
type network struct {
	*httptest.Server
	mu       sync.Mutex
	requests []string
	body     func(request int, body io.ReadCloser) io.ReadCloser
}

// proxyTo returns a proxy that keeps the host, which is signed.
func proxyTo(target *url.URL) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
		ErrorLog:      log.New(io.Discard, "", 0),
		FlushInterval: -1,
	}
}

func startNetwork(t testing.TB, server string, body func(int, io.ReadCloser) io.ReadCloser) *network {
	t.Helper()
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	n := &network{body: body}
	proxy := proxyTo(target)
	proxy.ModifyResponse = n.answer
	n.Server = httptest.NewServer(proxy)
	t.Cleanup(n.Close)
	return n
}

func (n *network) answer(a *http.Response) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.requests = append(n.requests, strings.TrimSpace(a.Request.Method+" "+a.Request.Header.Get("Range")))
	if a.Request.Method == http.MethodGet && n.body != nil {
		a.Body = n.body(len(n.requests), a.Body)
	}
	return nil
}

// seen returns the requests since the last call.
func (n *network) seen() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	seen := strings.Join(n.requests, ", ")
	n.requests = nil
	return seen
}

func TestBucketContinuesItsStream(t *testing.T) {
	n := startNetwork(t, startS3(t), nil)
	s := openS3(t, n.URL)
	content := random(100_000)
	put(t, s, name, content)
	if got := n.seen(); got != "PUT" {
		t.Errorf("a Put asks %q", got)
	}
	wantContent(t, s, name, content)
	if got := n.seen(); got != "GET" {
		t.Errorf("a reader of everything asks %q, want one request", got)
	}
	r := open(t, s, name, len(content))
	for off := range int64(5) {
		if _, err := r.ReadAt(make([]byte, 1000), 50_000+1000*off); err != nil {
			t.Fatal(err)
		}
	}
	if got := n.seen(); got != "GET, GET bytes=50000-" {
		t.Errorf("a reader of a part asks %q, want a request for each jump", got)
	}
}

// broken is a body that fails after some bytes.
func broken(body io.ReadCloser, after int64, err error) io.ReadCloser {
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(body, after), readerFunc(func([]byte) (int, error) { return 0, err })), body}
}

func TestBucketGoesOnAfterABrokenStream(t *testing.T) {
	n := startNetwork(t, startS3(t), func(request int, body io.ReadCloser) io.ReadCloser {
		if request == 2 { // the first GET
			return broken(body, 40_000, http.ErrAbortHandler)
		}
		return body
	})
	s := openS3(t, n.URL)
	content := random(1 << 20)
	put(t, s, name, content)
	wantContent(t, s, name, content)
	if got := n.seen(); !strings.HasPrefix(got, "PUT, GET, GET bytes=") || strings.Count(got, ",") != 2 {
		t.Errorf("asked %q, want the rest after the break", got)
	}
}

func TestBucketGivesUpAStreamThatBreaksAgain(t *testing.T) {
	n := startNetwork(t, startS3(t), func(_ int, body io.ReadCloser) io.ReadCloser {
		return broken(body, 10, http.ErrAbortHandler)
	})
	s := openS3(t, n.URL)
	put(t, s, name, random(1000))
	r := open(t, s, name, 1000)
	_, err := r.ReadAt(make([]byte, 1000), 0)
	wantKind(t, err, mediastore.KindUnavailable)
	if errors.Is(err, io.EOF) {
		t.Errorf("got %v, which reads like an end", err)
	}
}

// TestBucketGivesUpASilentStream: a store that begins an answer and does not go on
// holds nobody for ever.
func TestBucketGivesUpASilentStream(t *testing.T) {
	release := make(chan struct{})
	n := startNetwork(t, startS3(t), func(_ int, body io.ReadCloser) io.ReadCloser {
		return struct {
			io.Reader
			io.Closer
		}{readerFunc(func([]byte) (int, error) { <-release; return 0, io.ErrUnexpectedEOF }), body}
	})
	t.Cleanup(func() { close(release) })
	s := openS3(t, n.URL)
	s.patience = time.Millisecond
	put(t, s, name, random(1000))
	_, err := open(t, s, name, 1000).ReadAt(make([]byte, 1000), 0)
	wantKind(t, err, mediastore.KindUnavailable)
}

func TestClosedReaderOfABucket(t *testing.T) {
	s := openS3(t, startS3(t))
	put(t, s, name, random(1000))
	r := open(t, s, name, 1000)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	_, err := r.ReadAt(make([]byte, 1), 0)
	wantKind(t, err, mediastore.KindUnavailable)
}

// TestBucketRetries: a Put is sent again when the store has trouble and the body
// can be read again. When it cannot, it is not.
func TestBucketRetries(t *testing.T) {
	server := startS3(t)
	target, _ := url.Parse(server)
	proxy := proxyTo(target)
	troubles := 0
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if troubles++; troubles == 1 {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	defer front.Close()
	s := openS3(t, front.URL)
	content := random(100_000)
	put(t, s, name, content)
	wantContent(t, s, name, content)

	troubles = 0
	err := s.Put(t.Context(), name, bytes.NewBuffer(content), int64(len(content)), sha256.Sum256(content))
	wantKind(t, err, mediastore.KindUnavailable)
	if troubles != 1 {
		t.Errorf("a body that cannot be read again was sent %d times", troubles)
	}
}

// TestBucketVerifies: the server gets the digest and holds the body against it.
// Here our own verdict is right, and the network is not.
func TestBucketVerifies(t *testing.T) {
	target, _ := url.Parse(startS3(t))
	proxy := proxyTo(target)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			body, _ := io.ReadAll(r.Body)
			body[500] ^= 1
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		proxy.ServeHTTP(w, r)
	}))
	defer front.Close()
	s := openS3(t, front.URL)
	content := random(1000)
	err := s.Put(t.Context(), name, bytes.NewReader(content), 1000, sha256.Sum256(content))
	wantKind(t, err, mediastore.KindUnavailable)
	wantNone(t, s, name, 1000)
}

// TestBucketBehindTLS: with a private authority too, and with the digest signed as
// without TLS.
func TestBucketBehindTLS(t *testing.T) {
	target, _ := url.Parse(startS3(t))
	proxy := proxyTo(target)
	front := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if signed := r.Header.Get("X-Amz-Content-Sha256"); r.Method == http.MethodPut && len(signed) != 64 {
			t.Errorf("the signed digest is %q", signed)
		}
		proxy.ServeHTTP(w, r)
	}))
	defer front.Close()
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	if err := os.WriteFile(bundle, authority, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", bundle)
	s := openS3(t, front.URL)
	content := random(100_000)
	put(t, s, name, content)
	wantContent(t, s, name, content)
}

func TestBucketThatIsNotThere(t *testing.T) {
	s, err := Open(t.Context(), "s3://other-bucket", Options{Endpoint: startS3(t), PathStyle: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.Check(t.Context())
	wantKind(t, err, mediastore.KindUnavailable)
	if err == nil || !strings.Contains(err.Error(), "The cold tier s3://other-bucket cannot be written") || !strings.Contains(err.Error(), "NoSuchBucket") {
		t.Errorf("got %v", err)
	}
	_, err = s.Open(t.Context(), name, 1)
	wantKind(t, err, mediastore.KindUnavailable)
}

func TestBucketTakesNoMoreThanOnePut(t *testing.T) {
	s := openS3(t, startS3(t))
	wantKind(t, s.Put(t.Context(), name, readerFunc(nil), maxPut+1, [32]byte{}), mediastore.KindTooLarge)
}

func TestOptions(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "none")
	for _, key := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"} {
		t.Setenv(key, "")
	}
	t.Setenv("AWS_CONFIG_FILE", nowhere)
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{}, "archive region: must be given for s3://bucket"},
		{Options{Endpoint: "store.example:9000"}, "must be a URL"},
		{Options{Endpoint: "ftp://store.example"}, "must be a URL"},
		{Options{Endpoint: "http://"}, "must be a URL"},
		{Options{Endpoint: "%"}, "must be a URL"},
		{Options{Region: "eu-central-1"}, "<nil>"},
		{Options{Endpoint: "https://store.example:9000"}, "<nil>"},
	} {
		s, err := Open(context.Background(), "s3://bucket", c.o)
		if got := fmt.Sprint(err); !strings.Contains(got, c.want) {
			t.Errorf("%+v: got %s, want %s", c.o, got, c.want)
		}
		if err == nil {
			s.Close()
		}
	}
}
