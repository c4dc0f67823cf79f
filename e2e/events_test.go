package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"headwater/internal/awstest"
)

// streamEvent is one of a stream of Server-Sent Events.
type streamEvent struct{ ID, Name, Data string }

// nextEvent reads a stream to the end of its next event.
func nextEvent(lines *bufio.Scanner) (e streamEvent, ok bool) {
	for lines.Scan() {
		switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
		case "id":
			e.ID = value
		case "event":
			e.Name = value
		case "data":
			e.Data = value
		case "":
			if lines.Text() == "" && e.Data != "" {
				return e, true
			}
		}
	}
	return e, false
}

// parseStream are the events of a stream, and the last place that it told.
func parseStream(text string) (events []streamEvent, place string) {
	lines := bufio.NewScanner(strings.NewReader(text))
	for {
		e, ok := nextEvent(lines)
		if e.ID != "" {
			place = e.ID
		}
		if !ok {
			return events, place
		}
		events = append(events, e)
	}
}

// readStream reads the first n events of a stream.
func readStream(t *testing.T, s *server, query string, n int, headers ...string) (events []streamEvent) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // ends a test that hangs
	defer cancel()
	c := newClient(t, &http.Transport{})
	res, err := c.begin(ctx, true, http.MethodGet, s.URL+"/-/events?"+query, nil, headers...)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if ct := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || ct != "text/event-stream" {
		t.Fatalf("the stream is answered %d, %s", res.StatusCode, ct)
	}
	lines := bufio.NewScanner(res.Body)
	for len(events) < n {
		e, ok := nextEvent(lines)
		if !ok {
			t.Fatalf("the stream ended after %d events of %d: %v", len(events), n, lines.Err())
		}
		events = append(events, e)
	}
	return events
}

// process is a client that runs beside the test.
type process struct {
	t           *testing.T
	cmd         *exec.Cmd
	out, errors syncBuffer
	ended       func() error
}

// launch starts a client. It is killed when the test ends, unless it has ended
// before.
func launch(t *testing.T, env []string, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(name, args...)}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, &p.out, &p.errors
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.ended = sync.OnceValue(p.cmd.Wait)
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.ended()
	})
	return p
}

// curlEvents follows the stream of events as curl does, and waits until it is connected.
func curlEvents(t *testing.T, s *server, query string) *process {
	t.Helper()
	p := launch(t, cleanEnv(), "curl", "--no-progress-meter", "-N", "-u", accessKey+":"+secretKey, s.URL+"/-/events?"+query)
	eventually(t, "curl is connected", func() bool { return strings.Contains(p.out.String(), "\n\n") })
	return p
}

// events waits until n have come.
func (p *process) events(n int) (events []streamEvent) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("there are %d events", n), func() bool {
		events, _ = parseStream(p.out.String())
		return len(events) >= n
	})
	return events
}

// everyChange makes a container, an object in it, and removes both: four events.
func everyChange(t *testing.T, s *server) (endpoint string) {
	t.Helper()
	endpoint = container(t, s.URL, "live")
	putObject(t, endpoint, "a/b.ts", "hello")
	rawCall(t, "DELETE", endpoint, "a/b.ts", "").is(t, "DELETE", http.StatusOK, "")
	removeContainer(t, s.URL, "live")
	return endpoint
}

