package app

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"headwater/internal/access"
	"headwater/internal/config"
	"headwater/internal/httpapi"
	"headwater/internal/mediastore"
)

// forTest is a configuration on a free port, with the memory engine and nothing
// in its data directory.
func forTest(t *testing.T) config.Config {
	t.Helper()
	c := config.Default()
	c.Listen, c.Engine, c.Data = "127.0.0.1:0", config.EngineMemory, filepath.Join(t.TempDir(), "data")
	c.DrainTimeout = time.Minute // ends a test that hangs
	return c
}

// onDisk is forTest with the engine that keeps things.
func onDisk(t *testing.T) config.Config {
	t.Helper()
	c := forTest(t)
	c.Engine = config.EngineLogstore
	return c
}

// open opens an app that has to open. Who opens it closes it.
func open(t *testing.T, c config.Config) *App {
	t.Helper()
	a, err := Open(c, Process{Log: slog.New(slog.DiscardHandler), Stdout: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// shut closes what open opened.
func shut(t *testing.T, a *App) {
	t.Helper()
	if err := a.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// refused is the message of an Open that must not succeed: one line for an
// operator, from which no type of ours looks out.
func refused(t *testing.T, c config.Config) error {
	t.Helper()
	a, err := Open(c, Process{Log: slog.New(slog.DiscardHandler), Stdout: io.Discard})
	if err == nil {
		shut(t, a)
		t.Fatal("Open succeeded")
	}
	if a != nil {
		t.Errorf("Open returned an app with the error %v", err)
	}
	if s := err.Error(); strings.ContainsAny(s, "\n{}") || strings.Contains(s, "logstore") || len(s) > 300 {
		t.Errorf("the message is no plain sentence: %q", s)
	}
	return err
}

// running is an app under Run, with the end of it.
type running struct {
	*App
	t      *testing.T
	cancel context.CancelFunc
	ended  chan error
}

func run(t *testing.T, c config.Config) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{open(t, c), t, cancel, make(chan error, 1)}
	go func() { r.ended <- r.Run(ctx) }()
	return r
}

// stop ends Run and closes the app.
func (r *running) stop() {
	r.t.Helper()
	r.cancel()
	if err := <-r.ended; err != nil {
		r.t.Errorf("Run: %v", err)
	}
	shut(r.t, r.App)
}

// send sends a request as the root user, on a connection of its own.
func (r *running) send(method, url string, body io.Reader, headers ...string) (status int, answer string, err error) {
	req, err := http.NewRequestWithContext(r.t.Context(), method, url, body)
	if err != nil {
		return 0, "", err
	}
	req.Close = true
	req.SetBasicAuth(r.RootKey().ID, r.RootKey().Secret)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

// call is send, which has to be answered.
func (r *running) call(method, url string, body io.Reader, headers ...string) (status int, answer string) {
	r.t.Helper()
	status, answer, err := r.send(method, url, body, headers...)
	if err != nil {
		r.t.Fatal(err)
	}
	return status, answer
}

// upload begins an upload and returns once the server has begun to take it. It
// ends when the writer is closed; then the status is sent, 0 for no answer.
func (r *running) upload(object string) (w *io.PipeWriter, ended <-chan int) {
	r.t.Helper()
	body, w := io.Pipe()
	statuses := make(chan int, 1)
	go func() {
		status, _, _ := r.send(http.MethodPut, object, body, "x-amz-upload-availability", "STREAMING")
		statuses <- status
	}()
	if _, err := io.WriteString(w, "the beginning"); err != nil { // the head goes with it
		r.t.Fatal(err)
	}
	for status := 0; status != http.StatusOK; status, _ = r.call(http.MethodHead, object, nil) {
		runtime.Gosched()
	}
	return w, statuses
}

// container makes a container and returns its endpoint.
func (r *running) container() string {
	r.t.Helper()
	control := func(operation string) string {
		_, body := r.call(http.MethodPost, r.URL()+"/", strings.NewReader(`{"ContainerName":"live"}`), "X-Amz-Target", "MediaStore_20170901."+operation)
		return body
	}
	control("CreateContainer")
	for {
		if m := regexp.MustCompile(`"Endpoint":"([^"]+)"`).FindStringSubmatch(control("DescribeContainer")); m != nil {
			return m[1]
		}
		runtime.Gosched()
	}
}

func TestServesUntilTheEnd(t *testing.T) {
	r := run(t, forTest(t))
	object := r.container() + "/a.ts"
	if !strings.HasPrefix(object, r.URL()+"/") {
		t.Errorf("the object is at %s, the server at %s", object, r.URL())
	}
	if status, body := r.call(http.MethodPut, object, strings.NewReader("hello")); status != http.StatusOK {
		t.Errorf("PUT: %d %s", status, body)
	}
	if status, body := r.call(http.MethodGet, object, nil); status != http.StatusOK || body != "hello" {
		t.Errorf("GET: %d %s", status, body)
	}
	r.stop()
	wantNoListener(t, r.App)
	if _, err := os.Stat(r.config.Data); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the memory engine has left something: %v", err)
	}
}

func wantNoListener(t *testing.T, a *App) {
	t.Helper()
	if conn, err := net.Dial("tcp", a.listener.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after Close somebody listens: %v, %v", conn, err)
	}
}

// TestDrains has an upload under way when the end comes: it is waited for, and
// nobody is let in meanwhile.
func TestDrains(t *testing.T) {
	r := run(t, forTest(t))
	w, ended := r.upload(r.container() + "/a.ts")
	r.cancel()
	for open := true; open; {
		conn, err := net.Dial("tcp", r.listener.Addr().String())
		if open = err == nil; open {
			conn.Close()
		}
	}
	if err := r.ready(t.Context()); err != nil { // the upload needs the engine
		t.Errorf("while draining: %v", err)
	}
	w.Close()
	if status := <-ended; status != http.StatusOK {
		t.Errorf("the upload that was under way is answered %d", status)
	}
	r.stop()
}

// TestDrainTimeoutCuts has one under way that goes on for ever.
func TestDrainTimeoutCuts(t *testing.T) {
	c := forTest(t)
	c.DrainTimeout = 0
	r := run(t, c)
	w, ended := r.upload(r.container() + "/a.ts")
	r.cancel()
	if err := <-r.ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	w.Close()
	if status := <-ended; status != 0 {
		t.Errorf("an upload that was cut off is answered %d", status)
	}
	shut(t, r.App)
}

func TestCloseWithoutRun(t *testing.T) {
	a := open(t, forTest(t))
	if err := a.ready(t.Context()); err != nil {
		t.Errorf("before Run: %v", err)
	}
	shut(t, a)
	wantNoListener(t, a)
	if err := a.ready(t.Context()); err == nil {
		t.Error("ready, although the engine is closed")
	}
}

// TestRunWhenItIsOverAlready: a signal may come before Run does.
func TestRunWhenItIsOverAlready(t *testing.T) {
	for range 20 { // Serve and Shutdown may come in either order
		a := open(t, forTest(t))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := a.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
		shut(t, a)
	}
}

func TestRunReportsALostListener(t *testing.T) {
	r := run(t, forTest(t))
	defer shut(t, r.App)
	r.call(http.MethodGet, r.URL()+"/-/live", nil) // Run has begun
	r.listener.Close()
	if err := <-r.ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Run: %v", err)
	}
	r.cancel()
}

// file writes a file for a test and returns its name.
func file(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestOpenRefuses goes through all that may be wrong with a machine whose
// configuration is right. Afterwards nothing is left behind: the same data
// directory opens again, and no goroutine runs on.
func TestOpenRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	notADirectory := file(t, "")
	tlsFiles := func(name string) func(*config.Config) {
		return func(c *config.Config) { c.TLSCert, c.TLSKey = name, name }
	}
	tests := map[string]struct {
		wrong func(*config.Config)
		words []string
		is    error // in the chain, nil for any
	}{
		"a port that is taken": {func(c *config.Config) { c.Listen = taken.Addr().String() },
			[]string{"listen", taken.Addr().String(), "in use"}, syscall.EADDRINUSE},
		"a port for metrics that is taken": {func(c *config.Config) { c.Metrics.Listen = taken.Addr().String() },
			[]string{"metrics-listen", taken.Addr().String(), "in use"}, syscall.EADDRINUSE},
		"a cold tier that is not there": {func(c *config.Config) { c.Lifecycle.Archive = "/nonexistent/cold" },
			[]string{"archive", "/nonexistent/cold"}, nil},
		"a cold tier that is not one": {func(c *config.Config) { c.Lifecycle.Archive = "s3://" },
			[]string{"archive", "bucket"}, nil},
		"an address of another machine": {func(c *config.Config) { c.Listen = "192.0.2.1:0" },
			[]string{"listen", "192.0.2.1"}, syscall.EADDRNOTAVAIL},
		"no certificate":              {tlsFiles("/nonexistent.pem"), []string{"TLS certificate", "/nonexistent.pem"}, fs.ErrNotExist},
		"a certificate that is empty": {tlsFiles(notADirectory), []string{"TLS certificate"}, nil},
		"a data directory in a file": {func(c *config.Config) { c.Data = filepath.Join(notADirectory, "data") },
			[]string{"data directory", notADirectory}, syscall.ENOTDIR},
		"a data directory that is a file": {func(c *config.Config) { c.Data = notADirectory },
			[]string{"data directory", notADirectory}, syscall.ENOTDIR},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			right := onDisk(t)
			shut(t, open(t, right)) // what starts only once has started
			before := runtime.NumGoroutine()
			wrong := right
			test.wrong(&wrong)
			err := refused(t, wrong)
			for _, word := range test.words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("the message lacks %q: %v", word, err)
				}
			}
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("%v is not %v", err, test.is)
			}
			wantGoroutines(t, before)
			shut(t, open(t, right))
		})
	}
}

