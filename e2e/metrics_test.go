package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// rootARN is the requester of what is sent with the root user's key pair.
const rootARN = "arn:aws:iam::" + account + ":root"

// note is what a client knows of a request that it has sent and of the answer that
// it has got.
type note struct {
	ID          string
	Container   string
	Operation   string
	Path        string // of the object or folder, with a slash in front
	Status      int
	ErrorCode   string
	Sent        int64 // bytes of the request's body
	Received    int64 // bytes of the answer's body
	Requester   string
	Source      string
	TraceParent string
	Begun       time.Time
	Ended       time.Time
}

// witness is a client of one container that notes all it does. Many goroutines may
// use it.
type witness struct {
	t        *testing.T
	client   *http.Client
	name     string
	endpoint string

	mu struct {
		sync.Mutex
		notes []note
	}
}

// Limits of the servers that a witness is let loose on.
const (
	uploadSlots = "24" // more than the crowd's writers
	lifetime    = 300 * time.Second
)

// witnessOf makes a container that everybody may read and whose objects below
// transient/ live for so long, with an object in it, and returns its witness.
func witnessOf(t *testing.T, s *server, name string) *witness {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 32, ExpectContinueTimeout: time.Minute} // it waits for the answer
	t.Cleanup(transport.CloseIdleConnections)
	w := &witness{t: t, client: &http.Client{Transport: transport}, name: name, endpoint: container(t, s.URL, name)}
	putPolicy(t, s.URL, name, `"Effect":"Allow","Principal":"*","Action":["mediastore:GetObject","mediastore:DescribeObject"]`)
	operate(t, s, "PutLifecyclePolicy", name, "LifecyclePolicy",
		`{"rules":[{"definition":{"path":[{"wildcard":"transient/*"}],"seconds_since_create":[{"numeric":[">=",300]}]},"action":"EXPIRE"}]}`)
	w.do("PUT", "seed/a.ts", strings.Repeat("0123456789", 10_000))
	return w
}

// operate sets a document of a container, or calls another operation that has no
// more input than its name.
func operate(t *testing.T, s *server, operation, name string, members ...any) {
	t.Helper()
	in := map[string]any{"ContainerName": name}
	for i := 0; i < len(members); i += 2 {
		in[members[i].(string)] = members[i+1]
	}
	input, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := control(t, s.URL, operation, string(input)); status != http.StatusOK {
		t.Fatalf("%s: %d %s", operation, status, body)
	}
}

// counted is the body of a request, which counts what the client has taken of it.
type counted struct {
	io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// How a request differs from a plain one by the root user.

func nobody(r *http.Request) { r.Header.Del("Authorization") }

func wrongSecret(r *http.Request) { r.SetBasicAuth(accessKey, "wrong") }

func unsized(r *http.Request) { r.ContentLength = -1 }

// asking is for uploads that may be refused: the client sends the body only when it
// is told to go on, so it knows how much of it has been taken.
func asking(r *http.Request) { r.Header.Set("Expect", "100-continue") }

func with(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// do sends a request to an object, or to a folder ("?Path=a"), and notes it.
func (w *witness) do(method, path, body string, how ...func(*http.Request)) note {
	w.t.Helper()
	content := &counted{Reader: strings.NewReader(body)}
	r, err := http.NewRequest(method, w.endpoint+"/"+path, nil)
	if err != nil {
		w.t.Error(err)
		return note{}
	}
	if body != "" {
		r.Body, r.ContentLength = io.NopCloser(content), int64(len(body))
	}
	r.SetBasicAuth(accessKey, secretKey)
	for _, option := range how {
		option(r)
	}
	n := w.about(r, path)
	res, err := w.client.Do(r)
	if err != nil {
		w.t.Errorf("%s %s: %v", method, path, err)
		return note{}
	}
	defer res.Body.Close()
	if n.Received, err = io.Copy(io.Discard, res.Body); err != nil {
		w.t.Errorf("%s %s: %v", method, path, err)
	}
	n.Sent = content.n
	return w.answered(n, res)
}

// about notes what is known of a request beforehand.
func (w *witness) about(r *http.Request, path string) note {
	n := note{Container: w.name, Path: "/" + path, Requester: "anonymous", Source: "127.0.0.1", TraceParent: r.Header.Get("Traceparent"), Begun: time.Now()}
	if folder, ok := strings.CutPrefix(path, "?Path="); ok {
		n.Path, n.Operation = "/"+folder, "ListItems"
	} else {
		n.Operation = map[string]string{"PUT": "PutObject", "GET": "GetObject", "HEAD": "DescribeObject", "DELETE": "DeleteObject"}[r.Method]
	}
	if _, secret, _ := r.BasicAuth(); secret == secretKey {
		n.Requester = rootARN
	}
	if from := r.Header.Get("X-Forwarded-For"); from != "" {
		n.Source = from
	}
	return n
}

// answered completes a note and keeps it.
func (w *witness) answered(n note, res *http.Response) note {
	n.ID, n.Status, n.ErrorCode, n.Ended = res.Header.Get("x-amzn-RequestId"), res.StatusCode, res.Header.Get("x-amzn-ErrorType"), time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.notes = append(w.mu.notes, n)
	return n
}

// hangUp ends the connections that the client keeps. The server would wait for
// those that it never used for five seconds when it is told to end.
func (w *witness) hangUp() { w.client.CloseIdleConnections() }

func (w *witness) notes() []note {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]note(nil), w.mu.notes...)
}

