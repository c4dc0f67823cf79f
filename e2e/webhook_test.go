package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

const webhookSecret = "a-secret-for-webhooks-in-the-tests"

// notifying starts a server that posts to a webhook.
func notifying(t *testing.T, data, webhook string, args ...string) *server {
	t.Helper()
	s, _ := startPrinting(t, data, []string{"HEADWATER_WEBHOOK_SECRET=" + webhookSecret}, append([]string{"--webhook", webhook}, args...)...)
	return s
}

// patiently is eventually where the server may rest for a minute, which is the
// longest that it does between two attempts.
func patiently(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("it never came to pass that %s", what)
}

// envelope is an event as all receivers get it.
type envelope struct {
	ID         string
	DetailType string `json:"detail-type"`
	Detail     struct {
		ContainerName, Operation, Path string
		ObjectSize                     int64
	}
}

// cloudEvent is what a webhook gets.
type cloudEvent struct {
	ID, Subject string
	Data        envelope
}

// webhookCall is a call as it came, for the script that checks it.
type webhookCall struct {
	Headers map[string]string
	Body    string
}

// receiver is the far end of a webhook. Until it listens, connections to its
// address are refused, and nobody else can take it.
type receiver struct {
	URL    string
	t      *testing.T
	socket *os.File
	mu     struct {
		sync.Mutex
		answer answer
		calls  []webhookCall
		seen   []cloudEvent // whatever the answer was
		taken  []cloudEvent // each once, in the order of the first time
		ids    map[string]bool
	}
}

// answer decides what a call is answered: the context ends with the caller.
type answer func(context.Context, cloudEvent) int

func take(context.Context, cloudEvent) int { return http.StatusNoContent }

func unavailable(context.Context, cloudEvent) int { return http.StatusServiceUnavailable }

// hold answers when nobody is there any more.
func hold(ctx context.Context, _ cloudEvent) int {
	<-ctx.Done()
	return http.StatusGatewayTimeout
}

// newReceiver reserves an address for a receiver.
func newReceiver(t *testing.T) *receiver {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(fd)
	r := &receiver{t: t, socket: os.NewFile(uintptr(fd), "webhook")}
	t.Cleanup(func() { r.socket.Close() })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	r.URL = fmt.Sprintf("http://127.0.0.1:%d/hook?token=secret-of-the-address", name.(*syscall.SockaddrInet4).Port)
	r.mu.ids = map[string]bool{}
	return r
}

// listening is newReceiver that listens from the beginning.
func listening(t *testing.T, how answer) *receiver {
	t.Helper()
	r := newReceiver(t)
	r.listen(how)
	return r
}

func (r *receiver) listen(how answer) {
	r.t.Helper()
	r.answers(how)
	if err := syscall.Listen(int(r.socket.Fd()), 128); err != nil {
		r.t.Fatal(err)
	}
	l, err := net.FileListener(r.socket)
	if err != nil {
		r.t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(r)
	s.Listener.Close()
	s.Listener = l
	s.Start()
	r.t.Cleanup(func() {
		s.CloseClientConnections() // ends those that are held
		s.Close()
	})
}

func (r *receiver) answers(how answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.answer = how
}

// elsewhere is where a redirect of the receiver leads: nobody is to go there.
const elsewhere = "/elsewhere"

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	var e cloudEvent
	if err != nil || json.Unmarshal(body, &e) != nil || e.ID == "" || req.URL.Path != "/hook" || req.Method != http.MethodPost {
		if err == nil { // the caller was not killed while it sent
			r.t.Errorf("the webhook got %s %s %.200q", req.Method, req.URL.Path, body)
		}
		return
	}
	how := r.came(req, string(body), e)
	status := how(req.Context(), e)
	if status == http.StatusNoContent {
		r.took(e)
	}
	if status == http.StatusTemporaryRedirect {
		w.Header().Set("Location", elsewhere)
	}
	w.WriteHeader(status)
}

func (r *receiver) came(req *http.Request, body string, e cloudEvent) answer {
	call := webhookCall{map[string]string{}, body}
	for name := range req.Header {
		call.Headers[strings.ToLower(name)] = req.Header.Get(name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.calls, r.mu.seen = append(r.mu.calls, call), append(r.mu.seen, e)
	return r.mu.answer
}

func (r *receiver) took(e cloudEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.mu.ids[e.ID] {
		r.mu.taken = append(r.mu.taken, e)
	}
	r.mu.ids[e.ID] = true
}

// seen are the events that came, whatever they were answered.
func (r *receiver) seen() []cloudEvent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.mu.seen)
}