// wantGoroutines waits until no more goroutines run than before. The bound ends a
// test that would wait for ever.
func wantGoroutines(t *testing.T, before int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, before there were %d:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

func TestCloseEndsEverything(t *testing.T) {
	c := onDisk(t)
	shut(t, open(t, c))
	before := runtime.NumGoroutine()
	shut(t, open(t, c))
	r := run(t, c)
	r.container()
	r.stop()
	wantGoroutines(t, before)
}

// TestOneAppPerDataDirectory: the second is refused in words, and the first does
// not notice.
func TestOneAppPerDataDirectory(t *testing.T) {
	c := onDisk(t)
	first := open(t, c)
	if err := refused(t, c); !strings.Contains(err.Error(), c.Data) {
		t.Errorf("the message does not name the directory: %v", err)
	}
	if err := first.ready(t.Context()); err != nil {
		t.Errorf("the first is not ready any more: %v", err)
	}
	shut(t, first)
	shut(t, open(t, c))
}

func TestRootKeyIsMadeOnceAndKept(t *testing.T) {
	c := onDisk(t)
	a := open(t, c)
	key, name := a.RootKey(), a.RootKeyFile()
	if !a.RootKeyGenerated() || name != filepath.Join(c.Data, "root-credentials.json") {
		t.Errorf("generated %v, kept in %q", a.RootKeyGenerated(), name)
	}
	if !regexp.MustCompile(`^AKIA[A-Z2-7]{16}$`).MatchString(key.ID) || len(key.Secret) != 40 {
		t.Errorf("the pair is %s and %d characters", key.ID, len(key.Secret))
	}
	if info, err := os.Stat(name); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(c.Data); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the data directory is %v, %v", info.Mode(), err)
	}
	shut(t, a)

	a = open(t, c)
	if a.RootKeyGenerated() || a.RootKey() != key || a.RootKeyFile() != name {
		t.Errorf("the second time: generated %v, the same %v, kept in %q", a.RootKeyGenerated(), a.RootKey() == key, a.RootKeyFile())
	}
	shut(t, a)

	other := onDisk(t)
	a = open(t, other)
	if again := a.RootKey(); again.ID == key.ID || again.Secret == key.Secret {
		t.Error("two servers have made up the same pair")
	}
	shut(t, a)
}

