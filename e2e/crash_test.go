package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// gone is the state of a path that has no object.
const gone = ""

// history is what may be at a path: the last state that was acknowledged, and
// those that were asked for since and not answered. A state is a body's SHA-256.
type history struct {
	acknowledged string
	pending      []string
}

// allows reports whether the path may be in a state after a crash.
func (h *history) allows(state string) bool {
	return state == h.acknowledged || slices.Contains(h.pending, state)
}

// writer puts, replaces and deletes at paths of its own, one operation at a time.
type writer struct {
	name  string
	rand  *rand.Rand
	bytes *rand.ChaCha8
	paths map[string]*history
	count int // of segments
}

func newWriter(n int) *writer {
	seed := [32]byte{byte(n)}
	return &writer{
		name:  fmt.Sprint("channel", n),
		rand:  rand.New(rand.NewPCG(uint64(n), 7)),
		bytes: rand.NewChaCha8(seed),
		paths: map[string]*history{},
	}
}

// body makes what proves itself whole: it begins with its own length and with the
// SHA-256 of what follows. Sizes go from 1 KiB to 2 MiB, small ones are more common.
func (w *writer) body() []byte {
	data := make([]byte, int(1024*math.Pow(2048, w.rand.Float64())))
	w.bytes.Read(data)
	return append([]byte(fmt.Sprintf("%10d %s\n", len(data), sha256Hex(string(data)))), data...)
}

// checkWhole returns why a body is not one that body made.
func checkWhole(b []byte) error {
	var size int
	var sum string
	head, data, _ := bytes.Cut(b, []byte("\n"))
	if _, err := fmt.Sscanf(string(head), "%d %s", &size, &sum); err != nil {
		return fmt.Errorf("its first line is %.100q: %w", head, err)
	}
	if size != len(data) || sum != sha256Hex(string(data)) {
		return fmt.Errorf("it has %d of %d bytes, or others", len(data), size)
	}
	return nil
}

// operation is a request and the state that it leads to.
type operation struct {
	request *http.Request
	path    string
	state   string
}

// next chooses an operation: a new segment, the manifest again, or the deletion of
// some object.
func (w *writer) next(endpoint string) operation {
	kind := w.rand.IntN(10)
	path := fmt.Sprintf("%s/index.m3u8", w.name)
	if kind < 5 {
		path = fmt.Sprintf("%s/segments/%d/%d.ts", w.name, w.count%5, w.count)
		w.count++
	}
	if kind < 8 || len(w.paths) == 0 {
		return w.put(endpoint, path)
	}
	all := []string{}
	for path := range w.paths {
		all = append(all, path)
	}
	slices.Sort(all)
	path = all[w.rand.IntN(len(all))]
	req, _ := http.NewRequest(http.MethodDelete, endpoint+"/"+path, nil)
	return operation{req, path, gone}
}

// put makes a PutObject, one of three with its length and one of three STREAMING.
func (w *writer) put(endpoint, path string) operation {
	body := w.body()
	var reader io.Reader = bytes.NewReader(body)
	if w.rand.IntN(3) > 0 {
		reader = struct{ io.Reader }{reader} // hides the length: the body goes chunked
	}
	req, _ := http.NewRequest(http.MethodPut, endpoint+"/"+path, reader)
	if w.rand.IntN(3) == 0 {
		req.Header.Set("x-amz-upload-availability", "STREAMING")
	}
	return operation{req, path, sha256Hex(string(body))}
}

// run works until the server is gone. It calls acknowledged after each operation
// that was answered, and reports answers that there should not be.
func (w *writer) run(client *http.Client, endpoint string, acknowledged func()) error {
	for {
		op := w.next(endpoint)
		h := w.paths[op.path]
		if h == nil {
			h = &history{acknowledged: gone}
			w.paths[op.path] = h
		}
		h.pending = append(h.pending, op.state)
		op.request.SetBasicAuth(accessKey, secretKey)
		res, err := client.Do(op.request)
		if err != nil {
			return nil // the server was killed
		}
		_, err = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		notThere := op.state == gone && h.acknowledged == gone && res.StatusCode == http.StatusNotFound
		if res.StatusCode != http.StatusOK && !notThere {
			return fmt.Errorf("%s %s: %d", op.request.Method, op.path, res.StatusCode)
		}
		if err != nil {
			return nil
		}
		*h = history{acknowledged: op.state}
		acknowledged()
	}
}

