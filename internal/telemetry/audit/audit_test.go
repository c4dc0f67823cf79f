package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/event"
)

// output notes what is done to it, in order.
type output struct {
	did   []string
	lines bytes.Buffer
	fail  error
}

func (o *output) Write(p []byte) (int, error) {
	o.did = append(o.did, "write")
	o.lines.Write(p)
	return len(p), o.fail
}

func (o *output) Sync() error  { o.did = append(o.did, "sync"); return nil }
func (o *output) Close() error { o.did = append(o.did, "close"); return nil }

// created is a call that was carried out.
func created() *event.Call {
	return &event.Call{
		ID:        "R1",
		Time:      time.Date(2026, 1, 31, 23, 59, 58, 999, time.FixedZone("", 3600)),
		Service:   "mediastore.amazonaws.com",
		Operation: "CreateContainer",
		Account:   "111122223333",
		Region:    "eu-west-1",
		Identity: event.Identity{
			Type: event.IdentityRoot, ARN: "arn:aws:iam::111122223333:root", AccessKeyID: "AKIAIOSFODNN7EXAMPLE",
		},
		Source:     netip.MustParseAddr("::ffff:192.0.2.3"),
		UserAgent:  "aws-cli/2",
		Secure:     true,
		Parameters: json.RawMessage(`{"ContainerName":"live","Tags":[{"Key":"Team","Value":"<A&B>"}]}`),
		Result:     json.RawMessage(`{"Container":{"ARN":"arn:x","CreationTime":1769900398.123,"AccessLoggingEnabled":false}}`),
	}
}

func TestRecordOfAChange(t *testing.T) {
	const want = `{"eventVersion":"1.11","userIdentity":{"type":"Root","principalId":"111122223333",` +
		`"arn":"arn:aws:iam::111122223333:root","accountId":"111122223333","accessKeyId":"AKIAIOSFODNN7EXAMPLE"},` +
		`"eventTime":"2026-01-31T22:59:58Z","eventSource":"mediastore.amazonaws.com","eventName":"CreateContainer",` +
		`"awsRegion":"eu-west-1","sourceIPAddress":"192.0.2.3","userAgent":"aws-cli/2",` +
		`"requestParameters":{"containerName":"live","tags":[{"key":"Team","value":"<A&B>"}]},` +
		`"responseElements":{"container":{"aRN":"arn:x","accessLoggingEnabled":false,"creationTime":1769900398.123}},` +
		`"requestID":"R1","eventID":"625739db-3788-8669-aa18-846017df26ee","readOnly":false,"eventType":"AwsApiCall",` +
		`"managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management","tlsDetails":{}}` + "\n"
	if diff := cmp.Diff(want, string(line(created()))); diff != "" {
		t.Error(diff)
	}
}

func TestRecordOfADenial(t *testing.T) {
	const want = `{"eventVersion":"1.11","userIdentity":{"type":"Unknown","accessKeyId":"AKIA"},` +
		`"eventTime":"2026-01-31T22:59:58Z","eventSource":"mediastore.amazonaws.com","eventName":"DeleteContainer",` +
		`"awsRegion":"eu-west-1","sourceIPAddress":"","userAgent":"","errorCode":"AccessDeniedException","errorMessage":"No",` +
		`"requestParameters":null,"responseElements":null,` +
		`"requestID":"R2","eventID":"d01e8fd6-2510-888c-a752-dfc198620518","readOnly":false,"eventType":"AwsApiCall",` +
		`"managementEvent":true,"eventCategory":"Management"}` + "\n"
	call := &event.Call{
		ID: "R2", Time: created().Time, Service: "mediastore.amazonaws.com", Operation: "DeleteContainer", Region: "eu-west-1",
		Identity:  event.Identity{Type: event.IdentityUnknown, AccessKeyID: "AKIA"},
		ErrorCode: "AccessDeniedException", ErrorMessage: "No",
	}
	if diff := cmp.Diff(want, string(line(call))); diff != "" {
		t.Error(diff)
	}
}

