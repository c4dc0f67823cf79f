package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	account   = "111122223333"
	region    = "us-west-2"
	accessKey = "AKIDHEADWATERTEST"
	secretKey = "a-secret-key-for-end-to-end-tests"
)

// binary is the program under test, built by TestMain.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "headwater-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "headwater")
	build := exec.Command("go", "build", "-o", binary, "headwater/cmd/headwater")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// server is a running `headwater serve`.
type server struct {
	t    *testing.T
	cmd  *exec.Cmd
	URL  string // of the server itself
	Data string
	log  syncBuffer
	done chan error // gets what Wait returned
}

// start runs the binary with the root key pair and region of the tests, and
// waits for its start line. It is killed when the test ends, unless it has ended
// before.
func start(t *testing.T, args ...string) *server {
	t.Helper()
	return startIn(t, t.TempDir(), args...)
}

// startIn is start on a data directory that exists.
func startIn(t *testing.T, data string, args ...string) *server {
	t.Helper()
	s, _ := startPrinting(t, data, nil, args...)
	return s
}

// startPrinting is startIn with more in the environment. It returns what the
// server writes to standard output, too.
func startPrinting(t *testing.T, data string, env []string, args ...string) (*server, *syncBuffer) {
	t.Helper()
	s := &server{t: t, Data: data, done: make(chan error, 1)}
	out := &syncBuffer{}
	s.cmd = exec.Command(binary, append([]string{
		"serve", "--listen", "127.0.0.1:0", "--data", data, "--account", account, "--region", region, "--log-level", "debug",
	}, args...)...)
	s.cmd.Env = append(append(cleanEnv(), "HEADWATER_ROOT_ACCESS_KEY="+accessKey, "HEADWATER_ROOT_SECRET_KEY="+secretKey), env...)
	s.cmd.Stdout, s.cmd.Stderr = out, &s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	go func() { s.done <- s.cmd.Wait() }()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server's log ends:\n%s", s.log.tail(8000))
		}
	})
	eventually(t, "the server is ready", func() bool {
		line, _, whole := strings.Cut(out.String(), "\n")
		s.URL = urlPattern.FindString(line)
		return whole
	})
	return s, out
}

var urlPattern = regexp.MustCompile(`https?://\S+`)

// kill ends the server as a power cut would end it, and waits.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	s.wait()
}

// stop sends SIGTERM and returns the exit code.
func (s *server) stop() int {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	s.wait()
	return s.cmd.ProcessState.ExitCode()
}

func (s *server) wait() {
	err := <-s.done
	s.done <- err // whoever waits next gets it too
}

// cleanEnv is the environment without what would configure a client or server.
func cleanEnv() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "AWS_") && !strings.HasPrefix(kv, "HEADWATER_") {
			env = append(env, kv)
		}
	}
	return env
}

// clientEnv is the environment of an AWS client that is to talk to endpoint.
func clientEnv(endpoint string) []string {
	return append(cleanEnv(),
		"HEADWATER_URL="+endpoint,
		"AWS_ACCESS_KEY_ID="+accessKey,
		"AWS_SECRET_ACCESS_KEY="+secretKey,
		"AWS_DEFAULT_REGION="+region,
		"AWS_REGION="+region,
		"AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=/dev/null",
		"AWS_SHARED_CREDENTIALS_FILE=/dev/null",
		"AWS_PAGER=",
		"AWS_MAX_ATTEMPTS=1",
		"PATH=/usr/local/bin:/usr/bin:/bin", // Debian's own clients
	)
}

// get fetches a URL without credentials.
func get(t *testing.T, url string) (int, []byte) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, body
}

// do sends a request as the root user by HTTP Basic and returns the status and
// body. Extra headers are name, value pairs.
func do(t *testing.T, method, url string, body io.Reader, headers ...string) (int, http.Header, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(accessKey, secretKey)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, b
}

// control calls an operation of the control plane as the root user and returns
// the status and body.
func control(t *testing.T, endpoint, operation, input string) (int, []byte) {
	t.Helper()
	status, _, body := do(t, http.MethodPost, endpoint+"/", strings.NewReader(input),
		"X-Amz-Target", "MediaStore_20170901."+operation, "Content-Type", "application/x-amz-json-1.1")
	return status, body
}

var endpointPattern = regexp.MustCompile(`"Endpoint":"([^"]+)"`)

// container makes an ACTIVE container and returns its data-plane endpoint.
func container(t *testing.T, endpoint, name string) string {
	t.Helper()
	if status, body := control(t, endpoint, "CreateContainer", `{"ContainerName":"`+name+`"}`); status != http.StatusOK {
		t.Fatalf("CreateContainer: %d %s", status, body)
	}
	var found string
	eventually(t, "the container is ACTIVE", func() bool {
		_, body := control(t, endpoint, "DescribeContainer", `{"ContainerName":"`+name+`"}`)
		m := endpointPattern.FindSubmatch(body)
		if m == nil || !bytes.Contains(body, []byte(`"ACTIVE"`)) {
			return false
		}
		found = string(m[1])
		return true
	})
	return found
}

// eventually waits for something that takes its own time. The bound is there to
// end a test that hangs: it says nothing about how long the thing should take.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("it never came to pass that %s", what)
}

// syncBuffer is a log that is written and read at once.
type syncBuffer struct {
	mu struct {
		sync.Mutex
		bytes.Buffer
	}
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.String()
}

func (b *syncBuffer) tail(n int) string {
	s := b.String()
	return s[max(0, len(s)-n):]
}