// TestRootKeyThatIsConfigured leaves the one on disk as it is.
func TestRootKeyThatIsConfigured(t *testing.T) {
	for _, engine := range []config.Engine{config.EngineLogstore, config.EngineMemory} {
		c := forTest(t)
		c.Engine, c.RootAccessKey, c.RootSecretKey = engine, "AKIDOFTHEOPERATOR", config.NewSecret("the operator's own secret")
		a := open(t, c)
		if want := (access.Key{ID: "AKIDOFTHEOPERATOR", Secret: "the operator's own secret"}); a.RootKey() != want || a.RootKeyGenerated() || a.RootKeyFile() != "" {
			t.Errorf("%s: %v, generated %v, kept in %q", engine, a.RootKey(), a.RootKeyGenerated(), a.RootKeyFile())
		}
		shut(t, a)
		if _, err := os.Stat(filepath.Join(c.Data, "root-credentials.json")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a pair that is configured was kept: %v", engine, err)
		}
	}
}

func TestRootKeyInMemory(t *testing.T) {
	a := open(t, forTest(t))
	defer shut(t, a)
	if !a.RootKeyGenerated() || a.RootKeyFile() != "" || a.RootKey().Secret == "" {
		t.Errorf("generated %v, kept in %q", a.RootKeyGenerated(), a.RootKeyFile())
	}
}

