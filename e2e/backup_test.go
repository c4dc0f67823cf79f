package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// journal is what several writers have done: for each path its states in order, and
// which of them was acknowledged last.
type journal struct {
	done atomic.Int64 // operations that were acknowledged
	mu   struct {
		sync.Mutex
		states map[string][]string
		acked  map[string]int
	}
}

func newJournal() *journal {
	j := &journal{}
	j.mu.states, j.mu.acked = map[string][]string{}, map[string]int{}
	return j
}

func (j *journal) begin(path, state string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.mu.states[path] == nil {
		j.mu.states[path] = []string{gone}
	}
	j.mu.states[path] = append(j.mu.states[path], state)
}

func (j *journal) acknowledge(path string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.mu.acked[path] = len(j.mu.states[path]) - 1
	j.done.Add(1)
}

// promised is which state of each path must be, or a later one, in a backup that
// begins now.
func (j *journal) promised() map[string]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	m := map[string]int{}
	for path, i := range j.mu.acked {
		m[path] = i
	}
	return m
}

// possible are the states of each path in a backup that has ended now.
func (j *journal) possible(promised map[string]int) map[string][]string {
	j.mu.Lock()
	defer j.mu.Unlock()
	m := map[string][]string{}
	for path, states := range j.mu.states {
		m[path] = slices.Clone(states[promised[path]:])
	}
	return m
}

// write lets a writer work until stop ends or something fails.
func (j *journal) write(stop context.Context, w *writer, client *http.Client, endpoint string) error {
	for stop.Err() == nil {
		op := w.next(endpoint)
		if w.paths[op.path] == nil {
			w.paths[op.path] = &history{acknowledged: gone}
		}
		j.begin(op.path, op.state)
		op.request.SetBasicAuth(accessKey, secretKey)
		res, err := client.Do(op.request)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		notThere := op.state == gone && w.paths[op.path].acknowledged == gone && res.StatusCode == http.StatusNotFound
		if err != nil || res.StatusCode != http.StatusOK && !notThere {
			return fmt.Errorf("%s %s: %d, %w", op.request.Method, op.path, res.StatusCode, err)
		}
		w.paths[op.path].acknowledged = op.state
		j.acknowledge(op.path)
	}
	return nil
}

// mustVerb runs a verb with a client's environment and more.
func mustVerb(t *testing.T, env []string, args ...string) {
	t.Helper()
	if _, stderr, code := verb(t, append(clientEnv(""), env...), args...); code != 0 {
		t.Fatalf("headwater %s: exit code %d\n%s", strings.Join(args, " "), code, stderr)
	}
}

// refused runs a verb that must fail with one line that says why.
func refused(t *testing.T, env []string, want string, args ...string) {
	t.Helper()
	_, stderr, code := verb(t, append(clientEnv(""), env...), args...)
	if code != 1 || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
		t.Errorf("%v: exit code %d, %q, want %q", args, code, stderr, want)
	}
}

// TestBackupUnderLoad backs a server up while eight writers work, and restores.
func TestBackupUnderLoad(t *testing.T) {
	t.Run("linked", func(t *testing.T) {
		to := filepath.Join(t.TempDir(), "backup")
		s := backupUnderLoad(t, to, false, nil)
		if !sharesVolume(t, s.Data, to) {
			t.Error("no volume in the backup is a hard link")
		}
	})
	t.Run("downloaded", func(t *testing.T) {
		to := filepath.Join(t.TempDir(), "backup")
		s := backupUnderLoad(t, to, true, nil)
		if sharesVolume(t, s.Data, to) {
			t.Error("a volume in the backup is a hard link")
		}
	})
	t.Run("bucket", func(t *testing.T) {
		endpoint, env := startS3(t)
		backupUnderLoad(t, "s3://backups/some/prefix", false, env, "--s3-endpoint", endpoint, "--s3-profile", "s3", "--s3-region", "us-east-1")
	})
	t.Run("bucket from elsewhere", func(t *testing.T) {
		endpoint, env := startS3(t)
		backupUnderLoad(t, "s3://backups", true, env, "--s3-endpoint", endpoint, "--s3-profile", "s3", "--s3-region", "us-east-1")
	})
}

// backupUnderLoad makes a backup, from another machine when that is said, restores
// it, and holds the restored server against what writers know. It returns the
// server that was backed up, which has ended.
func backupUnderLoad(t *testing.T, to string, elsewhere bool, env []string, flags ...string) *server {
	t.Helper()
	s := start(t)
	endpoint := container(t, s.URL, "live")
	id := strings.TrimPrefix(endpoint, s.URL)
	url := s.URL
	if elsewhere {
		url = otherMachine(t, s.URL)
	}
	possible := loadAndBackUp(t, endpoint, func() {
		mustVerb(t, env, append([]string{"backup", to, "--endpoint", url}, flags...)...)
	})
	s.kill()

	data := filepath.Join(t.TempDir(), "data")
	mustVerb(t, env, append([]string{"restore", to, "--data", data}, flags...)...)
	restored := startIn(t, data)
	checkStates(t, restored.URL+id, possible)
	if got := activeEndpoint(t, restored.URL, "live"); got != restored.URL+id {
		t.Errorf("the container's endpoint is %s", got)
	}
	putObject(t, restored.URL+id, "new.ts", "the restored server goes on")
	return s
}

