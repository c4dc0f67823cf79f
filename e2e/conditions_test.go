package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestConditionalReads holds conditions on GET and HEAD against RFC 9110, section
// 13.
func TestConditionalReads(t *testing.T) {
	s, endpoint := forBadInput(t)
	head := rawCall(t, "HEAD", endpoint, "there.ts", "")
	etag, modified := head.Header.Get("ETag"), head.Header.Get("Last-Modified")
	at, err := http.ParseTime(modified)
	if err != nil {
		t.Fatal(err)
	}
	earlier, later := at.Add(-time.Second).Format(http.TimeFormat), at.Add(time.Hour).Format(http.TimeFormat)
	const whole, part = "0123456789", "23"
	for _, row := range []struct {
		headers []string
		status  int
		body    string
	}{
		{[]string{"If-None-Match: " + etag}, 304, ""},
		{[]string{`If-None-Match: "` + etag + `"`}, 304, ""},
		{[]string{`If-None-Match: W/"` + etag + `"`}, 304, ""},
		{[]string{`If-None-Match: "aa", "` + etag + `"`}, 304, ""},
		{[]string{`If-None-Match: "aa"`, `If-None-Match: "` + etag + `"`}, 304, ""},
		{[]string{"If-None-Match: *"}, 304, ""},
		{[]string{"If-None-Match: aa"}, 200, whole},
		{[]string{"If-Match: " + etag}, 200, whole},
		{[]string{`If-Match: "` + etag + `"`}, 200, whole},
		{[]string{"If-Match: *"}, 200, whole},
		{[]string{"If-Match: aa"}, 412, ""},
		{[]string{`If-Match: W/"` + etag + `"`}, 412, ""}, // the comparison is strong
		{[]string{"If-Modified-Since: " + modified}, 304, ""},
		{[]string{"If-Modified-Since: " + later}, 304, ""},
		{[]string{"If-Modified-Since: " + earlier}, 200, whole},
		{[]string{"If-Modified-Since: yesterday"}, 200, whole},
		{[]string{"If-None-Match: aa", "If-Modified-Since: " + later}, 200, whole}, // the ETag decides
		{[]string{"If-Unmodified-Since: " + modified}, 200, whole},
		{[]string{"If-Unmodified-Since: " + earlier}, 412, ""},
		{[]string{"If-Unmodified-Since: yesterday"}, 200, whole},
		{[]string{"If-Match: " + etag, "If-Unmodified-Since: " + earlier}, 200, whole}, // likewise
		{[]string{"If-Match: aa", "If-None-Match: " + etag}, 412, ""},
		{[]string{"Range: bytes=2-3"}, 206, part},
		{[]string{"Range: bytes=2-3", "If-Range: " + etag}, 206, part},
		{[]string{"Range: bytes=2-3", `If-Range: "` + etag + `"`}, 206, part},
		{[]string{"Range: bytes=2-3", "If-Range: " + modified}, 206, part},
		{[]string{"Range: bytes=2-3", "If-Range: aa"}, 200, whole},
		{[]string{"Range: bytes=2-3", `If-Range: W/"` + etag + `"`}, 200, whole},
		{[]string{"Range: bytes=2-3", "If-Range: " + earlier}, 200, whole},
		{[]string{"Range: bytes=50-", "If-Range: aa"}, 200, whole},
		{[]string{"Range: bytes=2-3", "If-None-Match: " + etag}, 304, ""},
		{[]string{"Range: bytes=50-", "If-None-Match: " + etag}, 304, ""},
		{[]string{"Range: bytes=2-3", "If-Match: aa"}, 412, ""},
	} {
		a := rawCall(t, "GET", endpoint, "there.ts", "", row.headers...)
		if row.status == http.StatusPreconditionFailed {
			if err := a.refused(row.status, "PreconditionFailedException"); err != nil {
				t.Errorf("%q: %v", row.headers, err)
			}
		} else {
			a.is(t, fmt.Sprintf("%q", row.headers), row.status, row.body)
		}
		if got := a.Header.Get("ETag"); (got == etag) != (row.status < 400) {
			t.Errorf("%q: ETag %q", row.headers, got)
		}
		if strings.HasPrefix(row.headers[0], "Range") {
			continue // HEAD knows no ranges
		}
		if b := rawCall(t, "HEAD", endpoint, "there.ts", "", row.headers...); b.Status != row.status {
			t.Errorf("HEAD %q: %d, want %d", row.headers, b.Status, row.status)
		}
	}
	wantWell(t, s)
}