// crowd is sixteen clients at once, of whom half write and half read.
func (w *witness) crowd(rounds int) {
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for k := range rounds {
				w.write(i, k)
			}
		})
		all.Go(func() {
			for k := range rounds {
				w.read(i, k)
			}
		})
	}
	all.Wait()
}

// write is a round of the i-th writer.
func (w *witness) write(i, k int) {
	from := with("X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i))
	segment := func(k int) string { return fmt.Sprintf("live/w%d/seg%d.ts", i, k) }
	size := 1000*i + 50_000*(k%2) + k + 1 // some are kept in the index, some in volumes
	w.do("PUT", segment(k), strings.Repeat("s", size), from)
	w.do("PUT", fmt.Sprintf("live/w%d/index.m3u8", i), strings.Repeat("m", size/10+1), unsized, with("x-amz-upload-availability", "STREAMING"))
	part := fmt.Sprintf("transient/w%d/part%d.ts", i, k)
	w.do("PUT", part, "soon gone", with("x-amz-upload-availability", "STREAMING"))
	w.do("GET", part, "", from)
	w.do("HEAD", part, "", nobody)
	w.do("DELETE", part, "", asking)
	w.do("PUT", segment(k), "not let in", nobody, asking)
	w.do("PUT", segment(k), "not let in either", wrongSecret, asking, from)
	w.do("DELETE", segment(k-2), "")
	w.do("DELETE", segment(k), "", nobody)
}

// read is a round of the i-th reader.
func (w *witness) read(i, k int) {
	from := with("X-Forwarded-For", fmt.Sprintf("2001:db8::%d", i+1))
	w.do("GET", "seed/a.ts", "", nobody, from)
	w.do("GET", "seed/a.ts", "", with("Range", fmt.Sprintf("bytes=%d-%d", k, k+7*i)))
	w.do("GET", "seed/a.ts", "", with("Range", "bytes=-5"), nobody)
	w.do("GET", "seed/a.ts", "", with("Range", "bytes=9999999-"))
	w.do("GET", "seed/a.ts", "", with("If-None-Match", "*"), from)
	w.do("HEAD", "seed/a.ts", "", nobody)
	w.do("HEAD", "nosuch/b.ts", "")
	w.do("HEAD", "seed/a.ts", "", wrongSecret)
	w.do("GET", "nosuch/index.m3u8", "", from)
	w.do("GET", fmt.Sprintf("live/w%d/index.m3u8", i), "") // while it is uploaded, or not yet there
	w.do("GET", fmt.Sprintf("live/w%d/seg%d.ts", i, k), "", wrongSecret)
	w.do("GET", "?Path=seed", "")
	w.do("GET", fmt.Sprintf("?Path=live/w%d", i), "", from)
	w.do("GET", "?Path=live", "", nobody)
}

// breakOff uploads the beginning of an object, and reads along, to no good end.
// Both sides get to know how many bytes it was.
func (w *witness) breakOff(path string) {
	w.t.Helper()
	const some = "some bytes"
	uploader := w.about(mustRequest(w.t, "PUT"), path)
	up := beginChunked(w.t, w.endpoint, path, streaming)
	up.chunk(some)
	w.untilVisible(path)
	reader := w.about(mustRequest(w.t, "GET"), path)
	f := follow(w.t, w.endpoint, path)
	f.next(some)
	if err := up.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		w.t.Fatal(err)
	}
	f.wantCut()
	f.Header.Set("x-amzn-ErrorType", "ServiceUnavailableException") // which only the logs can say any more
	reader.Received = int64(len(some))
	w.answered(reader, f.Response)
	a := up.answer("PUT")
	uploader.Sent, uploader.Received = int64(len(some)), int64(len(a.Body))
	w.answered(uploader, &http.Response{StatusCode: a.Status, Header: a.Header})
}

