package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"
	"github.com/google/go-cmp/cmp"

	"headwater/internal/awstest"
)

// forLogs are the flags of the servers whose access log is held against notes.
var forLogs = []string{"--trusted-proxies", "127.0.0.1", "--max-uploads", uploadSlots}

// logged starts to log the requests to a new container and returns its witness.
func logged(t *testing.T, s *server, name string) *witness {
	t.Helper()
	w := witnessOf(t, s, name)
	operate(t, s, "StartAccessLogging", name)
	w.mu.notes = nil // from here on
	return w
}

// record is a line of the access log.
type record struct {
	Path           string
	Requester      string
	AWSAccountID   string
	RequestID      string
	ContainerName  string
	TotalTime      int64
	BytesReceived  int64
	BytesSent      int64
	ReceivedTime   time.Time
	Operation      *string
	ErrorCode      *string
	Source         string
	HTTPStatus     int
	TurnAroundTime int64
	ExpiresAt      *time.Time
}

// recordMembers are those of a record, in the order of docs/logs.md.
const recordMembers = "Path Requester AWSAccountId RequestID ContainerName TotalTime BytesReceived BytesSent ReceivedTime Operation ErrorCode Source HTTPStatus TurnAroundTime ExpiresAt"

// parseRecords reads lines of the access log.
func parseRecords(t *testing.T, text string) (all []record) {
	t.Helper()
	for line := range strings.Lines(text) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil || !strings.HasSuffix(line, "}\n") {
			t.Errorf("a torn line: %q, %v", line, err)
			continue
		}
		if names := memberNames(t, line); names != recordMembers {
			t.Errorf("a record has the members %s", names)
		}
		all = append(all, r)
	}
	return all
}

// memberNames returns the names of an object's members, in their order.
func memberNames(t *testing.T, object string) string {
	t.Helper()
	var names []string
	d := json.NewDecoder(strings.NewReader(object))
	_, _ = d.Token() // the brace
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name.(string))
		var value any
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
	}
	return strings.Join(names, " ")
}

// equalRecords fails unless there is a record for each note, which says the same,
// and no other.
func equalRecords(t *testing.T, notes []note, records []record) {
	t.Helper()
	byID := map[string]record{}
	for _, r := range records {
		if _, twice := byID[r.RequestID]; twice {
			t.Errorf("request %s has two records", r.RequestID)
		}
		byID[r.RequestID] = r
	}
	if len(records) != len(notes) {
		t.Errorf("there are %d records of %d requests", len(records), len(notes))
	}
	stored := map[string]*time.Time{} // by path: when it expires
	for _, r := range records {
		if r.HTTPStatus == http.StatusOK && *r.Operation == "PutObject" {
			stored[r.Path] = r.ExpiresAt
		}
	}
	for _, n := range notes {
		r, found := byID[n.ID]
		if !found {
			t.Errorf("no record of %+v", n)
			continue
		}
		if diff := cmp.Diff(n.record(), r.known()); diff != "" {
			t.Errorf("request %s (-client +record):\n%s", n.ID, diff)
		}
		n.wantTimes(t, r, stored[n.Path])
	}
}

// record is what the record of a request must say, apart from times.
func (n note) record() record {
	r := record{
		Path: n.Path, Requester: n.Requester, AWSAccountID: account, RequestID: n.ID, ContainerName: n.Container,
		BytesReceived: n.Sent, BytesSent: n.Received, Operation: &n.Operation, Source: n.Source, HTTPStatus: n.Status,
	}
	if n.ErrorCode != "" {
		r.ErrorCode = &n.ErrorCode
	}
	return r
}

// known is the record without times, of which a client knows only bounds.
func (r record) known() record {
	r.TotalTime, r.TurnAroundTime, r.ReceivedTime, r.ExpiresAt = 0, 0, time.Time{}, nil
	return r
}