// TestRootKeyFileIsBroken: it is never written over, for it may be all that is
// left of the pair that is in use.
func TestRootKeyFileIsBroken(t *testing.T) {
	for _, content := range []string{"", "{", "null", "[]", `"AKID"`, "{}", `{"AccessKeyID":"AKID"}`, `{"SecretAccessKey":"secret"}`, `{"AccessKeyID":1,"SecretAccessKey":2}`, "\x00\x00\x00"} {
		c := onDisk(t)
		shut(t, open(t, c))
		name := filepath.Join(c.Data, "root-credentials.json")
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := refused(t, c); !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "delete it") {
			t.Errorf("%q: the message does not tell what to do: %v", content, err)
		}
		if b, err := os.ReadFile(name); string(b) != content || err != nil {
			t.Errorf("%q became %q, %v", content, b, err)
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		a := open(t, c) // as the message says
		if !a.RootKeyGenerated() {
			t.Errorf("%q: no pair was generated after the file was deleted", content)
		}
		shut(t, a)
	}
}

// TestRootKeyThatCannotBeKept: who could not read it again must not get it.
func TestRootKeyThatCannotBeKept(t *testing.T) {
	c := onDisk(t)
	if err := os.MkdirAll(filepath.Join(c.Data, "root-credentials.json.new"), 0o700); err != nil { // where it is written first
		t.Fatal(err)
	}
	if err := refused(t, c); !strings.Contains(err.Error(), "root credentials") {
		t.Errorf("the message does not tell what failed: %v", err)
	}
}