// mustRequest is a request of the root user to nothing in particular.
func mustRequest(t *testing.T, method string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(accessKey, secretKey)
	return r
}

func (w *witness) untilVisible(path string) {
	w.t.Helper()
	eventually(w.t, path+" is visible", func() bool { return w.do("HEAD", path, "").Status == http.StatusOK })
}

// overload has as many uploads under way as there may be, and is refused one more
// with a 5xx.
func (w *witness) overload() {
	w.t.Helper()
	slots, err := strconv.Atoi(uploadSlots)
	if err != nil {
		w.t.Fatal(err)
	}
	var held []*rawConn
	var about []note
	for i := range slots {
		path := fmt.Sprintf("live/held%d.ts", i)
		about = append(about, w.about(mustRequest(w.t, "PUT"), path))
		held = append(held, beginChunked(w.t, w.endpoint, path, streaming))
		held[i].chunk("x")
		w.untilVisible(path)
	}
	if n := w.do("PUT", "live/more.ts", "no room for it", asking); n.Status != http.StatusServiceUnavailable {
		w.t.Errorf("one upload too many: %d %s", n.Status, n.ErrorCode)
	}
	for i, up := range held {
		up.end()
		a := up.answer("PUT")
		about[i].Sent, about[i].Received = 1, int64(len(a.Body))
		w.answered(about[i], &http.Response{StatusCode: a.Status, Header: a.Header})
	}
}

// measured is a series of MediaStore's metrics.
type measured struct{ Metric, Container, Group, Type string }

// metricRules are the groups that the tests measure, and inGroups says without
// them which of these hold a path: one may be in both.
const metricRules = `[{"ObjectGroup":"*.m3u8","ObjectGroupName":"manifests"},{"ObjectGroup":"live/*","ObjectGroupName":"channel"}]`

func inGroups(path string) []string {
	groups := []string{""}
	if strings.HasSuffix(path, ".m3u8") {
		groups = append(groups, "manifests")
	}
	if strings.HasPrefix(path, "/live/") {
		groups = append(groups, "channel")
	}
	return groups
}

func putMetricPolicy(t *testing.T, s *server, name string) {
	t.Helper()
	operate(t, s, "PutMetricPolicy", name, "MetricPolicy", map[string]any{"ContainerLevelMetrics": "ENABLED", "MetricPolicyRules": json.RawMessage(metricRules)})
}

// tally is what the metrics must say when the notes are right.
func tally(notes []note) map[measured]float64 {
	all := map[measured]float64{}
	for _, n := range notes {
		kind := strings.NewReplacer("Object", "", "Items", "").Replace(n.Operation)
		for _, group := range inGroups(n.Path) {
			for name, value := range map[string]float64{
				"RequestCount": 1, "4xxErrorCount": one(n.Status/100 == 4), "5xxErrorCount": one(n.Status/100 == 5), "ThrottleCount": one(n.Status == 429),
				"BytesUploaded": float64(n.Sent), "BytesDownloaded": float64(n.Received), "TotalTime": 1, "TurnaroundTime": 1,
			} {
				all[measured{name, n.Container, group, kind}] += value
			}
		}
	}
	return all
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// mediaStoreNames are the names of the metrics in docs/metrics.md; of a histogram,
// how often something was timed.
var mediaStoreNames = map[string]string{
	"mediastore_requests_total":                "RequestCount",
	"mediastore_4xx_errors_total":              "4xxErrorCount",
	"mediastore_5xx_errors_total":              "5xxErrorCount",
	"mediastore_throttles_total":               "ThrottleCount",
	"mediastore_bytes_uploaded_total":          "BytesUploaded",
	"mediastore_bytes_downloaded_total":        "BytesDownloaded",
	"mediastore_total_time_seconds_count":      "TotalTime",
	"mediastore_turnaround_time_seconds_count": "TurnaroundTime",
}

// equalTally waits until the metrics are what the clients counted: an answer is
// counted when it has ended, which its client may know a moment earlier.
func equalTally(t *testing.T, where string, notes []note, read func() map[measured]float64) {
	t.Helper()
	want, got := tally(notes), map[measured]float64{}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if got = read(); maps.Equal(want, got) {
			return
		}
	}
	t.Errorf("%s: the metrics are not what the clients counted (-clients +metrics):\n%s", where, cmp.Diff(want, got))
}