// read returns the record of a call as a reader gets it.
func read(t *testing.T, call *event.Call) (r struct {
	UserIdentity      map[string]string
	UserAgent         string
	EventID           string
	RequestParameters any
	ResponseElements  any
}) {
	t.Helper()
	b := line(call)
	if err := json.Unmarshal(b, &r); err != nil || bytes.IndexByte(b, '\n') != len(b)-1 || len(b) > maxRecord {
		t.Fatalf("a record of %d bytes, in one line: %v; %.200s", len(b), err, b)
	}
	return r
}

func TestParameters(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	many := func(n int) string {
		var members []string
		for i := range n {
			members = append(members, fmt.Sprintf(`"M%d":"%s"`, i, long(100)))
		}
		return "{" + strings.Join(members, ",") + "}"
	}
	type object = map[string]any
	omitted := func(size int, reason string) object {
		return object{"omitted": true, "originalSize": float64(size), "reason": reason}
	}
	for name, test := range map[string]struct {
		in   string
		want any
	}{
		"none":               {``, nil},
		"null":               {`null`, nil},
		"empty":              {`{}`, object{}},
		"not an object":      {`[{"A":1}]`, []any{object{"a": 1.0}}},
		"not JSON":           {`{"A":`, omitted(5, "not JSON")},
		"nested too deep":    {strings.Repeat("[", 20_000), omitted(20_000, "not JSON")},
		"both spellings":     {`{"containerName":"x","ContainerName":"y"}`, object{"containerName": "x", "ContainerName": "y"}},
		"names":              {`{"":1,"ARN":2,"Éa":3,"aB":4}`, object{"": 1.0, "aRN": 2.0, "Éa": 3.0, "aB": 4.0}},
		"values stay":        {`{"Policy":"{\"Version\":1}"}`, object{"policy": `{"Version":1}`}},
		"fits":               {`{"Policy":"` + long(99_000) + `"}`, object{"policy": long(99_000)}},
		"a huge member":      {`{"ContainerName":"c","CorsPolicy":["` + long(398_000) + `"]}`, object{"containerName": "c", "corsPolicy": omitted(398_004, "too large")}},
		"many members":       {many(2000), omitted(len(many(2000)), "too large")},
		"a long list":        {`["` + long(200_000) + `"]`, omitted(200_004, "too large")},
		"too long to decode": {`"` + long(maxDecoded) + `"`, omitted(maxDecoded+2, "too large")},
		"secrets": {
			`{"Password":"s","A":[{"SecretAccessKey":{"x":"s"},"b":{"sessionToken":["s"]}}],"SECRETACCESSKEY":"s","PasswordPolicy":"p"}`,
			object{"password": hidden, "a": []any{object{"secretAccessKey": hidden, "b": object{"sessionToken": hidden}}}, "sECRETACCESSKEY": hidden, "passwordPolicy": "p"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			call := created()
			call.Parameters, call.Result = json.RawMessage(test.in), json.RawMessage(test.in)
			if len(test.in) > maxRecord/2 {
				call.Result = nil
			}
			got := read(t, call)
			if diff := cmp.Diff(test.want, got.RequestParameters); diff != "" {
				t.Errorf("parameters: %.500s", diff)
			}
			if diff := cmp.Diff(test.want, got.ResponseElements); diff != "" && call.Result != nil {
				t.Errorf("elements: %.500s", diff)
			}
		})
	}
}

// TestNoElements: only a call that changed something has any.
func TestNoElements(t *testing.T) {
	readOnly, failed := created(), created()
	readOnly.ReadOnly = true
	failed.ErrorCode = "InternalServerError"
	for _, call := range []*event.Call{readOnly, failed} {
		if got := read(t, call).ResponseElements; got != nil {
			t.Errorf("the elements of %s %s are %v", call.Operation, call.ErrorCode, got)
		}
	}
}