// load lets the writers work until the server has acknowledged a number of
// operations, and kills it at that moment.
func load(t *testing.T, s *server, endpoint string, writers []*writer, operations int64) {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: len(writers)}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var done atomic.Int64
	var running sync.WaitGroup
	for _, w := range writers {
		running.Go(func() {
			err := w.run(client, endpoint, func() {
				if done.Add(1) == operations {
					_ = s.cmd.Process.Kill()
				}
			})
			if err != nil {
				t.Error(err)
				_ = s.cmd.Process.Kill()
			}
		})
	}
	running.Wait()
	s.wait()
}

// readBack holds what can be read against what was acknowledged, and returns the
// paths that can be read.
func readBack(t *testing.T, client *http.Client, endpoint string, writers []*writer) (readable []string) {
	t.Helper()
	for _, w := range writers {
		for path, h := range w.paths {
			state := readState(t, client, endpoint, path)
			if !h.allows(state) {
				t.Errorf("%s is %q; acknowledged was %q, under way %q", path, state, h.acknowledged, h.pending)
			}
			*h = history{acknowledged: state} // no request for another is under way now
			if state != gone {
				readable = append(readable, path)
			}
		}
	}
	slices.Sort(readable)
	return readable
}

// readState reads an object, which must be whole.
func readState(t *testing.T, client *http.Client, endpoint, path string) string {
	t.Helper()
	req, _ := http.NewRequest(http.MethodGet, endpoint+"/"+path, nil)
	req.SetBasicAuth(accessKey, secretKey)
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		t.Errorf("GET %s: %v", path, err)
	case res.StatusCode == http.StatusNotFound:
		return gone
	case res.StatusCode != http.StatusOK:
		t.Errorf("GET %s: %d %s", path, res.StatusCode, body)
	default:
		if err := checkWhole(body); err != nil {
			t.Errorf("GET %s: %v", path, err)
		}
	}
	return sha256Hex(string(body))
}

// tree lists all objects below a folder. A folder without any would be an error.
func tree(t *testing.T, endpoint, folder string) (paths []string) {
	t.Helper()
	prefix := strings.TrimPrefix(folder+"/", "/")
	listed := listNames(t, endpoint, folder)
	if folder != "" && len(listed) == 0 {
		t.Errorf("the folder %s is listed and has nothing in it", folder)
	}
	for _, name := range listed {
		if sub, isFolder := strings.CutSuffix(name, "/"); isFolder {
			paths = append(paths, tree(t, endpoint, prefix+sub)...)
		} else {
			paths = append(paths, prefix+name)
		}
	}
	slices.Sort(paths)
	return paths
}

// TestKillUnderLoad kills the server again and again while eight writers work, and
// reads everything back each time.
func TestKillUnderLoad(t *testing.T) {
	const rounds = 10
	seeded := rand.New(rand.NewPCG(1, 2))
	data := t.TempDir()
	var writers []*writer
	for n := range 8 {
		writers = append(writers, newWriter(n))
	}
	s := startIn(t, data)
	id := strings.TrimPrefix(container(t, s.URL, "live"), s.URL+"/")
	for round := range rounds {
		container(t, s.URL, fmt.Sprint("round", round))
		load(t, s, s.URL+"/"+id, writers, 50+seeded.Int64N(250))
		s = startIn(t, data)
		endpoint := s.URL + "/" + id
		if got := activeEndpoint(t, s.URL, "live"); got != endpoint {
			t.Fatalf("the container's endpoint is %s, want %s", got, endpoint)
		}
		activeEndpoint(t, s.URL, fmt.Sprint("round", round))
		if readable, listed := readBack(t, http.DefaultClient, endpoint, writers), tree(t, endpoint, ""); !slices.Equal(readable, listed) {
			t.Errorf("round %d: %d objects can be read and %d are listed:\n%q\n%q", round, len(readable), len(listed), readable, listed)
		}
	}
	if left := tree(t, s.URL+"/"+id, ""); len(left) < 20 {
		t.Errorf("only %d objects were left to look at: this has not tested much", len(left))
	}
	emptied(t, s.URL+"/"+id, writers)
}