var sampleLine = regexp.MustCompile(`(?m)^(mediastore_\w+)\{container="(\w+)",object_group="(\w*)",request_type="(\w+)"\} (\S+)$`)

// scrape reads MediaStore's metrics where Prometheus would.
func scrape(t *testing.T, page string) map[measured]float64 {
	t.Helper()
	all := map[measured]float64{}
	for _, m := range sampleLine.FindAllStringSubmatch(page, -1) {
		name, known := mediaStoreNames[m[1]]
		value, err := strconv.ParseFloat(m[5], 64)
		if err != nil {
			t.Fatal(err)
		}
		if known {
			all[measured{name, m[2], m[3], m[4]}] = value
		}
	}
	return all
}

var servedAt = regexp.MustCompile(`msg="metrics are served" listen=(\S+)`)

// operators returns the URL of the second listener.
func (s *server) operators() string {
	s.t.Helper()
	m := servedAt.FindStringSubmatch(s.log.String())
	if m == nil {
		s.t.Fatal("the log does not say where metrics are served")
	}
	return "http://" + m[1]
}

// monitor is a Prometheus.
type monitor struct {
	t   *testing.T
	dir string // of its configuration
	URL string
}

var listeningOn = regexp.MustCompile(`msg="Listening on" address=(\S+)`)

// monitored starts a Prometheus with the configuration and the rules of deploy/
// for the server, but scrapes each second and without TLS.
func monitored(t *testing.T, s *server) *monitor {
	t.Helper()
	m := &monitor{t: t, dir: t.TempDir()}
	config := deployed(t, "prometheus/prometheus.yml")
	for _, change := range [][2]string{
		{"scrape_interval: 15s", "scrape_interval: 1s"},
		{"evaluation_interval: 15s", "evaluation_interval: 1s"},
		{"scheme: https", "scheme: http"},
		{"AKIAEXAMPLEEXAMPLE00", accessKey},
		{"/etc/prometheus/headwater-secret", filepath.Join(m.dir, "secret")},
		{"origin.example.com:443", strings.TrimPrefix(s.URL, "http://")},
	} {
		config = replaceOnce(config, change[0], change[1])
	}
	writeFile(t, filepath.Join(m.dir, "prometheus.yml"), config)
	writeFile(t, filepath.Join(m.dir, "alerts.yml"), deployed(t, "prometheus/alerts.yml"))
	writeFile(t, filepath.Join(m.dir, "alerts_test.yml"), deployed(t, "prometheus/alerts_test.yml"))
	writeFile(t, filepath.Join(m.dir, "secret"), secretKey)
	m.start()
	return m
}

func deployed(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (m *monitor) start() {
	m.t.Helper()
	var log syncBuffer
	cmd := exec.Command("prometheus", "--config.file", filepath.Join(m.dir, "prometheus.yml"), "--storage.tsdb.path", filepath.Join(m.dir, "data"), "--web.listen-address", "127.0.0.1:0")
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if m.t.Failed() {
			m.t.Logf("Prometheus's log ends:\n%s", log.tail(4000))
		}
	})
	eventually(m.t, "Prometheus listens", func() bool {
		at := listeningOn.FindStringSubmatch(log.String())
		if at != nil {
			m.URL = "http://" + at[1]
		}
		return at != nil
	})
}