// wantEnvelope fails unless an event of the stream is the envelope of a change.
func wantEnvelope(t *testing.T, e streamEvent, name, detailType, resource string, detail map[string]any) {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal([]byte(e.Data), &got); err != nil || e.Name != name {
		t.Fatalf("the event is %+v, %v; want a %s", e, err, name)
	}
	for member, form := range map[string]string{
		"id":   `^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, // RFC 9562, section 5.8
		"time": `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`,
	} {
		if s, _ := got[member].(string); !regexp.MustCompile(form).MatchString(s) {
			t.Errorf("the %s is %v", member, got[member])
		}
		delete(got, member)
	}
	want := map[string]any{
		"version": "1", "detail-type": detailType, "source": "aws.mediastore", "account": account, "region": region,
		"resources": []any{resource}, "detail": detail,
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("the envelope (-want +got):\n%s", diff)
	}
}

// wantEveryChange fails unless the events are those of everyChange.
func wantEveryChange(t *testing.T, events []streamEvent, endpoint string) {
	t.Helper()
	if len(events) != 4 {
		t.Fatalf("there are %d events: %+v", len(events), events)
	}
	const object, state = "MediaStore Object State Change", "MediaStore Container State Change"
	url := endpoint + "/a/b.ts"
	wantEnvelope(t, events[0], "container-state-change", state, arn("live"), map[string]any{"ContainerName": "live", "Operation": "CREATE", "Endpoint": endpoint})
	wantEnvelope(t, events[1], "object-state-change", object, arn("live")+"/a/b.ts",
		map[string]any{"ContainerName": "live", "Operation": "UPDATE", "Path": "a/b.ts", "ObjectSize": 5.0, "URL": url})
	wantEnvelope(t, events[2], "object-state-change", object, arn("live")+"/a/b.ts",
		map[string]any{"ContainerName": "live", "Operation": "REMOVE", "Path": "a/b.ts", "URL": url})
	wantEnvelope(t, events[3], "container-state-change", state, arn("live"), map[string]any{"ContainerName": "live", "Operation": "REMOVE"})
	for i := range events[1:] {
		if position(t, events[i]) >= position(t, events[i+1]) {
			t.Errorf("the event %s comes before %s", events[i].ID, events[i+1].ID)
		}
	}
}

func position(t *testing.T, e streamEvent) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(e.ID, 10, 64)
	if err != nil {
		t.Fatalf("%+v: %v", e, err)
	}
	return n
}

// TestEventStream sees every kind of change with curl, until the server drains.
func TestEventStream(t *testing.T) {
	t.Parallel()
	s := start(t, "--drain-timeout", "1m") // at whose end the log would say what was cut off
	c := curlEvents(t, s, "")
	endpoint := everyChange(t, s)
	wantEveryChange(t, c.events(4), endpoint)
	if code := s.stop(); code != 0 || strings.Contains(s.log.String(), "cut off") {
		t.Errorf("with a stream under way the server ended with exit code %d:\n%s", code, s.log.tail(2000))
	}
	if err := c.ended(); err != nil {
		t.Errorf("curl was cut off: %v %s", err, c.errors.String())
	}
}

func TestEventStreamRefuses(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, test := range []struct {
		method, query, header string
		status                int
	}{
		{"GET", "", anonymous, http.StatusUnauthorized},
		{"GET", "", basic(accessKey, "another secret"), http.StatusForbidden},
		{"GET", "", basic("AKIDNOBODY0000000000", secretKey), http.StatusForbidden},
		{"GET", "", "Authorization: Nonsense", http.StatusForbidden},
		{"POST", "", basic(accessKey, secretKey), http.StatusMethodNotAllowed},
		{"GET", "?after=x", basic(accessKey, secretKey), http.StatusBadRequest},
		{"GET", "?after=-1", basic(accessKey, secretKey), http.StatusBadRequest},
		{"GET", "?container=not%20a%20name", basic(accessKey, secretKey), http.StatusBadRequest},
		{"GET", "", "Last-Event-ID: x\r\n" + basic(accessKey, secretKey), http.StatusBadRequest},
		{"HEAD", "", basic(accessKey, secretKey), http.StatusOK},
	} {
		a := roundTrip(t, s.URL, rawRequest(test.method, "/-/events"+test.query, "", test.header))
		if a.Status != test.status {
			t.Errorf("%s %s, %s: %d %s, want %d", test.method, test.query, test.header, a.Status, a.Body, test.status)
		}
		if asks := a.Header.Get("WWW-Authenticate") != ""; asks != (test.status == http.StatusUnauthorized) {
			t.Errorf("%s, %s: WWW-Authenticate: %s", test.query, test.header, a.Header.Get("WWW-Authenticate"))
		}
	}
}

// TestEventStreamResumes comes back at every place, by both ways to name it.
func TestEventStreamResumes(t *testing.T) {
	t.Parallel()
	s := start(t)
	endpoint := container(t, s.URL, "live")
	for i := range 9 {
		putObject(t, endpoint, fmt.Sprintf("%d.ts", i), "x")
	}
	all := readStream(t, s, "after=0", 10)
	for i := range all[:9] {
		for how, got := range map[string][]streamEvent{
			"Last-Event-ID": readStream(t, s, "after=0", 9-i, "Last-Event-ID", all[i].ID),
			"after":         readStream(t, s, "after="+all[i].ID, 9-i),
		} {
			if diff := gocmp.Diff(all[i+1:], got); diff != "" {
				t.Errorf("%s %s (-want +got):\n%s", how, all[i].ID, diff)
			}
		}
	}
	far := readStream(t, s, "after=1000000", 1)
	if far[0].Name != "gap" || far[0].Data != `{"missed":0}` {
		t.Errorf("after a place that there is not yet comes %+v", far[0])
	}
}

func TestEventStreamFilters(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, name := range []string{"live", "other", "third"} {
		endpoint := container(t, s.URL, name)
		for _, path := range []string{"a/1.ts", "ab/2.ts", "end.ts"} {
			putObject(t, endpoint, path, "x")
		}
	}
	for query, want := range map[string]string{
		"":                                "live: live:a/1.ts live:ab/2.ts live:end.ts other: other:a/1.ts other:ab/2.ts other:end.ts third: third:a/1.ts third:ab/2.ts third:end.ts",
		"container=other":                 "other: other:a/1.ts other:ab/2.ts other:end.ts",
		"container=live&container=third":  "live: live:a/1.ts live:ab/2.ts live:end.ts third: third:a/1.ts third:ab/2.ts third:end.ts",
		"prefix=a/":                       "live:a/1.ts other:a/1.ts third:a/1.ts",
		"prefix=/a":                       "live:a/1.ts live:ab/2.ts other:a/1.ts other:ab/2.ts third:a/1.ts third:ab/2.ts",
		"container=third&prefix=e":        "third:end.ts",
		"container=nobody&container=live": "live: live:a/1.ts live:ab/2.ts live:end.ts",
	} {
		places := strings.Fields(want)
		var got []string
		for _, e := range readStream(t, s, "after=0&"+query, len(places)) {
			var v envelope
			if err := json.Unmarshal([]byte(e.Data), &v); err != nil {
				t.Fatal(err)
			}
			got = append(got, v.Detail.ContainerName+":"+v.Detail.Path)
		}
		if !slices.Equal(got, places) {
			t.Errorf("%q shows %q, want %q", query, got, places)
		}
	}
}

// TestSlowEventStreams: clients that do not read hold nobody up, and lose nothing:
// they can come back at the place where they were cut off.
func TestSlowEventStreams(t *testing.T) {
	t.Parallel()
	const changes = 2000
	s := start(t)
	endpoint := container(t, s.URL, "live")
	var slow []*rawConn
	for range 2 {
		c := dial(t, s.URL)
		c.send(rawRequest("GET", "/-/events?after=0", ""))
		slow = append(slow, c)
	}
	path := strings.Repeat(strings.Repeat("x", 80)+"/", 9) // three times in an event: more than sockets hold
	var running sync.WaitGroup
	for i := range 8 {
		running.Go(func() {
			for k := i; k < changes; k += 8 {
				if status, _, body := do(t, http.MethodPut, fmt.Sprintf("%s/%s%d", endpoint, path, k), strings.NewReader("x")); status != http.StatusOK {
					t.Errorf("PUT: %d %s", status, body)
				}
			}
		})
	}
	running.Wait()
	all := readStream(t, s, "after=0", changes+1)
	for _, c := range slow {
		_ = c.SetDeadline(time.Time{}) // of dial's: this may have taken long
		head := c.head("GET")
		b, _ := io.ReadAll(&untilEvent{r: head.Body, last: all[changes].ID})
		got, place := parseStream(cutToWhole(string(b)))
		if place != all[changes].ID {
			got = append(got, readStream(t, s, "", changes+1-len(got), "Last-Event-ID", place)...)
		}
		if diff := gocmp.Diff(all, got); diff != "" {
			t.Errorf("a slow client got something else (-quick +slow):\n%.2000s", diff)
		}
	}
}

// untilEvent reads a stream until it breaks off or an event has come.
type untilEvent struct {
	r    io.Reader
	last string // its ID
	text strings.Builder
}

func (u *untilEvent) Read(p []byte) (int, error) {
	if text := u.text.String(); strings.HasSuffix(text, "\n\n") && strings.Contains(text[max(0, len(text)-64<<10):], "id: "+u.last+"\n") {
		return 0, io.EOF
	}
	n, err := u.r.Read(p)
	u.text.Write(p[:n])
	return n, err
}

// cutToWhole leaves out an event that is not complete.
func cutToWhole(stream string) string { return stream[:strings.LastIndex(stream, "\n\n")+2] }

// tail runs `headwater events tail` as a user would.
func tail(t *testing.T, s *server, args ...string) *process {
	t.Helper()
	return launch(t, clientEnv(s.URL), binary, append([]string{"events", "tail", "--endpoint", s.URL}, args...)...)
}

// lines waits until n have been printed.
func (p *process) lines(n int) (lines []string) {
	p.t.Helper()
	patiently(p.t, fmt.Sprintf("there are %d lines", n), func() bool {
		lines = strings.Split(p.out.String(), "\n")
		lines = lines[:len(lines)-1] // what is after the last one's end
		return len(lines) >= n
	})
	return lines
}

// TestEventsTail has the program's own client look on, over a restart of the
// server.
func TestEventsTail(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := startIn(t, data)
	asJSON, asText := tail(t, s, "--json", "--after", "0"), tail(t, s, "--after", "0", "--container", "live", "--prefix", "a/")
	everyChange(t, s)
	asJSON.lines(4)
	text := asText.lines(2)
	for i, form := range []string{`^\S+Z  live  UPDATE  a/b\.ts  5 B$`, `^\S+Z  live  REMOVE  a/b\.ts$`} {
		if !regexp.MustCompile(form).MatchString(text[i]) {
			t.Errorf("the line is %q", text[i])
		}
	}

	s.kill()
	eventually(t, "the client has noticed", func() bool { return strings.Contains(asJSON.errors.String(), "trying again") })
	s = startIn(t, data, "--listen", strings.TrimPrefix(s.URL, "http://"))
	endpoint := container(t, s.URL, "more")
	for i := range 20 {
		putObject(t, endpoint, fmt.Sprint(i), "x")
	}
	got, want := asJSON.lines(25), []string{}
	for _, e := range readStream(t, s, "after=0", 25) {
		want = append(want, e.Data)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("what was printed is not what happened (-want +got):\n%s", diff)
	}
	if n := len(asText.lines(2)); n != 2 {
		t.Errorf("%d lines were printed of what does not concern it: %q", n-2, asText.out.String())
	}
	for _, p := range []*process{asJSON, asText} {
		if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := p.ended(); err != nil {
			t.Errorf("after Ctrl-C: %v %s", err, p.errors.String())
		}
	}
}

func TestEventsTailRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, test := range []struct {
		env  []string
		args []string
		code int
		word string
	}{
		{clientEnv(s.URL), []string{"--endpoint", "http://127.0.0.1:1"}, 1, "refused"},
		{append(clientEnv(s.URL), "AWS_SECRET_ACCESS_KEY=wrong"), []string{"--endpoint", s.URL}, 1, "403"},
		{append(clientEnv(s.URL), "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY="), []string{"--endpoint", s.URL}, 1, "credentials"},
		{clientEnv(s.URL), []string{"--endpoint", s.URL, "--container", "not a name"}, 1, "400"},
		{clientEnv(s.URL), []string{"--endpoint", "ftp://x"}, 2, "http"},
		{clientEnv(s.URL), []string{"--endpoint", s.URL, "--after", "x"}, 2, "whole number"},
	} {
		stdout, stderr, code := verb(t, test.env, append([]string{"events", "tail"}, test.args...)...)
		if code != test.code || stdout != "" || !strings.Contains(stderr, test.word) {
			t.Errorf("%q: exit code %d, %s%s; want %d and %q", test.args, code, stdout, stderr, test.code, test.word)
		}
	}
}

// bus stands in for EventBridge: it fails calls as a whole, and entries of others.
type bus struct {
	t     *testing.T
	mu    sync.Mutex
	calls int
	ids   map[string]bool
	taken []envelope // each once
}

type busEntry struct {
	Source, DetailType, Detail, EventBusName string
	Resources                                []string
	Time                                     float64
}

// put answers a call of PutEvents as EventBridge's API reference describes it.
func (b *bus) put(call awstest.Call) (status int, contentType, body string) {
	const media = "application/x-amz-json-1.1"
	b.mu.Lock()
	defer b.mu.Unlock()
	var in struct{ Entries []busEntry }
	err := json.Unmarshal(call.Body, &in)
	if target := call.Header.Get("X-Amz-Target"); err != nil || target != "AWSEvents.PutEvents" || len(in.Entries) < 1 || len(in.Entries) > 10 {
		b.t.Errorf("%s with %d entries, %v", target, len(in.Entries), err)
	}
	b.calls++
	if b.calls%5 == 1 {
		return http.StatusInternalServerError, media, `{"__type":"InternalException"}`
	}
	type result struct{ EventId, ErrorCode, ErrorMessage string } //nolint:revive // as on the wire
	var out struct {
		FailedEntryCount int
		Entries          []result
	}
	for i, e := range in.Entries {
		if (b.calls+i)%4 == 0 {
			out.FailedEntryCount++
			out.Entries = append(out.Entries, result{ErrorCode: "ThrottlingException", ErrorMessage: "later"})
			continue
		}
		b.take(e)
		out.Entries = append(out.Entries, result{EventId: "x"})
	}
	answer, _ := json.Marshal(out)
	return http.StatusOK, media, string(answer)
}

// take checks the form of an entry and keeps it.
func (b *bus) take(e busEntry) {
	var v envelope
	var detail map[string]any
	if err := json.Unmarshal([]byte(e.Detail), &v.Detail); err != nil {
		b.t.Error(err)
	}
	_ = json.Unmarshal([]byte(e.Detail), &detail)
	v.ID, _ = detail["EventId"].(string)
	want := map[string]any{"ContainerName": "live", "Operation": v.Detail.Operation, "EventId": v.ID}
	wantType, resource := "MediaStore Container State Change", arn("live")
	if v.Detail.Path != "" {
		wantType, resource = "MediaStore Object State Change", resource+"/"+v.Detail.Path
		want["Path"], want["URL"] = v.Detail.Path, detail["URL"]
	} else {
		want["Endpoint"] = detail["Endpoint"]
	}
	if v.Detail.Operation == "UPDATE" {
		want["ObjectSize"] = float64(v.Detail.ObjectSize)
	}
	if diff := gocmp.Diff(want, detail); diff != "" || v.ID == "" {
		b.t.Errorf("the detail (-want +got):\n%s", diff)
	}
	if e.Source != "headwater.mediastore" || e.DetailType != wantType || e.EventBusName != "news" || !slices.Equal(e.Resources, []string{resource}) || e.Time < 1.7e9 {
		b.t.Errorf("the entry is %+v", e)
	}
	if !b.ids[v.ID] {
		b.ids[v.ID] = true
		b.taken = append(b.taken, v)
	}
}

// TestEventBridge: every change comes to the bus, though it fails now and then.
func TestEventBridge(t *testing.T) {
	t.Parallel()
	b := &bus{t: t, ids: map[string]bool{}}
	key := []string{"AWS_ACCESS_KEY_ID=" + awstest.AccessKey, "AWS_SECRET_ACCESS_KEY=" + awstest.SecretKey, "AWS_EC2_METADATA_DISABLED=true"}
	s, _ := startPrinting(t, t.TempDir(), key,
		"--event-bus", "news", "--eventbridge-endpoint", awstest.Serve(t, "events", b.put), "--aws-region", awstest.Region)
	all := changers(8)
	changeAll(t, container(t, s.URL, "live"), all, 300, nil)
	patiently(t, "all events are delivered", func() bool { return backlog(t, s) == 0 })
	b.mu.Lock()
	defer b.mu.Unlock()
	wantHistory(t, b.taken, all)
	if len(b.taken) != 301 {
		t.Errorf("%d events were taken, want 300 and that of the container", len(b.taken))
	}
	if metric(t, s, "headwater_events_retried_total") == 0 || metric(t, s, "headwater_events_dropped_total") != 0 {
		t.Error("no event was tried again, or one was dropped")
	}
}

// TestEventsOnExpiry: a rule in seconds removes without a word, unless it is asked
// to tell.
func TestEventsOnExpiry(t *testing.T) {
	t.Parallel()
	for flag, want := range map[string]string{
		"--events-on-expiry=false": "CREATE  UPDATE gone.ts UPDATE stays.m3u8",
		"--events-on-expiry":       "CREATE  UPDATE gone.ts REMOVE gone.ts UPDATE stays.m3u8",
	} {
		t.Run(flag, func(t *testing.T) {
			t.Parallel()
			s := start(t, flag)
			endpoint := container(t, s.URL, "live")
			rule := `{"rules":[{"definition":{"path":[{"wildcard":"*.ts"}],"seconds_since_create":[{"numeric":[">=",1]}]},"action":"EXPIRE"}]}`
			input, _ := json.Marshal(map[string]string{"ContainerName": "live", "LifecyclePolicy": rule})
			if status, body := control(t, s.URL, "PutLifecyclePolicy", string(input)); status != http.StatusOK {
				t.Fatalf("PutLifecyclePolicy: %d %s", status, body)
			}
			putObject(t, endpoint, "gone.ts", "x")
			eventually(t, "the object was removed", func() bool {
				return metric(t, s, "headwater_sweeper_objects_total", `what="expired"`) == 1
			})
			putObject(t, endpoint, "stays.m3u8", "x")
			var got []string
			for _, e := range readStream(t, s, "after=0", strings.Count(want, "E ")) {
				var v envelope
				_ = json.Unmarshal([]byte(e.Data), &v)
				got = append(got, v.Detail.Operation, v.Detail.Path)
			}
			if strings.Join(got, " ") != want {
				t.Errorf("told was %q, want %q", strings.Join(got, " "), want)
			}
		})
	}
}