// TestRangesOfACompleteObject are the three forms of a range (RFC 9110, section
// 14.1.2).
func TestRangesOfACompleteObject(t *testing.T) {
	_, endpoint := forBadInput(t)
	for spec, want := range map[string]struct{ contentRange, body string }{
		"bytes=0-0":                    {"bytes 0-0/10", "0"},
		"bytes=2-4":                    {"bytes 2-4/10", "234"},
		"bytes=9-":                     {"bytes 9-9/10", "9"},
		"bytes=0-":                     {"bytes 0-9/10", "0123456789"},
		"bytes=8-100":                  {"bytes 8-9/10", "89"},
		"bytes=-3":                     {"bytes 7-9/10", "789"},
		"bytes=-100":                   {"bytes 0-9/10", "0123456789"},
		"bytes=4-9007199254740991":     {"bytes 4-9/10", "456789"},
		"bytes=4-99999999999999999999": {"bytes 4-9/10", "456789"},
	} {
		a := rawCall(t, "GET", endpoint, "there.ts", "", "Range: "+spec)
		a.is(t, spec, http.StatusPartialContent, want.body)
		if got := a.Header.Get("Content-Range"); got != want.contentRange {
			t.Errorf("%s: Content-Range %q, want %q", spec, got, want.contentRange)
		}
	}
	if got := rawCall(t, "GET", endpoint, "there.ts", "", "Range: bytes=10-").Header.Get("Content-Range"); got != "bytes */10" {
		t.Errorf("a range beyond the end: Content-Range %q", got)
	}
}

// TestConditionalWrites: what a condition refuses changes nothing.
func TestConditionalWrites(t *testing.T) {
	_, endpoint := forBadInput(t)
	etag := rawCall(t, "HEAD", endpoint, "there.ts", "").Header.Get("ETag")
	const failed = "PreconditionFailedException"
	for _, row := range []struct{ method, path, header string }{
		{"PUT", "there.ts", "If-None-Match: *"},
		{"PUT", "there.ts", "If-None-Match: " + etag},
		{"PUT", "there.ts", "If-Match: aa"},
		{"PUT", "there.ts", `If-Match: W/"` + etag + `"`},
		{"PUT", "nothere.ts", "If-Match: *"},
		{"PUT", "nothere.ts", "If-Match: " + etag},
		{"DELETE", "there.ts", "If-Match: aa"},
		{"DELETE", "there.ts", "If-None-Match: *"},
	} {
		if err := rawCall(t, row.method, endpoint, row.path, "new", row.header).refused(http.StatusPreconditionFailed, failed); err != nil {
			t.Errorf("%s %s %s: %v", row.method, row.path, row.header, err)
		}
	}
	if a := rawCall(t, "HEAD", endpoint, "there.ts", ""); a.Header.Get("ETag") != etag {
		t.Errorf("the object has become another: %v", a.Header)
	}
	second := putObject(t, endpoint, "there.ts", "second", `If-Match: "`+etag+`"`)
	if err := rawCall(t, "PUT", endpoint, "there.ts", "third", "If-Match: "+etag).refused(http.StatusPreconditionFailed, failed); err != nil {
		t.Errorf("with the ETag of the version before: %v", err)
	}
	putObject(t, endpoint, "new.ts", "new", "If-None-Match: *")
	rawCall(t, "DELETE", endpoint, "there.ts", "", "If-Match: "+second).is(t, "DELETE", http.StatusOK, "")
	if got := listNames(t, endpoint, ""); !slices.Equal(got, []string{"new.ts"}) {
		t.Errorf("the list has %q", got)
	}
}

// TestConditionalRace: of many uploads that are all under way, with a condition
// that each of them meets when it begins, one wins.
func TestConditionalRace(t *testing.T) {
	_, endpoint := forBadInput(t)
	etag := rawCall(t, "HEAD", endpoint, "there.ts", "").Header.Get("ETag")
	for path, condition := range map[string]string{"new.ts": "If-None-Match: *", "there.ts": "If-Match: " + etag} {
		var uploads []*rawConn
		for i := range 16 {
			up := beginChunked(t, endpoint, path, condition, "Expect: 100-continue")
			if res := up.head("PUT"); res.StatusCode != http.StatusContinue { // it has met the condition by now
				t.Fatalf("%s: %d", condition, res.StatusCode)
			}
			up.chunk(fmt.Sprint("from ", i))
			uploads = append(uploads, up)
		}
		for _, up := range uploads {
			up.end()
		}
		var winners []string
		for i, up := range uploads {
			if a := up.answer("PUT"); a.Status == http.StatusOK {
				winners = append(winners, fmt.Sprint("from ", i))
			} else if err := a.refused(http.StatusPreconditionFailed, "PreconditionFailedException"); err != nil {
				t.Errorf("%s: %v", condition, err)
			}
		}
		if len(winners) != 1 {
			t.Fatalf("%s: %q have won", condition, winners)
		}
		rawCall(t, "GET", endpoint, path, "").is(t, condition, http.StatusOK, winners[0])
	}
}