// loadAndBackUp calls backUp while writers work, and returns what each path may hold
// in the backup.
func loadAndBackUp(t *testing.T, endpoint string, backUp func()) map[string][]string {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	defer transport.CloseIdleConnections()
	j := newJournal()
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	defer writers.Wait()
	defer stop()
	for n := range 8 {
		writers.Go(func() {
			if err := j.write(ctx, newWriter(n), &http.Client{Transport: transport}, endpoint); err != nil {
				t.Error(err)
			}
		})
	}
	reach := func(n int64) {
		eventually(t, fmt.Sprint(n, " operations are acknowledged"), func() bool { return j.done.Load() >= n || t.Failed() })
	}
	reach(200)
	promised, before := j.promised(), j.done.Load()
	backUp()
	possible, after := j.possible(promised), j.done.Load()
	if after == before {
		t.Error("nothing was acknowledged while the backup was made")
	}
	reach(after + 100) // the server goes on
	return possible
}

// checkStates holds what can be read, and what is listed, against what is possible.
func checkStates(t *testing.T, endpoint string, possible map[string][]string) {
	t.Helper()
	var readable []string
	for path, states := range possible {
		state := readState(t, http.DefaultClient, endpoint, path)
		if !slices.Contains(states, state) {
			t.Errorf("%s is %q, possible are %q", path, state, states)
		}
		if state != gone {
			readable = append(readable, path)
		}
	}
	slices.Sort(readable)
	if listed := tree(t, endpoint, ""); !slices.Equal(readable, listed) {
		t.Errorf("%d objects can be read and %d are listed:\n%q\n%q", len(readable), len(listed), readable, listed)
	}
	if len(readable) < 20 {
		t.Errorf("only %d objects are there: this has not tested much", len(readable))
	}
}

// sharesVolume reports whether a backup has a volume that is the server's own file.
func sharesVolume(t *testing.T, data, backup string) bool {
	t.Helper()
	volumes, err := filepath.Glob(filepath.Join(backup, "store/volumes/*.vol"))
	if err != nil || len(volumes) == 0 {
		t.Fatalf("there are no volumes in the backup: %v", err)
	}
	return slices.ContainsFunc(volumes, func(volume string) bool {
		a, errA := os.Stat(volume)
		b, errB := os.Stat(filepath.Join(data, "store/volumes", filepath.Base(volume)))
		return errA == nil && errB == nil && os.SameFile(a, b)
	})
}

// otherMachine is the server as seen from a machine that has none of its files.
func otherMachine(t *testing.T, server string) string {
	t.Helper()
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
		ModifyResponse: func(res *http.Response) error {
			if res.StatusCode != http.StatusCreated {
				return nil
			}
			var c map[string]any
			if err := json.NewDecoder(res.Body).Decode(&c); err != nil {
				return err
			}
			c["path"] = "/nowhere"
			b, err := json.Marshal(c)
			res.Body = io.NopCloser(bytes.NewReader(b))
			res.Header.Del("Content-Length")
			res.ContentLength = -1
			return err
		},
	}
	front := httptest.NewServer(proxy)
	t.Cleanup(front.Close)
	return front.URL
}