// activeEndpoint is the endpoint of a container that is there already.
func activeEndpoint(t *testing.T, url, name string) string {
	t.Helper()
	status, body := control(t, url, "DescribeContainer", `{"ContainerName":"`+name+`"}`)
	m := endpointPattern.FindSubmatch(body)
	if status != http.StatusOK || m == nil || !bytes.Contains(body, []byte(`"ACTIVE"`)) {
		t.Fatalf("DescribeContainer %s: %d %s", name, status, body)
	}
	return string(m[1])
}

// emptied deletes all objects: their folders go with them.
func emptied(t *testing.T, endpoint string, writers []*writer) {
	t.Helper()
	for _, w := range writers {
		for path, h := range w.paths {
			if h.acknowledged != gone {
				rawCall(t, "DELETE", endpoint, path, "").is(t, "DELETE "+path, http.StatusOK, "")
			}
		}
	}
	if left := listNames(t, endpoint, ""); len(left) != 0 {
		t.Errorf("the empty container lists %q", left)
	}
}

// draining sends SIGTERM and waits until the server has taken note.
func draining(t *testing.T, s *server) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server drains", func() bool { return strings.Contains(s.log.String(), "draining") })
}

func TestDrainKeepsWhatEndsInTime(t *testing.T) {
	data := t.TempDir()
	s := startIn(t, data, "--drain-timeout", "1m")
	endpoint := container(t, s.URL, "live")
	up := beginChunked(t, endpoint, "a.ts", streaming)
	up.chunk("before,")
	untilVisible(t, endpoint, "a.ts")
	f := follow(t, endpoint, "a.ts")
	f.next("before,")

	draining(t, s)
	eventually(t, "nobody can connect any more", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	up.chunk("after")
	up.end()
	up.answer("PUT").etag(t)
	f.next("after")
	f.wantEnd()
	s.wait()
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s = startIn(t, data)
	rawCall(t, "GET", activeEndpoint(t, s.URL, "live"), "a.ts", "").is(t, "after the restart", http.StatusOK, "before,after")
}

func TestDrainCutsTheRest(t *testing.T) {
	data := t.TempDir()
	s := startIn(t, data, "--drain-timeout", "100ms")
	endpoint := container(t, s.URL, "live")
	putObject(t, endpoint, "a.ts", "the old one")
	up := beginChunked(t, endpoint, "a.ts", streaming)
	up.chunk("a part")
	eventually(t, "the upload is visible", func() bool { return rawCall(t, "HEAD", endpoint, "a.ts", "").Header.Get("Content-Length") == "" })
	f := follow(t, endpoint, "a.ts")
	f.next("a part")
	if code := s.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	f.wantCut()
	if b, err := io.ReadAll(up.r); bytes.Contains(b, []byte(" 200 ")) {
		t.Errorf("the upload that was cut got the answer %q, %v", b, err)
	}
	s = startIn(t, data)
	rawCall(t, "GET", activeEndpoint(t, s.URL, "live"), "a.ts", "").is(t, "after the restart", http.StatusOK, "the old one")
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	s := start(t, "--drain-timeout", "1h")
	endpoint := container(t, s.URL, "live")
	up := beginChunked(t, endpoint, "a.ts", streaming)
	up.chunk("a part")
	untilVisible(t, endpoint, "a.ts")
	draining(t, s)
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.wait()
	if status, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGTERM {
		t.Errorf("the process ended with %v", s.cmd.ProcessState)
	}
}

func TestOneProcessPerDataDirectory(t *testing.T) {
	s := start(t)
	endpoint := container(t, s.URL, "live")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	second := exec.CommandContext(ctx, binary, "serve", "--listen", "127.0.0.1:0", "--data", s.Data, "--account", account, "--region", region)
	second.Env = cleanEnv()
	out, err := second.CombinedOutput()
	if code := second.ProcessState.ExitCode(); code != 1 {
		t.Errorf("the second process: exit code %d, %v", code, err)
	}
	if last := lastLine(out); !strings.HasPrefix(last, "headwater: ") || !strings.Contains(last, s.Data) || !strings.Contains(last, "process") {
		t.Errorf("the second process says %q: it should name the directory and that another process uses it", out)
	}
	putObject(t, endpoint, "a.ts", "the first goes on")
	rawCall(t, "GET", endpoint, "a.ts", "").is(t, "the first", http.StatusOK, "the first goes on")
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

var (
	shownKey    = regexp.MustCompile(`(?m)AWS_ACCESS_KEY_ID=(\S+)$`)
	shownSecret = regexp.MustCompile(`(?m)AWS_SECRET_ACCESS_KEY='([^']+)'$`)
)

// startBare starts a server whose root credentials nobody set, and returns what it
// writes to standard output.
func startBare(t *testing.T, data string) (*server, *syncBuffer) {
	t.Helper()
	s := &server{t: t, Data: data, done: make(chan error, 1)}
	out := &syncBuffer{}
	s.cmd = exec.Command(binary, "serve", "--listen", "127.0.0.1:0", "--data", data, "--log-level", "debug")
	s.cmd.Env, s.cmd.Stdout, s.cmd.Stderr = cleanEnv(), out, &s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	go func() { s.done <- s.cmd.Wait() }()
	eventually(t, "the server is ready", func() bool {
		s.URL = urlPattern.FindString(out.String())
		return strings.Contains(out.String(), ")\n") // the end of the start line
	})
	return s, out
}

func TestGeneratedCredentials(t *testing.T) {
	data := filepath.Join(t.TempDir(), "new", "data")
	s, out := startBare(t, data)
	eventually(t, "the key pair is shown", func() bool { return shownSecret.MatchString(out.String()) })
	key, secret := shownKey.FindStringSubmatch(out.String())[1], shownSecret.FindStringSubmatch(out.String())[1]
	listed := func(s *server, secret string) int {
		req, _ := http.NewRequest(http.MethodPost, s.URL+"/", strings.NewReader("{}"))
		req.SetBasicAuth(key, secret)
		req.Header.Set("X-Amz-Target", "MediaStore_20170901.ListContainers")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	if got := []int{listed(s, secret), listed(s, secret+"x")}; got[0] != http.StatusOK || got[1] != http.StatusForbidden {
		t.Errorf("with the key pair that was shown, and with another secret: %d", got)
	}
	checkKeyFile(t, filepath.Join(data, "root-credentials.json"), key, secret)
	if code := s.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}

	again, outAgain := startBare(t, data)
	if got := listed(again, secret); got != http.StatusOK {
		t.Errorf("with the same key pair after a restart: %d", got)
	}
	again.stop()
	if n := strings.Count(out.String(), secret); n != 1 || strings.Contains(outAgain.String(), secret) {
		t.Errorf("the secret was shown %d times at the first start; the second start shows:\n%s", n, outAgain)
	}
	for _, log := range []string{s.log.String(), again.log.String()} {
		if log == "" || strings.Contains(log, secret) {
			t.Errorf("the log is empty or has the secret:\n%s", log)
		}
	}
}

// checkKeyFile fails unless only this user can read the file, and it has the pair.
func checkKeyFile(t *testing.T, file, key, secret string) {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode(); mode != 0o600 {
		t.Errorf("%s has the mode %v", file, mode)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var kept struct{ AccessKeyID, SecretAccessKey string }
	if err := json.Unmarshal(b, &kept); err != nil || kept.AccessKeyID != key || kept.SecretAccessKey != secret {
		t.Errorf("%s does not keep the pair that was shown: %v", file, err)
	}
}
