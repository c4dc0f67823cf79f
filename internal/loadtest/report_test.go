package loadtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReportText(t *testing.T) {
	good := Report{
		Seconds: 60.02, Published: 600, Early: 1,
		Kinds: []KindReport{
			{Kind: "put segment", Count: 600, PerSecond: 10, BytesPerSecond: 41_500_000, P50: 0.912, P90: 3.4, P99: 12.31, P999: 99.96, Max: 1203.2},
			{Kind: "follow chunk", Count: 5400, PerSecond: 90, P50: 0.004, P90: 1, P99: 2, P999: 3, Max: 4},
		},
	}
	bad := good
	bad.Missed, bad.Late, bad.Skipped, bad.Leftovers = 2, 1, 3, 4
	bad.Kinds = []KindReport{good.Kinds[0], {Kind: "get segment", Errors: 13, ByError: []ErrorReport{
		{"404 ObjectNotFoundException", 12, `404 ObjectNotFoundException {"Message":"there is none"}`}, {"body too short", 1, "body too short"},
	}}}
	behind := good
	behind.Late, behind.Early = 2, 0
	for _, test := range []struct {
		report Report
		want   string
	}{
		{good, `  latency in ms  count  errors  per s  MB/s   p50   p90   p99  p99.9   max
    put segment    600       0   10.0  41.5  0.91  3.40  12.3    100  1203
   follow chunk   5400       0   90.0     0  0.00  1.00  2.00   3.00  4.00

600 segments published, 0 missed
1 answer that a segment was not there yet, while it was uploaded

OK: 600 requests in 60.0 s, no errors, nothing late
`},
		{bad, `  latency in ms  count  errors  per s  MB/s   p50   p90   p99  p99.9   max
    put segment    600       0   10.0  41.5  0.91  3.40  12.3    100  1203
    get segment      0      13      0     0     0     0     0      0     0

errors
  12 x get segment: 404 ObjectNotFoundException
      first: 404 ObjectNotFoundException {"Message":"there is none"}
  1 x get segment: body too short

600 segments published, 2 missed
1 manifest behind by more than a segment
3 segments not read, since a reader came too late
1 answer that a segment was not there yet, while it was uploaded
4 objects could not be deleted after the run

FAILED: 600 requests in 60.0 s, and 13 errors
`},
		{behind, `  latency in ms  count  errors  per s  MB/s   p50   p90   p99  p99.9   max
    put segment    600       0   10.0  41.5  0.91  3.40  12.3    100  1203
   follow chunk   5400       0   90.0     0  0.00  1.00  2.00   3.00  4.00

600 segments published, 0 missed
2 manifests behind by more than a segment

BEHIND: 600 requests in 60.0 s, no errors, but the schedule was not kept
`},
		{Report{Seconds: 3}, `  latency in ms  count  errors  per s  MB/s  p50  p90  p99  p99.9  max

0 segments published, 0 missed

FAILED: nothing was answered in 3.0 s
`},
	} {
		test.report.judge(true)
		var b bytes.Buffer
		if err := test.report.WriteText(&b); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(test.want, b.String()); diff != "" {
			t.Error(diff)
		}
	}
}

func TestProgressText(t *testing.T) {
	p := Progress{Elapsed: 61*time.Second + 234*time.Millisecond, Requests: 1234.5, Bytes: 83_250_000, Errors: 1, P99: 3210 * time.Microsecond}
	if got, want := p.String(), "1m1s  1234 req/s  83.2 MB/s  1 error  p99 3.21 ms"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLabels(t *testing.T) {
	inURL := func(err error) error { return &url.Error{Op: "Get", URL: "http://x/", Err: err} }
	for _, test := range []struct {
		err  error
		want string
	}{
		{&refusal{404, "ObjectNotFoundException", "gone"}, "404 ObjectNotFoundException"},
		{&refusal{502, "", "<html>"}, "502"},
		{inURL(context.DeadlineExceeded), "timeout"},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), "timeout"},
		{inURL(syscall.ECONNREFUSED), "connection refused"},
		{inURL(syscall.ECONNRESET), "connection broken"},
		{inURL(io.EOF), "connection broken"},
		{io.ErrUnexpectedEOF, "connection broken"},
		{errStale, errStale.Error()},
		{errors.New("what"), "request failed"},
	} {
		if got := labelOf(test.err); got != test.want {
			t.Errorf("%v: got %q, want %q", test.err, got, test.want)
		}
	}
}

// A server that answers something else each time costs no memory, and cannot
// write to the terminal.
func TestErrorsAreBounded(t *testing.T) {
	r := newRecorder(time.Now)
	r.begin()
	for i := range 1000 {
		r.done(getSegment, time.Time{}, &refusal{400 + i, "X", "\x1b[2J" + strings.Repeat("ä", 1000)})
	}
	report := r.report(time.Now())
	row := report.row(getSegment)
	if row.Errors != 1000 || len(row.ByError) != maxLabels+1 || row.ByError[0].What != otherLabel || row.ByError[0].Count != 1000-maxLabels {
		t.Errorf("%d errors in %d sorts, the first %+v", row.Errors, len(row.ByError), row.ByError[0])
	}
	for _, e := range row.ByError {
		if len(e.First) > maxExample || strings.Contains(e.First, "\x1b") {
			t.Errorf("%q", e.First)
		}
	}
}

func TestWord(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "AccessDeniedException": "AccessDeniedException", "CodeException:http://x/": "CodeException",
		"\x1b[2J": "", strings.Repeat("x", 99): strings.Repeat("x", 64),
	} {
		if got := word(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