// startS3 starts an S3-compatible server with an empty bucket, and returns its URL
// and the environment in which the profile s3 has credentials for it.
func startS3(t *testing.T) (endpoint string, env []string) {
	t.Helper()
	data, metadata, key, secret := t.TempDir(), t.TempDir(), "AK"+rand.Text(), rand.Text()
	if err := os.Mkdir(filepath.Join(data, "backups"), 0o700); err != nil {
		t.Fatal(err)
	}
	profile := filepath.Join(t.TempDir(), "credentials")
	text := fmt.Sprintf("[s3]\naws_access_key_id = %s\naws_secret_access_key = %s\n", key, secret)
	if err := os.WriteFile(profile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	cmd := exec.CommandContext(t.Context(), "../bin/versitygw", "--port", address, "--health", "/health", "--quiet", "posix", "--sidecar", metadata, data)
	cmd.Env = append(cleanEnv(), "ROOT_ACCESS_KEY="+key, "ROOT_SECRET_KEY="+secret)
	if err := cmd.Start(); err != nil {
		t.Fatalf("the S3-compatible server is not installed: run make tools (%v)", err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	eventually(t, "the S3 server answers", func() bool {
		res, err := http.Get("http://" + address + "/health")
		if err == nil {
			res.Body.Close()
		}
		return err == nil && res.StatusCode == http.StatusOK
	})
	return "http://" + address, []string{"AWS_SHARED_CREDENTIALS_FILE=" + profile}
}

// TestBackupIsWhole: what is no complete backup is refused, and a store that is
// there is not touched; the server keeps no copy.
func TestBackupIsWhole(t *testing.T) {
	s := start(t)
	endpoint := container(t, s.URL, "live")
	putObject(t, endpoint, "a.ts", strings.Repeat("a", 100_000))
	to, data := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "data")
	mustVerb(t, nil, "backup", to, "--endpoint", s.URL)
	if left, _ := os.ReadDir(filepath.Join(s.Data, "checkpoints")); len(left) > 0 {
		t.Errorf("the server has kept %v", left)
	}
	refused(t, nil, "is not empty", "backup", to, "--endpoint", s.URL)
	refused(t, nil, "holds a store already", "restore", to, "--data", s.Data)
	refused(t, nil, "the root key pair is set by the server's configuration", "backup", to+"2", "--endpoint", s.URL, "--include-credentials")
	if err := os.Rename(filepath.Join(to, "headwater-backup.json"), filepath.Join(to, "later.json")); err != nil {
		t.Fatal(err)
	}
	refused(t, nil, "there is no backup, or one that was not completed", "restore", to, "--data", data)
	if err := os.Rename(filepath.Join(to, "later.json"), filepath.Join(to, "headwater-backup.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(to, "store/FORMAT")); err != nil {
		t.Fatal(err)
	}
	refused(t, nil, "nothing was restored: store/FORMAT", "restore", to, "--data", data)
	if left, _ := os.ReadDir(data); len(left) > 0 {
		t.Errorf("a restore that was refused has left %v", left)
	}
	refused(t, []string{"AWS_SECRET_ACCESS_KEY=wrong"}, "403", "backup", to+"3", "--endpoint", s.URL)
	memory := start(t, "--engine", "memory")
	refused(t, nil, "the server makes no backups", "backup", to+"4", "--endpoint", memory.URL)
}

// TestBackupWithCredentials: the generated key pair comes back when it was asked for.
func TestBackupWithCredentials(t *testing.T) {
	s, out := startBare(t, t.TempDir())
	eventually(t, "the key pair is shown", func() bool { return shownSecret.MatchString(out.String()) })
	key, secret := shownKey.FindStringSubmatch(out.String())[1], shownSecret.FindStringSubmatch(out.String())[1]
	env := []string{"AWS_ACCESS_KEY_ID=" + key, "AWS_SECRET_ACCESS_KEY=" + secret, "AWS_REGION=us-east-1"}
	for name, flags := range map[string][]string{"without": nil, "with": {"--include-credentials"}} {
		to, data := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "data")
		mustVerb(t, env, append([]string{"backup", to, "--endpoint", s.URL}, flags...)...)
		mustVerb(t, nil, "restore", to, "--data", data)
		kept := filepath.Join(data, "root-credentials.json")
		if name == "with" {
			checkKeyFile(t, kept, key, secret)
		} else if _, err := os.Stat(kept); err == nil {
			t.Error("the key pair is in a backup that nobody asked to have it")
		}
	}
}

// TestBackupIsInterrupted: Ctrl-C leaves neither a part of a backup nor the server's
// copy.
func TestBackupIsInterrupted(t *testing.T) {
	s := start(t)
	putObject(t, container(t, s.URL, "live"), "a.ts", strings.Repeat("a", 100_000))
	asked := make(chan struct{}, 100)
	front := httptest.NewServer(hanging(t, otherMachine(t, s.URL), asked))
	defer front.Close()
	to := filepath.Join(t.TempDir(), "backup")
	cmd := exec.CommandContext(t.Context(), binary, "backup", to, "--endpoint", front.URL)
	var stderr bytes.Buffer
	cmd.Env, cmd.Stderr = clientEnv(""), &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-asked
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the code says it
	if code := cmd.ProcessState.ExitCode(); code != 1 || stderr.String() != "headwater: no backup was made: interrupted\n" {
		t.Errorf("exit code %d, %q", code, &stderr)
	}
	if _, err := os.Stat(to); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something is left: %v", err)
	}
	if left, _ := os.ReadDir(filepath.Join(s.Data, "checkpoints")); len(left) > 0 {
		t.Errorf("the server has kept %v", left)
	}
}

// hanging is a server that never sends a volume.
func hanging(t *testing.T, server string, asked chan<- struct{}) http.Handler {
	t.Helper()
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host }}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".vol") {
			asked <- struct{}{}
			<-r.Context().Done()
			return
		}
		proxy.ServeHTTP(w, r)
	})
}
