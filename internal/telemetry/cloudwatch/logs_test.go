package cloudwatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/awstest"
	"headwater/internal/mediastore"
	"headwater/internal/telemetry/accesslog"
)

// putLogEvents is the body of a call, as it is on the wire.
type putLogEvents struct {
	LogGroupName, LogStreamName string
	LogEvents                   []struct {
		Timestamp int64
		Message   string
	}
}

// cloudLogs is a CloudWatch Logs with groups, streams and the limits of a call.
type cloudLogs struct {
	t       *testing.T
	mu      sync.Mutex
	streams map[string]bool // by group, and by group and stream
	calls   []string
	puts    []putLogEvents
	answer  func(target string, in putLogEvents) string // an answer that is not the usual one; optional
}

func (c *cloudLogs) serve(call awstest.Call) (int, string, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	target := strings.TrimPrefix(call.Header.Get("X-Amz-Target"), "Logs_20140328.")
	var in putLogEvents
	if err := json.Unmarshal(call.Body, &in); err != nil {
		c.t.Error(err)
	}
	c.calls = append(c.calls, strings.TrimSpace(target+" "+in.LogGroupName+" "+in.LogStreamName))
	answer := c.usual(target, in)
	if c.answer != nil {
		if a := c.answer(target, in); a != "" {
			answer = a
		}
	}
	if strings.Contains(answer, "__type") {
		return http.StatusBadRequest, "application/x-amz-json-1.1", answer
	}
	if target == "PutLogEvents" {
		c.puts = append(c.puts, in)
	}
	return http.StatusOK, "application/x-amz-json-1.1", answer
}

func (c *cloudLogs) usual(target string, in putLogEvents) string {
	stream := in.LogGroupName + " " + in.LogStreamName
	made := stream
	switch target {
	case "PutLogEvents":
		if !c.streams[stream] {
			return `{"__type":"ResourceNotFoundException"}`
		}
		c.check(in)
		return `{}`
	case "CreateLogStream":
		if !c.streams[in.LogGroupName] {
			return `{"__type":"ResourceNotFoundException"}`
		}
	case "CreateLogGroup":
		made = in.LogGroupName
	default:
		c.t.Errorf("a call of %s", target)
	}
	if c.streams[made] {
		return `{"__type":"ResourceAlreadyExistsException"}`
	}
	c.streams[made] = true
	return `{}`
}

// check holds a call against what PutLogEvents takes.
func (c *cloudLogs) check(in putLogEvents) {
	size, first, last := 0, in.LogEvents[0].Timestamp, in.LogEvents[0].Timestamp
	for _, e := range in.LogEvents {
		size += len(e.Message) + 26
		if e.Timestamp < last {
			c.t.Error("events are not in the order of their times")
		}
		last = e.Timestamp
	}
	if n := len(in.LogEvents); n > 10_000 || size > 1_048_576 || last-first > 24*60*60*1000 {
		c.t.Errorf("a call has %d events, %d bytes and spans %d ms", n, size, last-first)
	}
}

func (c *cloudLogs) take() (calls []string) {
	calls, c.calls = c.calls, nil
	return calls
}

func newLogs(t *testing.T) (*Logs, *cloudLogs) {
	t.Helper()
	awstest.SetCredentials(t)
	cloud := &cloudLogs{t: t, streams: map[string]bool{}}
	l, err := NewLogs(t.Context(), LogsConfig{Endpoint: awstest.Serve(t, "logs", cloud.serve), Stream: "origin-1"})
	if err != nil {
		t.Fatal(err)
	}
	return l, cloud
}

func entry(container mediastore.ContainerName, after time.Duration, text string) accesslog.Entry {
	return accesslog.Entry{Account: "111122223333", Container: container, Time: noon.Add(after), JSON: []byte(text)}
}