// wantTimes holds a record's times against the client's clock, which is the
// server's too. They are rounded down to milliseconds.
func (n note) wantTimes(t *testing.T, r record, stored *time.Time) {
	t.Helper()
	within := func(at time.Time, after time.Duration) bool {
		return !at.Before(n.Begun.Add(after).Truncate(time.Millisecond)) && !at.After(n.Ended.Add(after))
	}
	if !within(r.ReceivedTime, 0) || r.TurnAroundTime < 0 || r.TotalTime < r.TurnAroundTime {
		t.Errorf("request from %v to %v: record %+v", n.Begun, n.Ended, r)
	}
	transient := strings.HasPrefix(n.Path, "/transient/") && n.Status == http.StatusOK
	switch {
	case (r.ExpiresAt != nil) != transient:
		t.Errorf("%s of %s, %d: expires at %v", n.Operation, n.Path, n.Status, r.ExpiresAt)
	case transient && n.Operation == "PutObject" && !within(*r.ExpiresAt, lifetime):
		t.Errorf("stored from %v to %v, it expires at %v", n.Begun, n.Ended, r.ExpiresAt)
	case transient && (stored == nil || !stored.Equal(*r.ExpiresAt)):
		t.Errorf("%s of %s expires at %v; it was stored to expire at %v", n.Operation, n.Path, r.ExpiresAt, stored)
	}
}

// logFiles returns the lines of a log, and of how many files they are.
func logFiles(t *testing.T, s *server, name string, largest int64) (text string, files int) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(s.Data, "logs", name+"*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range names {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 || info.Size() > largest {
			t.Errorf("%s: %v, %v; want mode 0600 and at most %d bytes", file, info, err, largest)
		}
		text += string(b)
	}
	return text, len(names)
}

// TestAccessLog: what the log says is what the clients did, one to one.
func TestAccessLog(t *testing.T) {
	const largest = 50_000
	s := startIn(t, t.TempDir(), append(forLogs, "--log-max-size", fmt.Sprint(largest), "--log-keep", "1000")...)
	on, off := logged(t, s, "live"), witnessOf(t, s, "quiet")
	var both sync.WaitGroup
	for _, w := range []*witness{on, off} {
		both.Go(func() { w.crowd(10) })
	}
	both.Wait()
	on.breakOff("live/broken.ts")
	on.overload()
	left := on.leave()
	wantVariety(t, on.notes())
	on.switched(s)
	on.hangUp()
	off.hangUp()

	// What is on its way when the server is told to end is in the log, too.
	if code := s.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	text, files := logFiles(t, s, "access", largest)
	if files < 5 {
		t.Errorf("the log has only %d files", files)
	}
	records := wantLeft(t, left, parseRecords(t, text))
	equalRecords(t, on.notes(), records)
}

// switched stops and starts the log: what is asked meanwhile is not in it.
func (w *witness) switched(s *server) {
	w.t.Helper()
	for range 3 {
		operate(w.t, s, "StopAccessLogging", w.name)
		kept := w.notes()
		w.read(1, 1)
		w.mu.notes = kept
		operate(w.t, s, "StartAccessLogging", w.name)
		w.read(2, 2)
	}
}

// leave reads the beginning of an object that is larger than what a connection
// holds, and hangs up. It returns the ID of the request.
func (w *witness) leave() string {
	w.t.Helper()
	w.do("PUT", "large.ts", moreThanBuffers)
	f := follow(w.t, w.endpoint, "large.ts")
	f.next(moreThanBuffers[:1000])
	f.conn.Close()
	return f.Header.Get("x-amzn-RequestId")
}

// wantLeft takes the record of the client that left out of them.
func wantLeft(t *testing.T, id string, records []record) []record {
	t.Helper()
	i := slices.IndexFunc(records, func(r record) bool { return r.RequestID == id })
	if i < 0 {
		t.Error("there is no record of the client that left")
		return records
	}
	r := records[i]
	if r.HTTPStatus != http.StatusOK || r.ErrorCode == nil || *r.ErrorCode != "ClientDisconnected" || r.BytesSent < 1000 || r.BytesSent >= int64(len(moreThanBuffers)) {
		t.Errorf("the record of the client that left: %+v", r)
	}
	return slices.Delete(records, i, i+1)
}

// TestAccessLogOnStdout: beside the start line there is nothing but records.
func TestAccessLogOnStdout(t *testing.T) {
	s, out := startPrinting(t, t.TempDir(), nil, append(forLogs, "--access-log", "stdout")...)
	w := logged(t, s, "live")
	w.crowd(2)
	w.hangUp()
	s.stop()
	_, text, _ := strings.Cut(out.String(), "\n")
	equalRecords(t, w.notes(), parseRecords(t, text))
	if names, _ := filepath.Glob(filepath.Join(s.Data, "logs", "access*")); len(names) > 0 {
		t.Errorf("there are %q", names)
	}
}

