package cli

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// running is a verb that runs until it is told to end.
type running struct {
	t      *testing.T
	cancel context.CancelFunc
	stdout *bufio.Reader
	stderr bytes.Buffer // to be read after stop
	read   strings.Builder
	code   chan int
}

func start(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	p := &running{t: t, cancel: cancel, stdout: bufio.NewReader(r), code: make(chan int, 1)}
	go func() {
		p.code <- Main(ctx, Process{Args: args, Stdin: strings.NewReader(""), Stdout: w, Stderr: &p.stderr})
		w.Close()
	}()
	t.Cleanup(cancel)
	return p
}

// waitFor reads what the verb prints until it matches, and returns the groups.
func (p *running) waitFor(pattern string) []string {
	p.t.Helper()
	form := regexp.MustCompile(pattern)
	for {
		line, err := p.stdout.ReadString('\n')
		p.read.WriteString(line)
		if match := form.FindStringSubmatch(p.read.String()); match != nil {
			return match
		}
		if err != nil {
			p.t.Fatalf("it ended with code %d and never printed %s, but:\n%s%s", <-p.code, pattern, p.read.String(), p.stderr.String())
		}
	}
}

// stop ends the verb and returns all that it printed.
func (p *running) stop() string {
	p.t.Helper()
	p.cancel()
	rest, err := io.ReadAll(p.stdout)
	if code := <-p.code; code != exitOK || err != nil {
		p.t.Errorf("it ended with code %d, %v:\n%s", code, err, p.stderr.String())
	}
	return p.read.String() + string(rest)
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestServe(t *testing.T) {
	dir := t.TempDir()
	args := []string{"serve", "--listen", "127.0.0.1:0", "--data", dir, "--account", "111122223333"}

	first := start(t, args...)
	url := first.waitFor(`^headwater: ready at (http://127\.0\.0\.1:\d+) \(region us-east-1, account 111122223333, data ` + regexp.QuoteMeta(dir) + `\)\n`)[1]
	if status, _ := get(t, url+"/-/live"); status != http.StatusOK {
		t.Errorf("/-/live answers %d", status)
	}
	printed := first.stop()
	for _, want := range []string{"shown only this once; they are kept in " + dir, "  export AWS_ACCESS_KEY_ID=", "  export AWS_SECRET_ACCESS_KEY='", "  export AWS_DEFAULT_REGION=us-east-1\n"} {
		if !strings.Contains(printed, want) {
			t.Errorf("it did not print %q, but:\n%s", want, printed)
		}
	}

	second := start(t, args...)
	second.waitFor("ready at")
	if printed := second.stop(); strings.Count(printed, "\n") != 1 {
		t.Errorf("the second start printed more than the one line:\n%s", printed)
	}
}

func TestServeInMemory(t *testing.T) {
	t.Chdir(t.TempDir())
	p := start(t, "serve", "--listen", "127.0.0.1:0", "--engine", "memory", "--log-format", "json")
	p.waitFor(`data in memory only\)\n(.|\n)*they are kept nowhere`)
	p.stop()
	if !strings.HasPrefix(p.stderr.String(), "{") {
		t.Errorf("the log is not JSON: %s", p.stderr.String())
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("it left %v behind, %v", left, err)
	}
}

func TestPortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	t.Setenv("TMPDIR", t.TempDir())
	for _, args := range [][]string{{"serve", "--engine", "memory"}, {"demo"}} {
		got := run(t, nil, append(args, "--listen", taken.Addr().String())...)
		if got.Code != exitFailure || got.Stdout != "" || !strings.HasSuffix(got.Stderr, "; take a free port with --listen 127.0.0.1:0\n") {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

func TestUnknownVariableIsLogged(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	got := run(t, []string{"HEADWATER_LISTN=x"}, "serve", "--engine", "memory", "--listen", taken.Addr().String())
	if !strings.Contains(got.Stderr, "level=WARN") || !strings.Contains(got.Stderr, "variable=HEADWATER_LISTN") {
		t.Errorf("no warning in %q", got.Stderr)
	}
}

func TestDemo(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	p := start(t, "demo", "--listen", "127.0.0.1:0")
	match := p.waitFor(`Watch +(\S+)\n +Playlist +(\S+)\n`)
	for _, url := range match[1:] {
		if status, body := get(t, url); status != http.StatusOK || body == "" {
			t.Errorf("%s answers %d, %q", url, status, body)
		}
	}
	if _, body := get(t, match[2]); !strings.HasPrefix(body, "#EXTM3U\n") {
		t.Errorf("the playlist is %q", body)
	}
	p.waitFor(`ffmpeg -re`)
	printed := p.stop()
	if strings.Contains(printed, "\x1b") || strings.Contains(printed, "<no value>") {
		t.Errorf("it printed:\n%s", printed)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("it left %v behind, %v", left, err)
	}
}

// TestDemoAgain runs on what an earlier demo left.
func TestDemoAgain(t *testing.T) {
	dir := t.TempDir()
	var playlists []string
	for range 2 {
		p := start(t, "demo", "--listen", "127.0.0.1:0", "--data", dir)
		playlists = append(playlists, p.waitFor(`Playlist +http://[^/]+(/\S+)\n`)[1])
		p.stop()
	}
	if diff := cmp.Diff(playlists[0], playlists[1]); diff != "" {
		t.Error(diff)
	}
}

func TestStyles(t *testing.T) {
	for terminal, want := range map[bool]string{false: "x", true: "\x1b[1mx\x1b[0m"} {
		if got := styles(terminal)["bold"].(func(string) string)("x"); got != want {
			t.Errorf("terminal %v: %q, want %q", terminal, got, want)
		}
	}
	if isTerminal(&bytes.Buffer{}, nil) {
		t.Error("a buffer is no terminal")
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, env := range []string{"NO_COLOR=1", "TERM=dumb"} {
		if isTerminal(null, []string{env}) {
			t.Errorf("%s is not heeded", env)
		}
	}
}

func TestControlClientErrors(t *testing.T) {
	for _, test := range []struct{ body, want string }{
		{`{"__type":"LimitExceededException","Message":"too many"}`, "CreateContainer: LimitExceededException: too many"},
		{"<html>", "CreateContainer: 400 Bad Request: the answer is not of this API"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, test.body, http.StatusBadRequest)
		}))
		c := &controlClient{url: server.URL, http: server.Client()}
		if _, err := c.publicContainer(t.Context(), "demo"); err == nil || err.Error() != test.want {
			t.Errorf("got %v, want %s", err, test.want)
		}
		server.Close()
	}
}
