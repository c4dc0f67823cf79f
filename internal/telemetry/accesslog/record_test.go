package accesslog

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/event"
	"headwater/internal/mediastore"
)

var received = time.Date(2026, 1, 31, 23, 59, 58, 7_999_999, time.FixedZone("", 3600))

// answered returns a request as the data plane tells it.
func answered() *event.Request {
	return &event.Request{
		ID:            "R1",
		Operation:     event.PutObject,
		Account:       "111122223333",
		Container:     "live",
		Logged:        true,
		Path:          "a/b.ts",
		Requester:     "arn:aws:iam::111122223333:root",
		Source:        netip.MustParseAddr("192.0.2.3"),
		Status:        200,
		ExpiresAt:     time.Date(2026, 2, 1, 0, 0, 28, 0, time.UTC),
		BytesReceived: 1572864,
		BytesSent:     184,
		Received:      received,
		BodyRead:      received.Add(140 * time.Millisecond),
		FirstByte:     received.Add(147*time.Millisecond + 999*time.Microsecond),
		LastByte:      received.Add(150 * time.Millisecond),
	}
}

func TestRecord(t *testing.T) {
	const put = `{"Path":"/a/b.ts","Requester":"arn:aws:iam::111122223333:root","AWSAccountId":"111122223333","RequestID":"R1",` +
		`"ContainerName":"live","TotalTime":150,"BytesReceived":1572864,"BytesSent":184,"ReceivedTime":"2026-01-31T22:59:58.007Z",` +
		`"Operation":"PutObject","ErrorCode":null,"Source":"192.0.2.3","HTTPStatus":200,"TurnAroundTime":7,"ExpiresAt":"2026-02-01T00:00:28.000Z"}`
	if got := string(appendRecord(nil, answered())); got != put {
		t.Errorf("got  %s\nwant %s", got, put)
	}
}

// TestRecordMembers changes one thing of the request and looks at one member.
func TestRecordMembers(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*event.Request)
		member string
		want   string
	}{
		"no operation":              {func(r *event.Request) { r.Operation = "" }, "Operation", `null`},
		"no operation, no expiry":   {func(r *event.Request) { r.Operation = "" }, "ExpiresAt", `null`},
		"a list does not expire":    {func(r *event.Request) { r.Operation = event.ListItems }, "ExpiresAt", `null`},
		"a deletion tells":          {func(r *event.Request) { r.Operation = event.DeleteObject }, "ExpiresAt", `"2026-02-01T00:00:28.000Z"`},
		"a description tells":       {func(r *event.Request) { r.Operation = event.DescribeObject }, "ExpiresAt", `"2026-02-01T00:00:28.000Z"`},
		"a read tells":              {func(r *event.Request) { r.Operation = event.GetObject }, "ExpiresAt", `"2026-02-01T00:00:28.000Z"`},
		"never expires":             {func(r *event.Request) { r.ExpiresAt = time.Time{} }, "ExpiresAt", `null`},
		"an error beside 200":       {func(r *event.Request) { r.ErrorCode = "InternalServerError" }, "ErrorCode", `"InternalServerError"`},
		"the root folder":           {func(r *event.Request) { r.Path = "" }, "Path", `"/"`},
		"a path that was refused":   {func(r *event.Request) { r.Path = "\"\\\n\x00\u2028\xff<é\ufffd" }, "Path", "\"/\\\"\\\\\\u000a\\u0000\u2028\ufffd<é\ufffd\""},
		"no address":                {func(r *event.Request) { r.Source = netip.Addr{} }, "Source", `null`},
		"IPv4 in IPv6":              {func(r *event.Request) { r.Source = netip.MustParseAddr("::ffff:192.0.2.3") }, "Source", `"192.0.2.3"`},
		"an address with a zone":    {func(r *event.Request) { r.Source = netip.MustParseAddr(`fe80::1%"\`) }, "Source", `"fe80::1"`},
		"an answer before its body": {func(r *event.Request) { r.FirstByte = r.Received }, "TurnAroundTime", `0`},
	} {
		r := answered()
		test.change(r)
		var members map[string]json.RawMessage
		if err := json.Unmarshal(appendRecord(nil, r), &members); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := string(members[test.member]); got != test.want {
			t.Errorf("%s: %s is %s, want %s", name, test.member, got, test.want)
		}
	}
}

// decoded is a record as a reader gets it.
type decoded struct {
	Path, Requester, AWSAccountID, RequestID, ContainerName string
	Operation, ErrorCode                                    *string
	BytesReceived, BytesSent                                int64
	HTTPStatus                                              int
	ReceivedTime                                            time.Time
}

func FuzzRecord(f *testing.F) {
	f.Add("a/b.ts", "anonymous", "R1", "PutObject", "", int64(1), 200)
	f.Add("\"\\\x00\x1f\x7f\u2028\xc3\x28\xed\xa0\x80", "\ufffd\xef\xbf", "</script>&", "", "é\t\r\n", int64(-1), -1)
	f.Fuzz(func(t *testing.T, path, requester, id, operation, code string, n int64, status int) {
		r := answered()
		r.Path, r.Requester, r.ID, r.Operation, r.ErrorCode = path, requester, id, event.Operation(operation), code
		r.Account, r.Container = mediastore.AccountID(id), mediastore.ContainerName(path)
		r.BytesReceived, r.BytesSent, r.Status = n, n, status
		record := appendRecord(nil, r)

		var got decoded
		if err := json.Unmarshal(record, &got); err != nil {
			t.Fatalf("%v: %s", err, record)
		}
		want := decoded{
			Path: std(t, "/"+path), Requester: std(t, requester), AWSAccountID: std(t, id), RequestID: std(t, id), ContainerName: std(t, path),
			Operation: optional(std(t, operation)), ErrorCode: optional(std(t, code)),
			BytesReceived: n, BytesSent: n, HTTPStatus: status, ReceivedTime: received.UTC().Truncate(time.Millisecond),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s\n%s", record, diff)
		}
		for _, c := range record {
			if c < ' ' {
				t.Errorf("the record is not one line: %q", record)
			}
		}
	})
}

// std returns a string as it comes out of encoding/json after it went in.
func std(t *testing.T, s string) (out string) {
	t.Helper()
	b, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func BenchmarkRecord(b *testing.B) {
	r := answered()
	buf := appendRecord(nil, r)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		buf = appendRecord(buf[:0], r)
	}
}