// awsEnv is the environment of a server that is to use the stand-in for AWS.
var awsEnv = []string{
	"AWS_ACCESS_KEY_ID=" + awstest.AccessKey, "AWS_SECRET_ACCESS_KEY=" + awstest.SecretKey,
	"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true",
}

// cloudLogs is a CloudWatch Logs that keeps what it gets.
type cloudLogs struct {
	t      *testing.T
	mu     sync.Mutex
	made   map[string]bool             // groups, and streams as "group stream"
	groups map[string]*strings.Builder // the messages of each as lines
}

func (c *cloudLogs) serve(call awstest.Call) (status int, contentType, body string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	answer := c.answer(strings.TrimPrefix(call.Header.Get("X-Amz-Target"), "Logs_20140328."), call.Body)
	status = http.StatusOK
	if strings.Contains(answer, "__type") {
		status = http.StatusBadRequest
	}
	return status, "application/x-amz-json-1.1", answer
}

func (c *cloudLogs) answer(target string, body []byte) string {
	var in struct {
		LogGroupName, LogStreamName string
		LogEvents                   []struct {
			Timestamp int64
			Message   string
		}
	}
	if err := json.Unmarshal(body, &in); err != nil {
		c.t.Error(err)
	}
	group, stream := in.LogGroupName, in.LogGroupName+" "+in.LogStreamName
	switch {
	case target == "CreateLogGroup":
		c.made[group], c.groups[group] = true, &strings.Builder{}
	case !c.made[group] || target == "PutLogEvents" && !c.made[stream]:
		return `{"__type":"ResourceNotFoundException"}`
	case target == "CreateLogStream":
		c.made[stream] = true
	case target == "PutLogEvents":
		for _, e := range in.LogEvents {
			io.WriteString(c.groups[group], e.Message+"\n")
		}
	default:
		c.t.Errorf("a call of %s", target)
	}
	return `{}`
}

// TestAccessLogInCloudWatch: each container has the log group that it had.
func TestAccessLogInCloudWatch(t *testing.T) {
	cloud := &cloudLogs{t: t, made: map[string]bool{}, groups: map[string]*strings.Builder{}}
	url := awstest.Serve(t, "logs", cloud.serve)
	s, _ := startPrinting(t, t.TempDir(), awsEnv,
		append(forLogs, "--access-log", "cloudwatch", "--aws-region", awstest.Region, "--cloudwatch-logs-endpoint", url)...)
	live, news := logged(t, s, "live"), logged(t, s, "news")
	live.crowd(3)
	news.crowd(2)
	live.hangUp()
	news.hangUp()
	if code := s.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	cloud.mu.Lock()
	defer cloud.mu.Unlock()
	if groups := slices.Sorted(maps.Keys(cloud.groups)); !slices.Equal(groups, []string{"/aws/mediastore/live", "/aws/mediastore/news"}) {
		t.Fatalf("the log groups are %q", groups)
	}
	equalRecords(t, live.notes(), parseRecords(t, cloud.groups["/aws/mediastore/live"].String()))
	equalRecords(t, news.notes(), parseRecords(t, cloud.groups["/aws/mediastore/news"].String()))
}

// cloudMetrics is a CloudWatch that sums up what it gets.
type cloudMetrics struct {
	t    *testing.T
	mu   sync.Mutex
	sums map[measured]float64
}

func (c *cloudMetrics) serve(call awstest.Call) (status int, contentType, body string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !strings.HasSuffix(call.URL.Path, "/operation/PutMetricData") {
		c.t.Errorf("a call of %s", call.URL.Path)
	}
	in := c.decode(call)
	if in["Namespace"] != cbor.String("MediaStore") {
		c.t.Errorf("the namespace is %v", in["Namespace"])
	}
	for _, d := range in["MetricData"].(cbor.List) {
		c.add(d.(cbor.Map))
	}
	return http.StatusOK, "application/cbor", "\xa0" // an empty map
}

