package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	account   = "111122223333"
	accessKey = "AKIDHEADWATERBENCH"
	secretKey = "a-secret-key-for-the-benchmarks"
)

// server is a running headwater.
type server struct {
	b   *testing.B
	cmd *exec.Cmd
	url string
}

// build builds the binary once for a benchmark.
func build(b *testing.B) string {
	b.Helper()
	binary := filepath.Join(b.TempDir(), "headwater")
	if out, err := exec.Command("go", "build", "-o", binary, "headwater/cmd/headwater").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// start runs the binary on a data directory until stop is called.
func start(b *testing.B, binary, data string, args ...string) *server {
	b.Helper()
	cmd := exec.Command(binary, append([]string{"serve", "--listen", "127.0.0.1:0", "--data", data, "--account", account, "--log-level", "warn"}, args...)...)
	cmd.Env = append(os.Environ(), "HEADWATER_ROOT_ACCESS_KEY="+accessKey, "HEADWATER_ROOT_SECRET_KEY="+secretKey)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	url := regexp.MustCompile(`https?://\S+`).FindString(line)
	if err != nil || url == "" {
		b.Fatalf("no start line: %q, %v", line, err)
	}
	return &server{b: b, cmd: cmd, url: url}
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(os.Interrupt)
	_ = s.cmd.Wait()
}

// memory is the resident set of the server, in bytes (proc(5)).
func (s *server) memory() int64 { return s.statusField("VmRSS:") }

// peak is the largest it ever was.
func (s *server) peak() int64 { return s.statusField("VmHWM:") }

func (s *server) statusField(name string) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		s.b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), name)
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		s.b.Fatal(err)
	}
	return kib << 10
}

// cpu is the processor time that the server has used (proc(5), stat).
func (s *server) cpu() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		s.b.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// client keeps as many connections as there are users of it.
func client(users int) *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: users}}
}

// call sends a request as root and returns the body of its answer, which must
// not be an error.
func call(b *testing.B, c *http.Client, method, url string, body []byte, headers ...string) []byte {
	b.Helper()
	r, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	r.SetBasicAuth(accessKey, secretKey)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := c.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		b.Fatalf("%s %s: %d %s, %v", method, url, res.StatusCode, answer, err)
	}
	return answer
}

// control calls an operation of the control plane.
func (s *server) control(operation, input string) []byte {
	s.b.Helper()
	return call(s.b, http.DefaultClient, http.MethodPost, s.url+"/", []byte(input), "X-Amz-Target", "MediaStore_20170901."+operation)
}

// endpoint waits for a container and returns its address.
func (s *server) endpoint(name string) string {
	s.b.Helper()
	for {
		m := regexp.MustCompile(`"Endpoint":"([^"]+)"`).FindSubmatch(s.control("DescribeContainer", `{"ContainerName":"`+name+`"}`))
		if m != nil {
			return string(m[1])
		}
		time.Sleep(10 * time.Millisecond)
	}
}