// promtool runs it where the configuration is.
func (m *monitor) promtool(input string, args ...string) {
	m.t.Helper()
	cmd := exec.Command("promtool", args...)
	cmd.Dir, cmd.Stdin = m.dir, strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Errorf("promtool %q: %v\n%s", args, err, out)
	}
}

// get asks the HTTP API of Prometheus.
func (m *monitor) get(path string, out any) {
	m.t.Helper()
	status, body := get(m.t, m.URL+"/api/v1/"+path)
	if status == http.StatusServiceUnavailable { // it has only just begun
		return
	}
	if err := json.Unmarshal(body, &struct{ Data any }{out}); status != http.StatusOK || err != nil {
		m.t.Fatalf("%s: %d %s, %v", path, status, body, err)
	}
}

// sample is one of the answer to a query.
type sample struct {
	Metric map[string]string
	Value  [2]any // a time in seconds and the text of a number
}

func (m *monitor) query(expression string) []sample {
	m.t.Helper()
	var data struct{ Result []sample }
	m.get("query?query="+url.QueryEscape(expression), &data)
	return data.Result
}

// number is the value of a sample.
func (s *sample) number() float64 {
	text, _ := s.Value[1].(string)
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return math.NaN()
	}
	return n
}

// read returns MediaStore's metrics as Prometheus has them.
func (m *monitor) read() map[measured]float64 {
	m.t.Helper()
	all := map[measured]float64{}
	for _, s := range m.query(`{__name__=~"mediastore_.*(_total|_seconds_count)", job="headwater"}`) {
		all[measured{mediaStoreNames[s.Metric["__name__"]], s.Metric["container"], s.Metric["object_group"], s.Metric["request_type"]}] = s.number()
	}
	return all
}

// panels returns the expressions of the dashboard, as Grafana would send them for a
// container.
func panels(t *testing.T, container string) (expressions []string) {
	t.Helper()
	quoted := regexp.MustCompile(`"(?:expr|definition)": *("(?:[^"\\]|\\.)*")`)
	values := regexp.MustCompile(`^label_values\((.*), \w+\)$`)
	for _, m := range quoted.FindAllStringSubmatch(deployed(t, "grafana/headwater.json"), -1) {
		var e string
		if err := json.Unmarshal([]byte(m[1]), &e); err != nil {
			t.Fatal(err)
		}
		e = values.ReplaceAllString(e, "$1")
		e = strings.TrimSuffix(e, " > 0") // an annotation is there only where something has changed
		expressions = append(expressions, strings.NewReplacer("$instance", ".*", "$container", container, "$__rate_interval", "1h").Replace(e))
	}
	if len(expressions) < 50 {
		t.Fatalf("only %d expressions were found", len(expressions))
	}
	return expressions
}

// hasData fails unless every expression gives numbers.
func (m *monitor) hasData(expressions []string) {
	m.t.Helper()
	for _, e := range expressions {
		if strings.Contains(e, "$") {
			m.t.Errorf("a variable is not known to the test: %s", e)
		}
		eventually(m.t, "there is data for "+e, func() bool {
			for _, s := range m.query(e) {
				if !math.IsNaN(s.number()) {
					return true
				}
			}
			return false
		})
	}
}

// rulesWork fails unless every rule is evaluated and none fires that should not.
func (m *monitor) rulesWork() {
	m.t.Helper()
	type group struct {
		Rules []struct{ Name, Health, LastError string }
	}
	var wrong []string
	eventually(m.t, "every rule has been evaluated", func() bool {
		var data struct{ Groups []group }
		m.get("rules", &data)
		rules := 0
		wrong = nil
		for _, g := range data.Groups {
			for _, r := range g.Rules {
				rules++
				if r.Health == "unknown" {
					return false
				}
				if r.Health != "ok" {
					wrong = append(wrong, r.Name+": "+r.LastError)
				}
			}
		}
		return rules >= 15
	})
	if len(wrong) > 0 {
		m.t.Errorf("rules fail: %q", wrong)
	}
}