func (c *cloudMetrics) decode(call awstest.Call) cbor.Map {
	body := call.Body
	if call.Header.Get("Content-Encoding") == "gzip" {
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err == nil {
			body, err = io.ReadAll(r)
		}
		if err != nil {
			c.t.Error(err)
		}
	}
	v, err := cbor.Decode(body)
	if err != nil {
		c.t.Error(err)
		return cbor.Map{"MetricData": cbor.List{}}
	}
	return v.(cbor.Map)
}

// add adds a datum: its sum or, of times, how many there are.
func (c *cloudMetrics) add(d cbor.Map) {
	of := measured{Metric: string(d["MetricName"].(cbor.String))}
	for _, dimension := range d["Dimensions"].(cbor.List) {
		value := string(dimension.(cbor.Map)["Value"].(cbor.String))
		switch name := dimension.(cbor.Map)["Name"].(cbor.String); name {
		case "ContainerName":
			of.Container = value
		case "ObjectGroupName":
			of.Group = value
		case "RequestType":
			of.Type = value
		default:
			c.t.Errorf("a dimension %s", name)
		}
	}
	if set, ok := d["StatisticValues"].(cbor.Map); ok {
		c.sums[of] += c.number(set["Sum"])
		return
	}
	counts := d["Counts"].(cbor.List)
	for i, value := range d["Values"].(cbor.List) {
		n := c.number(counts[i])
		if !strings.HasSuffix(of.Metric, "Time") {
			n *= c.number(value)
		}
		c.sums[of] += n
	}
}

func (c *cloudMetrics) number(v cbor.Value) float64 {
	f, err := cbor.AsFloat64(v)
	if err != nil {
		c.t.Error(err)
	}
	return f
}

// TestCloudWatchMetrics: the sums are what the clients counted, once all is sent.
func TestCloudWatchMetrics(t *testing.T) {
	cloud := &cloudMetrics{t: t, sums: map[measured]float64{}}
	url := awstest.Serve(t, "monitoring", cloud.serve)
	s, _ := startPrinting(t, t.TempDir(), awsEnv,
		"--cloudwatch-metrics", "--max-uploads", uploadSlots, "--aws-region", awstest.Region, "--cloudwatch-endpoint", url)
	w := witnessOf(t, s, "live")
	w.mu.notes = nil // measured from here on
	putMetricPolicy(t, s, "live")
	w.crowd(5)
	w.breakOff("live/broken.ts")
	w.overload()
	w.hangUp()
	if code := s.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	cloud.mu.Lock()
	defer cloud.mu.Unlock()
	isZero := func(_ measured, n float64) bool { return n == 0 } // no bytes are no datum
	want := tally(w.notes())
	maps.DeleteFunc(want, isZero)
	maps.DeleteFunc(cloud.sums, isZero)
	if diff := cmp.Diff(want, cloud.sums); diff != "" {
		t.Errorf("the metrics are not what the clients counted (-clients +metrics):\n%s", diff)
	}
}

// call is a call of the control plane and what its record must say of it.
type call struct {
	operation, input string
	who              string // the header, empty for the root user
	readOnly         bool
	parameters       any
	identity         map[string]any
}

var (
	asRoot    = map[string]any{"type": "Root", "principalId": account, "arn": rootARN, "accountId": account, "accessKeyId": accessKey}
	asNobody  = map[string]any{"type": "Unknown"}
	asClaimed = func(key string) map[string]any { return map[string]any{"type": "Unknown", "accessKeyId": key} }
)