// taken are the events that came and were taken, each once.
func (r *receiver) taken() []cloudEvent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.mu.taken)
}

// tookAt reports whether an event of a path was taken.
func (r *receiver) tookAt(path string) bool {
	return slices.ContainsFunc(r.taken(), func(e cloudEvent) bool { return e.Subject == path })
}

// metric is the sum of the samples of a metric that have all of the labels.
func metric(t *testing.T, s *server, name string, labels ...string) (sum float64) {
	t.Helper()
	status, _, body := do(t, http.MethodGet, s.URL+"/-/metrics", nil)
	if status != http.StatusOK {
		t.Fatalf("metrics: %d %s", status, body)
	}
	for line := range strings.Lines(string(body)) {
		sample, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		lacks := func(label string) bool { return !strings.Contains(sample, label) }
		if !strings.HasPrefix(sample, name+"{") || slices.ContainsFunc(labels, lacks) {
			continue
		}
		var n float64
		if _, err := fmt.Sscan(value, &n); err != nil {
			t.Fatalf("metric %q: %v", line, err)
		}
		sum += n
	}
	return sum
}

// backlog is how many events wait for receivers.
func backlog(t *testing.T, s *server) float64 { return metric(t, s, "headwater_events_backlog") }

// dropped is how many events were dropped for a reason.
func dropped(t *testing.T, s *server, reason string) float64 {
	return metric(t, s, "headwater_events_dropped_total", `reason="`+reason+`"`)
}

// change is one of an object: an UPDATE to a size, by which versions are told
// apart, or a REMOVE.
type change struct {
	Operation string
	Size      int64
}

// changer changes objects of its own, one after another, and knows what it did.
type changer struct {
	name    string
	rand    *rand.Rand
	size    int64
	history map[string][]change // that took effect, by path
	pending change              // was not answered
	path    string              // of it
}

func changers(n int) (all []*changer) {
	for i := range n {
		all = append(all, &changer{name: fmt.Sprint("channel", i), rand: rand.New(rand.NewPCG(uint64(i), 3)), history: map[string][]change{}})
	}
	return all
}

// next decides what to do: a path in three is removed when there is something.
func (c *changer) next() (path string, what change) {
	path = fmt.Sprintf("%s/%d.ts", c.name, c.rand.IntN(5))
	if past := c.history[path]; len(past) > 0 && past[len(past)-1].Operation == "UPDATE" && c.rand.IntN(3) == 0 {
		return path, change{Operation: "REMOVE"}
	}
	c.size++
	return path, change{"UPDATE", c.size}
}

// change makes one change. It returns false when there was no answer.
func (c *changer) change(client *http.Client, endpoint string) (bool, error) {
	path, what := c.next()
	method, body := http.MethodPut, strings.Repeat("x", int(what.Size))
	if what.Operation == "REMOVE" {
		method = http.MethodDelete
	}
	req, _ := http.NewRequest(method, endpoint+"/"+path, strings.NewReader(body))
	req.SetBasicAuth(accessKey, secretKey)
	res, err := client.Do(req)
	if err != nil {
		c.path, c.pending = path, what
		return false, nil
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return false, fmt.Errorf("%s %s: %d", method, path, res.StatusCode)
	}
	c.history[path] = append(c.history[path], what)
	return true, nil
}

// settle finds out whether the change that was not answered took effect.
func (c *changer) settle(t *testing.T, endpoint string) {
	t.Helper()
	if c.path == "" {
		return
	}
	a := rawCall(t, "HEAD", endpoint, c.path, "")
	updated := a.Status == http.StatusOK && a.Header.Get("Content-Length") == fmt.Sprint(c.pending.Size)
	removed := a.Status == http.StatusNotFound
	if c.pending.Operation == "UPDATE" && updated || c.pending.Operation == "REMOVE" && removed {
		c.history[c.path] = append(c.history[c.path], c.pending)
	}
	c.path = ""
}

