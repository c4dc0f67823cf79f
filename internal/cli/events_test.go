package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/access"
	"headwater/internal/awstest"
	"headwater/internal/engine/memory"
	"headwater/internal/httpapi"
	"headwater/internal/httpapi/eventsapi"
	"headwater/internal/mediastore"
	"headwater/internal/telemetry/notify"
)

// eventServer is the real edge over an engine with one container.
func eventServer(t *testing.T) (string, *memory.Engine) {
	t.Helper()
	engine := memory.New()
	t.Cleanup(func() { engine.Close() })
	created := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	err := engine.CreateContainer(t.Context(), mediastore.Container{
		Account: "111122223333", Name: "movies", ID: "abcdefghij0001", Status: mediastore.StatusActive, CreatedAt: created,
	}, 0)
	if err != nil {
		t.Fatal(err)
	}
	key := access.Key{ID: awstest.AccessKey, Secret: awstest.SecretKey}
	api := eventsapi.New(eventsapi.Config{
		Access: access.New(access.Config{Account: "111122223333", Region: awstest.Region, Root: key, Now: time.Now}),
		Log:    engine, Streams: 10, Now: time.Now,
		Render: &notify.Renderer{Region: "eu-central-1", Endpoint: func(id mediastore.ContainerID) string { return "http://h/" + string(id) }},
	})
	adapter := &httpapi.Adapter{Log: slog.New(slog.DiscardHandler), Now: time.Now}
	front := httptest.NewServer(adapter.Wrap("events", api.Handle, eventsapi.WriteError))
	t.Cleanup(func() { api.Close(); front.Close() })
	return front.URL, engine
}

// untilLine is an output that ends a run once it has a line, or as many as wanted.
type untilLine struct {
	mu    sync.Mutex
	text  bytes.Buffer
	lines int
	end   func()
}

func (u *untilLine) Write(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.text.Write(p)
	if strings.Count(u.text.String(), "\n") >= u.lines {
		u.end()
	}
	return len(p), nil
}

// tail runs the verb until it has printed so many lines.
func tail(t *testing.T, lines int, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdout, stderr := &untilLine{lines: lines, end: cancel}, &bytes.Buffer{}
	code := Main(ctx, Process{Args: append([]string{"events", "tail"}, args...), Stdout: stdout, Stderr: stderr})
	return result{code, stdout.text.String(), stderr.String()}
}