// auditedCalls are of every kind: carried out, refused, denied. Of a caller who is
// not proven, and of an operation that there is not, the request is not read.
func auditedCalls() []call {
	live := map[string]any{"containerName": "live"}
	return []call{
		{operation: "CreateContainer", input: `{"ContainerName":"live","Tags":[{"Key":"Team","Value":"<A&B>"}]}`, identity: asRoot,
			parameters: map[string]any{"containerName": "live", "tags": []any{map[string]any{"key": "Team", "value": "<A&B>"}}}},
		{operation: "DescribeContainer", input: `{"ContainerName":"live"}`, readOnly: true, identity: asRoot, parameters: live},
		{operation: "ListContainers", input: `{"MaxResults":5}`, readOnly: true, identity: asRoot, parameters: map[string]any{"maxResults": 5.0}},
		{operation: "CreateContainer", input: `{"ContainerName":"live"}`, identity: asRoot, parameters: live},
		{operation: "DeleteContainer", input: `{"ContainerName":"nosuch"}`, identity: asRoot, parameters: map[string]any{"containerName": "nosuch"}},
		{operation: "GetContainerPolicy", input: `{"ContainerName":"-"}`, readOnly: true, identity: asRoot, parameters: map[string]any{"containerName": "-"}},
		{operation: "DeleteContainer", input: `{"ContainerName":"live"}`, who: anonymous, identity: asNobody},
		{operation: "DeleteContainer", input: `{"ContainerName":"live"}`, who: basic(accessKey, "wrong"), identity: asClaimed(accessKey)},
		{operation: "DeleteContainer", input: `{"ContainerName":"live"}`, who: basic("AKIDSOMEBODYELSE", secretKey), identity: asClaimed("AKIDSOMEBODYELSE")},
		{operation: "NoSuchOperation", input: `{"ContainerName":"live"}`, identity: asRoot},
		{operation: "StartAccessLogging", input: `{"ContainerName":"live"}`, identity: asRoot, parameters: live},
		{operation: "DescribeContainer", input: `{"ContainerName`, readOnly: true, identity: asRoot},
	}
}

// TestAuditLog: every call of the control plane has a record in CloudTrail's form,
// before it is answered.
func TestAuditLog(t *testing.T) {
	s := start(t, "--trusted-proxies", "127.0.0.1")
	for i, c := range auditedCalls() {
		headers := []string{"User-Agent: e2e/1", "X-Forwarded-For: 203.0.113.7"}
		if c.who != "" {
			headers = append(headers, c.who)
		}
		a := roundTrip(t, s.URL, operationRequest(c.operation, c.input, headers...))
		text, _ := logFiles(t, s, "audit", 1<<30)
		lines := slices.Collect(strings.Lines(text))
		if len(lines) != i+1 {
			t.Fatalf("after %d calls there are %d records", i+1, len(lines))
		}
		c.wantRecord(t, a, lines[i])
	}
	kept, _ := logFiles(t, s, "audit", 1<<30)
	s.kill() // a call that is answered has its record on disk
	if text, _ := logFiles(t, s, "audit", 1<<30); text != kept {
		t.Errorf("after it was killed the log is %q, want %q", text, kept)
	}
}

// wantRecord holds a record against the call and its answer.
func (c call) wantRecord(t *testing.T, a *rawAnswer, line string) {
	t.Helper()
	var r map[string]any
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	var answer map[string]any
	_ = json.Unmarshal([]byte(a.Body), &answer) // or there is nothing to compare
	want := map[string]any{
		"eventVersion": "1.11", "eventSource": "mediastore.amazonaws.com", "eventName": c.operation, "awsRegion": region,
		"sourceIPAddress": "203.0.113.7", "userAgent": "e2e/1", "readOnly": c.readOnly, "userIdentity": c.identity,
		"eventType": "AwsApiCall", "managementEvent": true, "eventCategory": "Management",
		"requestID": a.Header.Get("x-amzn-RequestId"), "requestParameters": c.parameters, "responseElements": nil,
	}
	if c.identity["type"] == "Root" {
		want["recipientAccountId"] = account
	}
	if a.Status != http.StatusOK {
		want["errorCode"], want["errorMessage"] = answer["__type"], answer["Message"]
	} else if !c.readOnly {
		want["responseElements"] = smallLetters(answer)
	}
	if at, err := time.Parse("2006-01-02T15:04:05Z", fmt.Sprint(r["eventTime"])); err != nil || time.Since(at) > time.Hour || r["eventID"] == "" {
		t.Errorf("%s: time %v, ID %v", c.operation, r["eventTime"], r["eventID"])
	}
	delete(r, "eventTime")
	delete(r, "eventID")
	delete(r, "additionalEventData") // there is one when the client is told less
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("%s %s (-want +record):\n%s", c.operation, c.input, diff)
	}
}

// smallLetters renames members as CloudTrail does.
func smallLetters(v any) any {
	switch v := v.(type) {
	case map[string]any:
		renamed := map[string]any{}
		for name, value := range v {
			renamed[strings.ToLower(name[:1])+name[1:]] = smallLetters(value)
		}
		return renamed
	case []any:
		for i := range v {
			v[i] = smallLetters(v[i])
		}
	}
	return v
}