// changeAll lets the changers work until they have made n changes together, or
// nobody answers. It calls last after the n-th.
func changeAll(t *testing.T, endpoint string, all []*changer, n int64, last func()) {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: len(all)}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var begun, done atomic.Int64
	var running sync.WaitGroup
	for _, c := range all {
		running.Go(func() {
			for last != nil || begun.Add(1) <= n {
				answered, err := c.change(client, endpoint)
				if err != nil {
					t.Error(err)
				}
				if !answered {
					return
				}
				if done.Add(1) == n && last != nil {
					last()
				}
			}
		})
	}
	running.Wait()
	if done.Load() < n {
		t.Fatalf("only %d of %d changes were acknowledged", done.Load(), n)
	}
}

// wantHistory fails unless what was taken is what was done: every change, each
// object's in order, and nothing else.
func wantHistory(t *testing.T, taken []envelope, all []*changer) {
	t.Helper()
	want, got := map[string][]change{}, map[string][]change{}
	for _, c := range all {
		for path, past := range c.history {
			want[path] = past
		}
	}
	for _, e := range taken {
		if e.Detail.Path != "" {
			got[e.Detail.Path] = append(got[e.Detail.Path], change{e.Detail.Operation, e.Detail.ObjectSize})
		}
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("what was told is not what was done (-done +told):\n%.4000s", diff)
	}
}

func envelopes(events []cloudEvent) (all []envelope) {
	for _, e := range events {
		all = append(all, e.Data)
	}
	return all
}

// TestEventSurvivesKill kills the server between the acknowledgement of a change
// and the delivery of its event.
func TestEventSurvivesKill(t *testing.T) {
	t.Parallel()
	t.Run("refused", func(t *testing.T) {
		r := newReceiver(t)
		survive(t, r, func(s *server) {
			eventually(t, "a delivery has failed", func() bool { return metric(t, s, "headwater_events_retried_total") > 0 })
		})
	})
	t.Run("under way", func(t *testing.T) {
		r := listening(t, hold)
		survive(t, r, func(*server) {
			eventually(t, "the event is being delivered", func() bool {
				return slices.ContainsFunc(r.seen(), func(e cloudEvent) bool { return e.Subject == "a.ts" })
			})
		})
		ids := map[string]bool{}
		for _, e := range r.seen() {
			if e.Subject == "a.ts" {
				ids[e.ID] = true
			}
		}
		if len(ids) != 1 {
			t.Errorf("before and after the restart the event had the IDs %v", ids)
		}
	})
	t.Run("under load", underLoad)
}

// survive puts an object, waits until its event is undelivered, and kills the
// server.
func survive(t *testing.T, r *receiver, undelivered func(*server)) {
	t.Helper()
	data := t.TempDir()
	s := notifying(t, data, r.URL)
	putObject(t, container(t, s.URL, "live"), "a.ts", "hello")
	undelivered(s)
	s.kill()
	if n := len(r.taken()); n != 0 {
		t.Fatalf("%d events were delivered before", n)
	}
	if r.answers(take); len(r.seen()) == 0 {
		r.listen(take)
	}
	notifying(t, data, r.URL)
	eventually(t, "the event arrives after the restart", func() bool { return r.tookAt("a.ts") })
	for _, e := range r.taken() {
		if e.Subject == "a.ts" && (e.Data.Detail.Operation != "UPDATE" || e.Data.Detail.ObjectSize != 5) {
			t.Errorf("the event is %+v", e)
		}
	}
}

// underLoad kills the server again and again while eight clients work and the
// receiver takes some events, some not, and some never.
func underLoad(t *testing.T) {
	seeded := rand.New(rand.NewPCG(5, 8))
	r := listening(t, take)
	data, all := t.TempDir(), changers(8)
	s := notifying(t, data, r.URL)
	id := strings.TrimPrefix(container(t, s.URL, "live"), s.URL+"/")
	for _, how := range []answer{take, unavailable, sometimes, hold, sometimes} {
		r.answers(how)
		changeAll(t, s.URL+"/"+id, all, 50+seeded.Int64N(200), func() { _ = s.cmd.Process.Kill() })
		s.wait()
		s = notifying(t, data, r.URL)
		for _, c := range all {
			c.settle(t, s.URL+"/"+id)
		}
	}
	r.answers(take)
	patiently(t, "all events are delivered", func() bool { return backlog(t, s) == 0 })
	wantHistory(t, envelopes(r.taken()), all)
	for _, e := range r.seen() {
		if !slices.ContainsFunc(r.taken(), func(taken cloudEvent) bool { return taken.ID == e.ID }) {
			t.Errorf("the event %+v came, and not again", e)
		}
	}
}