func TestRecordsGoToTheirGroups(t *testing.T) {
	l, cloud := newLogs(t)
	batch := []accesslog.Entry{entry("news", 2*time.Second, `{"a":1}`), entry("live", 0, `{"b":"ä"}`), entry("news", time.Second, `{"a":2}`), entry("news", time.Second, `{"a":3}`)}
	if err := l.Write(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	at := noon.UnixMilli()
	got := map[string]string{}
	for _, put := range cloud.puts {
		got[put.LogGroupName+" "+put.LogStreamName] = fmt.Sprint(put.LogEvents)
	}
	want := map[string]string{
		"/aws/mediastore/live origin-1": fmt.Sprintf(`[{%d {"b":"ä"}}]`, at),
		"/aws/mediastore/news origin-1": fmt.Sprintf(`[{%d {"a":2}} {%d {"a":3}} {%d {"a":1}}]`, at+1000, at+1000, at+2000),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestGroupsAndStreamsAreMade when they turn out to be missing, and only then.
func TestGroupsAndStreamsAreMade(t *testing.T) {
	l, cloud := newLogs(t)
	write := func() {
		t.Helper()
		if err := l.Write(t.Context(), []accesslog.Entry{entry("live", 0, "{}")}); err != nil {
			t.Fatal(err)
		}
	}
	const put, stream, group = "PutLogEvents /aws/mediastore/live origin-1", "CreateLogStream /aws/mediastore/live origin-1", "CreateLogGroup /aws/mediastore/live"
	write()
	if diff := cmp.Diff([]string{put, stream, group, stream, put}, cloud.take()); diff != "" {
		t.Errorf("at first (-want +got):\n%s", diff)
	}
	write()
	if diff := cmp.Diff([]string{put}, cloud.take()); diff != "" {
		t.Errorf("then (-want +got):\n%s", diff)
	}
	delete(cloud.streams, "/aws/mediastore/live origin-1") // and another server makes it just before us
	cloud.answer = func(target string, _ putLogEvents) string {
		if target != "CreateLogStream" {
			return ""
		}
		return `{"__type":"ResourceAlreadyExistsException"}`
	}
	write()
	if diff := cmp.Diff([]string{put, stream, put}, cloud.take()); diff != "" {
		t.Errorf("after the stream was deleted (-want +got):\n%s", diff)
	}
	clear(cloud.streams) // and another server makes the group just before us
	cloud.answer = func(target string, _ putLogEvents) string {
		if target != "CreateLogGroup" {
			return ""
		}
		cloud.streams["/aws/mediastore/live"] = true
		return `{"__type":"ResourceAlreadyExistsException"}`
	}
	write()
	if diff := cmp.Diff([]string{put, stream, group, stream, put}, cloud.take()); diff != "" {
		t.Errorf("after the group was deleted (-want +got):\n%s", diff)
	}
}

func TestLogCallsKeepTheLimits(t *testing.T) {
	l, cloud := newLogs(t)
	tests := map[string]struct {
		batch []accesslog.Entry
		want  []int // events in each call
	}{
		"number": {slices.Repeat([]accesslog.Entry{entry("live", 0, "{}")}, 25_000), []int{10_000, 10_000, 5_000}},
		"bytes":  {slices.Repeat([]accesslog.Entry{entry("live", 0, strings.Repeat("x", 1<<18-26))}, 9), []int{4, 4, 1}},
		"span":   {[]accesslog.Entry{entry("live", 0, "{}"), entry("live", -25*time.Hour, "{}"), entry("live", -time.Hour, "{}")}, []int{1, 2}},
	}
	for name, test := range tests {
		cloud.puts = nil
		if err := l.Write(t.Context(), test.batch); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got []int
		for _, put := range cloud.puts {
			got = append(got, len(put.LogEvents))
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestLossIsCounted: what is lost in one group is not lost in the others.
func TestLossIsCounted(t *testing.T) {
	for name, test := range map[string]struct {
		answer string // for the group of bad, which gets four records
		lost   int    // 0: no error
	}{
		"denied":          {`{"__type":"AccessDeniedException"}`, 4},
		"too old":         {`{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":1}}`, 1},
		"old and expired": {`{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":1,"expiredLogEventEndIndex":2}}`, 2},
		"old and new":     {`{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":1,"tooNewLogEventStartIndex":2}}`, 3},
		"nonsense":        {`{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":-7,"tooNewLogEventStartIndex":-1}}`, 4},
		"none":            {`{"rejectedLogEventsInfo":{}}`, 0},
	} {
		l, cloud := newLogs(t)
		cloud.answer = func(target string, in putLogEvents) string {
			if target == "PutLogEvents" && in.LogGroupName == "/aws/mediastore/bad" {
				return test.answer
			}
			return ""
		}
		batch := append(slices.Repeat([]accesslog.Entry{entry("bad", 0, "{}")}, 4), entry("good", 0, "{}"))
		err := l.Write(t.Context(), batch)
		var lost interface{ Lost() int }
		switch errors.As(err, &lost) {
		case false:
			if err != nil || test.lost != 0 {
				t.Errorf("%s: %v, want %d lost", name, err, test.lost)
			}
		case true:
			if lost.Lost() != test.lost {
				t.Errorf("%s: %v, want %d lost", name, err, test.lost)
			}
		}
		if !slices.Contains(cloud.calls, "PutLogEvents /aws/mediastore/good origin-1") || len(cloud.puts) == 0 {
			t.Errorf("%s: the other group got nothing", name)
		}
	}
}

func TestStreamNames(t *testing.T) {
	awstest.SetCredentials(t)
	for name, ok := range map[string]bool{"": false, "host/2030-06-01T12.00.00Z": true, "12:00": false, "*": false, strings.Repeat("s", 512): true, strings.Repeat("s", 513): false} {
		if _, err := NewLogs(t.Context(), LogsConfig{Stream: name}); (err == nil) != ok {
			t.Errorf("stream %.20q: %v", name, err)
		}
	}
}