// TestTextsAreBounded: what a client may choose does not make a record long.
func TestTextsAreBounded(t *testing.T) {
	call := created()
	long := strings.Repeat("\x01", 60_000)
	call.UserAgent, call.Operation, call.ErrorMessage, call.Identity.AccessKeyID = long, long, long, long
	if got := read(t, call).UserAgent; got != long[:maxText] {
		t.Errorf("the user agent has %d bytes", len(got))
	}
}

func TestIdentityOfARole(t *testing.T) {
	call := created()
	call.Identity = event.Identity{Type: event.IdentityAssumedRole, ARN: "arn:aws:sts::444455556666:assumed-role/a/b"}
	want := map[string]string{"type": "AssumedRole", "arn": call.Identity.ARN, "accountId": "444455556666"}
	if diff := cmp.Diff(want, read(t, call).UserIdentity); diff != "" {
		t.Error(diff)
	}
}

func TestEventIDs(t *testing.T) {
	one, other := created(), created()
	other.ID = "R2"
	if read(t, one).EventID != read(t, created()).EventID || read(t, one).EventID == read(t, other).EventID {
		t.Error("an event's ID is not that of its request")
	}
}

// TestDurable: a change is synced, and nothing else makes the disk work.
func TestDurable(t *testing.T) {
	readOnly, failed := created(), created()
	readOnly.ReadOnly = true
	failed.ErrorCode = "AccessDeniedException"
	var o output
	l := New(Config{Output: &o, Log: slog.New(slog.DiscardHandler)})
	l.Call(created())
	l.Call(readOnly)
	l.Call(failed)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"write", "sync", "write", "write", "close"}, o.did); diff != "" {
		t.Error(diff)
	}
	if n := strings.Count(o.lines.String(), "\n"); n != 3 {
		t.Errorf("%d lines", n)
	}
}

func TestFailureIsTold(t *testing.T) {
	var log bytes.Buffer
	var told []error
	o := output{fail: errors.New("no space")}
	l := New(Config{Output: &o, Log: slog.New(slog.NewTextHandler(&log, nil)), OnRecord: func(err error) { told = append(told, err) }})
	l.Call(created())
	o.fail = nil
	l.Call(created())
	if len(told) != 2 || told[0] == nil || told[1] != nil {
		t.Errorf("told %v", told)
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "no space") || !strings.Contains(got, "request=R1") {
		t.Errorf("log: %s", got)
	}
}

func TestStream(t *testing.T) {
	var b bytes.Buffer
	l := New(Config{Output: Stream(&b), Log: slog.New(slog.NewTextHandler(t.Output(), nil)), OnRecord: func(err error) {
		if err != nil {
			t.Error(err)
		}
	}})
	l.Call(created())
	if err := l.Close(); err != nil || b.String() != string(line(created())) {
		t.Errorf("%q, %v", b.String(), err)
	}
}

func FuzzLine(f *testing.F) {
	f.Add([]byte(`{"ContainerName":"live"}`), "aws-cli/2", "no Allow")
	f.Add([]byte(`{"a":{"A":{"SecretAccessKey":"s"}},"A":1e999}`), "\xff\n", "")
	f.Add([]byte(`[[[{"x":null}]]] trailing`), strings.Repeat("\x00", 2000), "\u2028")
	f.Fuzz(func(t *testing.T, document []byte, agent, message string) {
		call := created()
		call.Parameters, call.Result, call.UserAgent, call.ErrorMessage = document, document, agent, message
		first := line(call)
		if !json.Valid(first) || len(first) > maxRecord || bytes.IndexByte(first, '\n') != len(first)-1 {
			t.Fatalf("not a line of JSON of at most %d bytes: %q", maxRecord, first)
		}
		if !bytes.Equal(first, line(call)) {
			t.Fatal("the record of one call differs")
		}
	})
}

func BenchmarkLine(b *testing.B) {
	call := created()
	b.ReportAllocs()
	for b.Loop() {
		line(call)
	}
}