// sometimes takes an event of three, refuses another for now, and takes the third
// without saying so.
func sometimes(_ context.Context, e cloudEvent) int {
	return []int{http.StatusNoContent, http.StatusServiceUnavailable, http.StatusBadGateway}[rand.N(3)]
}

// TestWebhookDown: a receiver that is down loses nothing while the bounds allow it,
// and cannot fill the disk.
func TestWebhookDown(t *testing.T) {
	t.Parallel()
	t.Run("for a while", downForAWhile)
	t.Run("for ever, refusing", func(t *testing.T) { downForEver(t, newReceiver(t), 5000) })
	t.Run("for ever, hanging", func(t *testing.T) { downForEver(t, listening(t, hold), 1500) })
	t.Run("for too long", downForTooLong)
}

// downForAWhile has an outage that is short by the clock, and long by the attempts
// that fail in it: nothing in it depends on how long it takes.
func downForAWhile(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	s := notifying(t, t.TempDir(), r.URL)
	endpoint := container(t, s.URL, "live")
	all := changers(8)
	changeAll(t, endpoint, all, 2000, nil)
	patiently(t, "attempts to connect fail", func() bool { return metric(t, s, "headwater_events_retried_total") >= 8 })
	r.listen(unavailable)
	patiently(t, "the receiver answers 503 again and again", func() bool { return len(r.seen()) >= 8 })
	if n := len(r.taken()); n != 0 {
		t.Errorf("%d events were taken while it was down", n)
	}
	r.answers(take)
	patiently(t, "all events are delivered", func() bool { return backlog(t, s) == 0 })
	wantHistory(t, envelopes(r.taken()), all)
	if n := metric(t, s, "headwater_events_dropped_total"); n != 0 {
		t.Errorf("%g events were dropped", n)
	}
	if delivered, want := metric(t, s, "headwater_events_delivered_total"), float64(len(r.taken())); delivered != want {
		t.Errorf("%g events are counted as delivered, want %g", delivered, want)
	}
}

// downForEver makes more changes than may wait.
func downForEver(t *testing.T, r *receiver, changes int64) {
	t.Parallel()
	const limit = 500
	s := notifying(t, t.TempDir(), r.URL, "--events-limit", fmt.Sprint(limit), "--events-retain", "100")
	endpoint := container(t, s.URL, "live")
	changeAll(t, endpoint, changers(8), changes, nil)
	lost := changes + 1 - limit // one more is that of the container
	patiently(t, "the oldest are dropped, and counted", func() bool { return dropped(t, s, "overflow") == float64(lost) })
	patiently(t, "the newest wait", func() bool { return backlog(t, s) == limit })

	var kept []streamEvent
	patiently(t, "the log is trimmed", func() bool {
		kept = readStream(t, s, "after=0", 2)
		return kept[0].Name == "gap"
	})
	if kept[0].Data != fmt.Sprintf(`{"missed":%d}`, lost) {
		t.Errorf("the log begins with %+v, want %d to be missed", kept[0], lost)
	}
	kept = readStream(t, s, "after=0", limit+1)
	if last := kept[limit]; last.ID != fmt.Sprint(changes+1) {
		t.Errorf("the log ends at %s, want %d", last.ID, changes+1)
	}
	if n := len(r.taken()); n != 0 {
		t.Errorf("%d events were taken", n)
	}
}

// downForTooLong lets the events become too old.
func downForTooLong(t *testing.T) {
	t.Parallel()
	r, data := newReceiver(t), t.TempDir()
	s := notifying(t, data, r.URL, "--events-max-age", "1s")
	changeAll(t, container(t, s.URL, "live"), changers(2), 20, nil)
	patiently(t, "the events are too old", func() bool { return dropped(t, s, "age") == 21 })
	patiently(t, "none waits", func() bool { return backlog(t, s) == 0 })
	if code := s.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	r.listen(take)
	s = notifying(t, data, r.URL)
	putObject(t, activeEndpoint(t, s.URL, "live"), "after.ts", "x")
	eventually(t, "a new event is delivered", func() bool { return r.tookAt("after.ts") })
	if taken := r.taken(); len(taken) != 1 {
		t.Errorf("%d events were delivered, want only the new one", len(taken))
	}
}