func TestEventsTail(t *testing.T) {
	awstest.SetCredentials(t)
	url, engine := eventServer(t)
	want := result{exitOK, "2026-03-01T12:00:00Z  movies  CREATE  (the container)\n", ""}
	if diff := cmp.Diff(want, tail(t, 1, "--endpoint", url, "--after", "0", "--container", "movies")); diff != "" {
		t.Error(diff)
	}
	if _, err := engine.BeginDeleteContainer(t.Context(), "111122223333", "movies"); err != nil {
		t.Fatal(err)
	}
	if err := engine.RemoveContainer(t.Context(), "111122223333", "movies", time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	got := tail(t, 1, "--endpoint", url+"/", "--after=1", "--json")
	if got.Code != exitOK || !strings.HasPrefix(got.Stdout, `{"version":"1","id":"`) || !strings.HasSuffix(got.Stdout, `"detail":{"ContainerName":"movies","Operation":"REMOVE"}}`+"\n") {
		t.Errorf("%+v", got)
	}
}

func TestEventsTailFailures(t *testing.T) {
	awstest.SetCredentials(t)
	url, _ := eventServer(t)
	gone := httptest.NewServer(nil)
	gone.Close()
	for _, test := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{"--endpoint", "origin:8484"}, exitUsage, "--endpoint must be"},
		{[]string{"--after", "x"}, exitUsage, "--after must be"},
		{[]string{"more"}, exitUsage, "takes no arguments"},
		{[]string{"--endpoint", url, "--container", "a/b"}, exitFailure, "400 Bad Request: container: must be the name of a container"},
		{[]string{"--endpoint", gone.URL}, exitFailure, "connection refused"},
	} {
		got := tail(t, 1, test.args...)
		if got.Code != test.code || !strings.Contains(got.Stderr, test.stderr) || strings.Count(got.Stderr, "\n") != 1 || got.Stdout != "" {
			t.Errorf("%v: %+v", test.args, got)
		}
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	if got := tail(t, 1, "--endpoint", url); got.Code != exitFailure || !strings.Contains(got.Stderr, "403 Forbidden") {
		t.Errorf("%+v", got)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	if got := tail(t, 1, "--endpoint", url); got.Code != exitFailure || !strings.Contains(got.Stderr, "no AWS credentials") {
		t.Errorf("%+v", got)
	}
}

// answers is a transport with one answer after another.
type answers struct {
	t     *testing.T
	next  []func(*http.Request) (int, io.ReadCloser)
	asked []string
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	a.asked = append(a.asked, r.Header.Get("Last-Event-ID"))
	if len(a.next) == 0 {
		return nil, errors.New("nobody listens")
	}
	status, body := a.next[0](r)
	a.next = a.next[1:]
	return &http.Response{StatusCode: status, Status: fmt.Sprint(status), Body: body, Request: r}, nil
}

// says is an answer that ends.
func says(status int, text string) func(*http.Request) (int, io.ReadCloser) {
	return func(*http.Request) (int, io.ReadCloser) { return status, io.NopCloser(strings.NewReader(text)) }
}

// falls says something and is silent then.
func falls(text string) func(*http.Request) (int, io.ReadCloser) {
	return func(r *http.Request) (int, io.ReadCloser) {
		return 200, io.NopCloser(io.MultiReader(strings.NewReader(text), untilDone{r.Context()}))
	}
}

type untilDone struct{ ctx context.Context }

func (u untilDone) Read([]byte) (int, error) { <-u.ctx.Done(); return 0, u.ctx.Err() }

const change = "event: object-state-change\ndata: {\"time\":\"T\",\"detail\":{\"ContainerName\":\"c\",\"Operation\":\"UPDATE\",\"Path\":\"a\\u001b[2J\",\"ObjectSize\":1500}}\n\n"

// TestEventsTailReconnects from its place, says so, and ends when the server does
// not want it any more.
func TestEventsTailReconnects(t *testing.T) {
	awstest.SetCredentials(t)
	synctest.Test(t, func(t *testing.T) {
		a := &answers{t: t, next: []func(*http.Request) (int, io.ReadCloser){
			says(200, ": alive\nid: 7\n\n"),
			says(503, "full"),
			says(200, "id: 9\n"+change+"id: 10\nevent: object-state-change\ndata: {"),
			falls("id: 11\nevent: gap\ndata: {\"missed\":2}\n\nevent: news\ndata: x\n\n"),
			says(403, "no\x1b[2J more"),
		}}
		var stdout, stderr bytes.Buffer
		tailing := &tailing{Process: Process{Stdout: &stdout, Stderr: &stderr}, client: client{http: http.Client{Transport: a}, endpoint: "http://h"}}
		begin := time.Now()
		err := tailing.run(t.Context())
		if fmt.Sprint(err) != "403: no[2J more" {
			t.Errorf("%v", err)
		}
		if diff := cmp.Diff([]string{"", "7", "7", "9", "11"}, a.asked); diff != "" {
			t.Error(diff)
		}
		if want := "T  c  UPDATE  a[2J  1.5 kB\n"; stdout.String() != want {
			t.Errorf("%q", stdout.String())
		}
		want := `headwater: connection lost after position 7 (the server has ended it); trying again
headwater: connection lost after position 7 (503: full); trying again
headwater: connection lost after position 9 (the server has ended it); trying again
headwater: 2 events were missed: the server does not keep them any more
headwater: connection lost after position 11 (nothing was heard for a minute); trying again
`
		if diff := cmp.Diff(want, stderr.String()); diff != "" {
			t.Error(diff)
		}
		if took := time.Since(begin); took < time.Minute || took > time.Minute+4*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// TestEventsTailGivesUpItsOutput when nobody reads it: head -1 ends the verb.
func TestEventsTailGivesUpItsOutput(t *testing.T) {
	awstest.SetCredentials(t)
	a := &answers{t: t, next: []func(*http.Request) (int, io.ReadCloser){says(200, change)}}
	r, w := io.Pipe()
	r.Close()
	tailing := &tailing{Process: Process{Stdout: w, Stderr: io.Discard}, client: client{http: http.Client{Transport: a}, endpoint: "http://h"}}
	if err := tailing.run(t.Context()); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("%v", err)
	}
}

func TestHumanSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_949: "999.9 kB", 999_950: "1.0 MB", 1_234_567: "1.2 MB", 25e9: "25.0 GB", 9e15: "9000.0 TB",
	} {
		if got := humanSize(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func readAll(text string) (all []serverEvent, last string, err error) {
	s := newEventStream(strings.NewReader(text), func() {})
	for {
		e, err := s.next()
		if err != nil {
			return all, s.lastID, err
		}
		all = append(all, e)
	}
}

func TestEventStream(t *testing.T) {
	for _, test := range []struct {
		text string
		want []serverEvent
		last string
		err  error
	}{
		{"", nil, "", io.EOF},
		{"data: a\n\n", []serverEvent{{"", "a"}}, "", io.EOF},
		{"\ufeffevent:x\rdata:a\rdata: b\r\rdata:  c\r\n\r\n", []serverEvent{{"x", "a\nb"}, {"", " c"}}, "", io.EOF},
		{"data\n\ndata\ndata\n\ndata:", []serverEvent{{"", ""}, {"", "\n"}}, "", io.EOF},
		{"id: 1\n\nid\n\n", nil, "", io.EOF},
		{"id: 1\n\nid: 2\ndata: x\n", nil, "1", io.EOF},
		{"id: 1\x002\n\n: data: c\nevent: lost\n\ndata: a\nretry: 5\nother: x\n\n", []serverEvent{{"", "a"}}, "", io.EOF},
		{"data: " + strings.Repeat("x", maxEventLine) + "\n\n", nil, "", errEventTooLarge},
		{strings.Repeat("data: "+strings.Repeat("x", 60_000)+"\n", 5) + "\n", nil, "", errEventTooLarge},
	} {
		got, last, err := readAll(test.text)
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(serverEvent{})); diff != "" || last != test.last || !errors.Is(err, test.err) {
			t.Errorf("%.50q: last %q, %v\n%s", test.text, last, err, diff)
		}
	}
}

// FuzzEventStream: whatever a server sends, what is read stays within the bounds,
// and is read again from what a server would write of it.
func FuzzEventStream(f *testing.F) {
	for _, s := range []string{"id: 1\nevent: x\ndata: y\n\n", ": c\r\n\r\ndata\r\rdata: \n\n", "\ufeffdata: a\ndata: b\n\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		events, _, err := readAll(text)
		if err == nil {
			t.Fatal("it has no end")
		}
		var written strings.Builder
		for _, e := range events {
			if len(e.data) > maxEventData+maxEventLine || strings.ContainsAny(e.name, "\r\n") || strings.Contains(e.data, "\r") {
				t.Fatalf("%q", e)
			}
			fmt.Fprintf(&written, "event: %s\ndata: %s\n\n", e.name, strings.ReplaceAll(e.data, "\n", "\ndata: "))
		}
		again, _, _ := readAll(written.String())
		if diff := cmp.Diff(events, again, cmp.AllowUnexported(serverEvent{})); diff != "" && !errors.Is(err, errEventTooLarge) {
			t.Fatal(diff)
		}
	})
}