func TestRootKeyIsNotLogged(t *testing.T) {
	var log bytes.Buffer
	c := onDisk(t)
	a, err := Open(c, Process{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), Stdout: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	a.log.Info("the app", "key", a.RootKey(), "config", a.config)
	shut(t, a)
	if !strings.Contains(log.String(), a.RootKey().ID) || strings.Contains(log.String(), a.RootKey().Secret) {
		t.Errorf("the log is to have the ID and not the secret:\n%s", log.String())
	}
}

func TestEndpoint(t *testing.T) {
	const id mediastore.ContainerID = "abcdefghijklmn"
	for _, test := range []struct {
		domain, host string
		secure       bool
		want         string
	}{
		{"", "origin.example", false, "http://origin.example/abcdefghijklmn"},
		{"", "origin.example:8484", false, "http://origin.example:8484/abcdefghijklmn"},
		{"", "192.0.2.1:8484", false, "http://192.0.2.1:8484/abcdefghijklmn"},
		{"", "[2001:db8::1]", false, "http://[2001:db8::1]/abcdefghijklmn"},
		{"", "[2001:db8::1]:8484", false, "http://[2001:db8::1]:8484/abcdefghijklmn"},
		{"", "origin.example", true, "https://origin.example/abcdefghijklmn"},
		{"", "origin.example:8443", true, "https://origin.example:8443/abcdefghijklmn"},
		{"", "[2001:db8::1]:8443", true, "https://[2001:db8::1]:8443/abcdefghijklmn"},

		{"media.example", "origin.example", false, "http://abcdefghijklmn.data.media.example"},
		{"media.example", "origin.example:8484", false, "http://abcdefghijklmn.data.media.example:8484"},
		{"media.example", "192.0.2.1:8484", false, "http://abcdefghijklmn.data.media.example:8484"},
		{"media.example", "[2001:db8::1]", false, "http://abcdefghijklmn.data.media.example"},
		{"media.example", "[2001:db8::1]:8484", false, "http://abcdefghijklmn.data.media.example:8484"},
		{"media.example", "media.example", true, "https://abcdefghijklmn.data.media.example"},
		{"media.example", "media.example:8443", true, "https://abcdefghijklmn.data.media.example:8443"},
		{"media.example", "", false, "http://abcdefghijklmn.data.media.example"},
	} {
		a := &App{config: config.Config{Domain: test.domain}}
		r := (&http.Request{Host: test.host}).WithContext(t.Context())
		if got := a.endpoint(r, httpapi.Client{Secure: test.secure}, id); got != test.want {
			t.Errorf("domain %q, Host %q, secure %v: %s, want %s", test.domain, test.host, test.secure, got, test.want)
		}
	}
}

// TestEndpointWithoutHost: HTTP/1.0 has no Host, and HTTP/1.1 allows an empty one
// (RFC 9112, section 3.2).
func TestEndpointWithoutHost(t *testing.T) {
	local := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 8484}
	r := (&http.Request{}).WithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, local))
	for domain, want := range map[string]string{
		"":              "http://192.0.2.1:8484/abcdefghijklmn",
		"media.example": "http://abcdefghijklmn.data.media.example:8484",
	} {
		a := &App{config: config.Config{Domain: domain}}
		if got := a.endpoint(r, httpapi.Client{}, "abcdefghijklmn"); got != want {
			t.Errorf("domain %q: %s, want %s", domain, got, want)
		}
	}
}

func TestContainerIDs(t *testing.T) {
	seen := map[mediastore.ContainerID]bool{}
	for range 1000 {
		id := newContainerID()
		if !mediastore.IsContainerID(string(id)) || seen[id] {
			t.Errorf("%q is no ID, or was there already", id)
		}
		seen[id] = true
	}
}

// TestWarnsBeyondThisMachine: without TLS, and only then.
func TestWarnsBeyondThisMachine(t *testing.T) {
	for listen, want := range map[string]bool{"127.0.0.1:0": false, "localhost:0": false, "0.0.0.0:0": true, ":0": true} {
		var log bytes.Buffer
		c := forTest(t)
		c.Listen = listen
		a, err := Open(c, Process{Log: slog.New(slog.NewTextHandler(&log, nil)), Stdout: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		shut(t, a)
		if warned := strings.Contains(log.String(), "without TLS"); warned != want {
			t.Errorf("%s: warned %v, want %v", listen, warned, want)
		}
	}
}

// TestPublicURL is in endpoints, whatever host a client names.
func TestPublicURL(t *testing.T) {
	for domain, want := range map[string]string{
		"":              `^https://media\.example:8443/[a-z2-7]{14}$`,
		"video.example": `^https://[a-z2-7]{14}\.data\.video\.example:8443$`,
	} {
		c := forTest(t)
		c.PublicURL, c.Domain = "https://media.example:8443", domain
		r := run(t, c)
		if got := r.container(); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("with the domain %q: %s", domain, got)
		}
		r.stop()
	}
}

// TestMetricsListen has the metrics and the health checks, and nothing else,
// without credentials.
func TestMetricsListen(t *testing.T) {
	c := forTest(t)
	c.Metrics.Listen = "127.0.0.1:0"
	r := run(t, c)
	r.container()
	operators := "http://" + r.operators.listener.Addr().String()
	for path, want := range map[string]int{
		"/-/metrics": 200, "/-/live": 200, "/-/ready": 200,
		"/-/events": 404, "/-/player/": 404, "/": 404, "/abcdefghijklmn/a": 404,
	} {
		res, err := http.Get(operators + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, want)
		}
	}
	if res, err := http.Get(r.URL() + "/-/metrics"); err != nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("on the main listener: %v, %v", res, err)
	}
	r.stop()
	if conn, err := net.Dial("tcp", r.operators.listener.Addr().String()); err == nil {
		conn.Close()
		t.Error("after Close somebody listens for operators")
	}
}