// TestWebhookSignature has calls checked by a verifier that shares no code with the
// server, with a secret in both its forms.
func TestWebhookSignature(t *testing.T) {
	t.Parallel()
	for name, secret := range map[string]string{
		"text":   webhookSecret,
		"base64": "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", // Standard Webhooks' own example
	} {
		t.Run(name, func(t *testing.T) {
			r := listening(t, take)
			env := []string{"HEADWATER_WEBHOOK_SECRET=" + secret}
			s, _ := startPrinting(t, t.TempDir(), env, "--webhook", r.URL)
			endpoint := container(t, s.URL, "live")
			putObject(t, endpoint, "a/b=1:c~.ts", "hello")
			rawCall(t, "DELETE", endpoint, "a/b=1:c~.ts", "").is(t, "DELETE", http.StatusOK, "")
			removeContainer(t, s.URL, "live")
			eventually(t, "all events are delivered", func() bool { return len(r.taken()) == 4 })
			calls, err := json.Marshal(r.mu.calls)
			if err != nil {
				t.Fatal(err)
			}
			runPython(t, s.URL, "webhook.py", "WEBHOOK_CALLS="+inFile(t, "calls.json", string(calls)), "WEBHOOK_SECRET="+secret, "WEBHOOK_ENDPOINT="+endpoint)
			wantSecret(t, s, env, secret)
		})
	}
}

func removeContainer(t *testing.T, url, name string) {
	t.Helper()
	eventually(t, "the container can be deleted", func() bool {
		status, _ := control(t, url, "DeleteContainer", `{"ContainerName":"`+name+`"}`)
		return status == http.StatusOK
	})
}

// wantSecret fails when a secret shows.
func wantSecret(t *testing.T, s *server, env []string, secret string) {
	t.Helper()
	printed, stderr, code := verb(t, env, "config", "print", "--webhook", "http://127.0.0.1:1/")
	if code != 0 || !strings.Contains(printed, "webhook") {
		t.Errorf("config print: exit code %d, %s", code, stderr)
	}
	_, _, metrics := do(t, http.MethodGet, s.URL+"/-/metrics", nil)
	for where, text := range map[string]string{"config print": printed + stderr, "the log": s.log.String(), "the metrics": string(metrics)} {
		if strings.Contains(text, strings.TrimPrefix(secret, "whsec_")) {
			t.Errorf("%s shows the secret: %s", where, text)
		}
		if strings.Contains(text, "secret-of-the-address") {
			t.Errorf("%s shows the URL's query: %s", where, text)
		}
	}
}

// TestWebhookAnswers: what the receiver does not want holds nothing up, what it
// cannot take comes again, and nobody is sent elsewhere.
func TestWebhookAnswers(t *testing.T) {
	t.Parallel()
	var moved atomic.Int64
	r := listening(t, func(_ context.Context, e cloudEvent) int {
		switch {
		case e.Subject == "poison.ts":
			return http.StatusBadRequest
		case e.Subject == "moved.ts" && moved.Add(1) <= 2:
			return http.StatusTemporaryRedirect // ServeHTTP fails the test when it is followed
		default:
			return http.StatusNoContent
		}
	})
	s := notifying(t, t.TempDir(), r.URL)
	endpoint := container(t, s.URL, "live")
	for _, path := range []string{"poison.ts", "moved.ts", "poison.ts", "good.ts"} {
		putObject(t, endpoint, path, "x")
	}
	patiently(t, "nothing waits", func() bool { return backlog(t, s) == 0 })
	calls := map[string]int{}
	for _, e := range r.seen() {
		calls[cmp.Or(e.Subject, "container")]++
	}
	if diff := gocmp.Diff(map[string]int{"container": 1, "poison.ts": 2, "moved.ts": 3, "good.ts": 1}, calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	for reason, want := range map[string]float64{"refused": 2, "overflow": 0, "age": 0} {
		if got := dropped(t, s, reason); got != want {
			t.Errorf("%g events were dropped for the reason %s, want %g", got, reason, want)
		}
	}
	wantSecret(t, s, []string{"HEADWATER_WEBHOOK_SECRET=" + webhookSecret}, webhookSecret)
}