// forPrometheus starts a server in which everything there is to measure happens:
// its index has blocks on disk, and there are receivers of events and a cold tier.
func forPrometheus(t *testing.T) *server {
	t.Helper()
	data := t.TempDir()
	first := startIn(t, data)
	putObject(t, container(t, first.URL, "before"), "a.ts", "in the index, and flushed when it is opened again")
	first.stop()
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(receiver.Close)
	s, _ := startPrinting(t, data, []string{"HEADWATER_WEBHOOK_SECRET=" + secretKey},
		"--metrics-listen", "127.0.0.1:0", "--max-uploads", uploadSlots, "--webhook", receiver.URL, "--archive", t.TempDir())
	return s
}

const sweptRules = `{"rules":[` +
	`{"definition":{"path":[{"wildcard":"transient/*"}],"seconds_since_create":[{"numeric":[">=",300]}]},"action":"EXPIRE"},` +
	`{"definition":{"path":[{"prefix":"seed/"}],"days_since_create":[{"numeric":[">",1]}]},"action":"EXPIRE"},` +
	`{"definition":{"path":[{"prefix":"live/"}],"days_since_create":[{"numeric":[">=",30]}]},"action":"ARCHIVE"}]}`

// TestPrometheus: sixteen clients at once count what they send and get, and a
// Prometheus that scrapes the server knows it as well as they do.
func TestPrometheus(t *testing.T) {
	s := forPrometheus(t)
	w := witnessOf(t, s, "live")
	w.mu.notes = nil // measured from here on
	putMetricPolicy(t, s, "live")
	operate(t, s, "StartAccessLogging", "live")
	m := monitored(t, s)

	everywhere := func() {
		t.Helper()
		equalTally(t, "second listener", w.notes(), func() map[measured]float64 {
			_, page := get(t, s.operators()+"/-/metrics")
			return scrape(t, string(page))
		})
		equalTally(t, "main listener", w.notes(), func() map[measured]float64 {
			_, _, page := do(t, "GET", s.URL+"/-/metrics", nil)
			return scrape(t, string(page))
		})
		equalTally(t, "Prometheus", w.notes(), m.read)
	}
	// Twice, with a scrape between: a rate is that of a counter's growth.
	for range 2 {
		w.crowd(10)
		w.breakOff("live/broken.ts")
		w.overload()
		everywhere()
		operate(t, s, "PutLifecyclePolicy", "live", "LifecyclePolicy", sweptRules) // which begins a pass
	}
	wantVariety(t, w.notes())
	wantGuarded(t, s)

	m.hasData(panels(t, "live"))
	m.rulesWork()
	_, page := get(t, s.operators()+"/-/metrics")
	m.promtool("", "check", "config", "prometheus.yml")
	m.promtool("", "check", "rules", "alerts.yml")
	m.promtool("", "test", "rules", "alerts_test.yml")
	m.promtool(string(page), "check", "metrics")
}

// wantVariety fails when the clients have not met what they were to meet, or the
// comparison would not say much.
func wantVariety(t *testing.T, notes []note) {
	t.Helper()
	seen := map[string]int{}
	for _, n := range notes {
		seen[fmt.Sprint(n.Operation, " ", n.Status)]++
	}
	for _, outcome := range []string{
		"PutObject 200", "PutObject 401", "PutObject 403", "PutObject 400", "PutObject 503",
		"GetObject 200", "GetObject 206", "GetObject 304", "GetObject 403", "GetObject 404", "GetObject 416",
		"DescribeObject 200", "DescribeObject 403", "DescribeObject 404",
		"DeleteObject 200", "DeleteObject 403", "DeleteObject 404", "ListItems 200", "ListItems 403",
	} {
		if seen[outcome] == 0 {
			t.Errorf("nothing was %q; there was %v", outcome, seen)
		}
	}
}

// wantGuarded: on the main listener the metrics are for who has a key.
func wantGuarded(t *testing.T, s *server) {
	t.Helper()
	for who, status := range map[string]int{
		anonymous:                            http.StatusUnauthorized,
		basic(accessKey, "wrong"):            http.StatusForbidden,
		basic("AKIDSOMEBODYELSE", secretKey): http.StatusForbidden,
	} {
		a := roundTrip(t, s.URL, rawRequest("GET", "/-/metrics", "", who))
		asked := strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Basic ")
		if a.Status != status || asked != (status == http.StatusUnauthorized) || strings.Contains(a.Body, "mediastore_") {
			t.Errorf("%q: %d %v %.200s", who, a.Status, a.Header, a.Body)
		}
	}
}
