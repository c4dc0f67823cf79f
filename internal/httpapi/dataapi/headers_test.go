package dataapi

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"headwater/internal/mediastore"
)

func TestRange(t *testing.T) {
	for _, test := range []struct {
		header string
		size   int64
		from   int64
		n      int64 // 0: cannot be satisfied
	}{
		{"bytes=0-", 10, 0, 10},
		{"bytes=0-0", 10, 0, 1},
		{"bytes=3-5", 10, 3, 3},
		{"bytes=3-", 10, 3, 7},
		{"bytes=9-", 10, 9, 1},
		{"bytes=9-100", 10, 9, 1},
		{"bytes=0-99999999999999999999999", 10, 0, 10},
		{"bytes=0-9223372036854775807", 10, 0, 10},
		{"bytes=-3", 10, 7, 3},
		{"bytes=-10", 10, 0, 10},
		{"bytes=-11", 10, 0, 10},
		{"bytes=-99999999999999999999999", 10, 0, 10},

		{"bytes=10-", 10, 0, 0},
		{"bytes=10-20", 10, 0, 0},
		{"bytes=99999999999999999999999-", 10, 0, 0},
		{"bytes=-0", 10, 0, 0},
		{"bytes=0-", 0, 0, 0},
		{"bytes=-1", 0, 0, 0},
		{"bytes=5-3", 10, 0, 0},
		{"bytes=-", 10, 0, 0},
		{"bytes=", 10, 0, 0},
		{"bytes=1", 10, 0, 0},
		{"bytes=a-b", 10, 0, 0},
		{"bytes=+1-2", 10, 0, 0},
		{"bytes=1-2,4-5", 10, 0, 0},
		{"bytes=1--2", 10, 0, 0},
		{"items=1-2", 10, 0, 0},
		{"Bytes=1-2", 10, 0, 0},
		{" bytes=1-2", 10, 0, 0},
	} {
		r, err := parseRange(test.header)
		var from, n int64
		if err == nil {
			from, n, err = r.of(test.size)
		}
		if test.n == 0 {
			if !mediastore.IsKind(err, mediastore.KindRangeNotSatisfiable) {
				t.Errorf("%q of %d bytes: %v, want range not satisfiable", test.header, test.size, err)
			}
		} else if err != nil || from != test.from || n != test.n {
			t.Errorf("%q of %d bytes = %d bytes from %d, %v; want %d from %d", test.header, test.size, n, from, err, test.n, test.from)
		}
	}
}

func TestContentRange(t *testing.T) {
	if got := contentRange(3, 5, 10); got != "bytes 3-5/10" {
		t.Error(got)
	}
	if got := contentRange(3, veryLarge, -1); got != "bytes 3-9007199254740991/*" {
		t.Error(got)
	}
}

func FuzzRange(f *testing.F) {
	for _, s := range []string{"bytes=0-", "bytes=-5", "bytes=1-2", "bytes=2-1", "bytes=1-2,3-4", "bytes=9223372036854775807-9223372036854775808"} {
		f.Add(s, int64(10))
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		r, err := parseRange(header)
		if err != nil {
			if !mediastore.IsKind(err, mediastore.KindRangeNotSatisfiable) {
				t.Fatalf("%q: %v", header, err)
			}
			return
		}
		from, n, err := r.of(size)
		if err != nil {
			return
		}
		if from < 0 || n < 1 || n > size || from > size-n {
			t.Fatalf("%q of %d bytes = %d bytes from %d", header, size, n, from)
		}
		same, err := parseRange("bytes=" + strings.TrimPrefix(header, "bytes="))
		if err != nil || same != r {
			t.Fatalf("%q is read as %v and then as %v, %v", header, r, same, err)
		}
	})
}

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func TestETags(t *testing.T) {
	for _, test := range []struct {
		value string
		weak  bool
		any   bool
		want  string // tags joined by blanks; "!" when refused
	}{
		{"aa", false, false, "aa"},
		{`"aa"`, false, false, "aa"},
		{`"aa", bb ,"cc"`, false, false, "aa bb cc"},
		{`W/"aa"`, true, false, "aa"},
		{`W/"aa", "bb"`, false, false, "bb"},
		{`W/"aa"`, false, false, ""},
		{"*", false, true, ""},
		{" * ", false, true, ""},
		{"", false, false, "!"},
		{`""`, false, false, "!"},
		{`"aa`, false, false, "!"},
		{`aa,,bb`, false, false, "!"},
		{`a a`, false, false, "!"},
		{strings.Repeat("a,", 100) + "a", false, false, "!"},
	} {
		star, tags, err := parseETags(header("If-Match", test.value), "If-Match", test.weak)
		var got []string
		for _, tag := range tags {
			got = append(got, string(tag))
		}
		switch {
		case test.want == "!":
			if !mediastore.IsKind(err, mediastore.KindInvalid) {
				t.Errorf("%q: %v, want invalid", test.value, err)
			}
		case err != nil || star != test.any || strings.Join(got, " ") != test.want || !star && tags == nil:
			t.Errorf("%q = any %v, %q, %v", test.value, star, got, err)
		}
	}
	if star, tags, err := parseETags(header(), "If-Match", false); star || tags != nil || err != nil {
		t.Errorf("without the header: %v, %v, %v", star, tags, err)
	}
}

func TestIfRange(t *testing.T) {
	modified := time.Date(2026, 3, 1, 12, 0, 0, 5e8, time.UTC)
	obj := &mediastore.Object{ETag: "aa", LastModified: modified}
	for value, want := range map[string]bool{
		"":                               true,
		`"aa"`:                           true,
		"aa":                             true,
		`W/"aa"`:                         false,
		`"bb"`:                           false,
		modified.Format(http.TimeFormat): true,
		modified.Add(time.Hour).Format(http.TimeFormat): false,
	} {
		h := header()
		if value != "" {
			h.Set("If-Range", value)
		}
		if got := rangeApplies(h, obj); got != want {
			t.Errorf("If-Range: %q applies: %v, want %v", value, got, want)
		}
	}
}

func TestContentTypes(t *testing.T) {
	for value, ok := range map[string]bool{
		"":                                true,
		"video/mp4":                       true,
		"application/vnd.apple.mpegurl":   true,
		"text/plain; charset=utf-8":       true,
		`video/mp4; codecs="avc1.4d401e"`: true,
		strings.Repeat("a", 255):          true,
		strings.Repeat("a", 256):          false,
		"video/mp4; " + strings.Repeat("a=b;", 80): false,
		"video mp4":     false,
		"video/mp4\x00": false,
		";":             false,
		"vidéo/mp4":     false,
	} {
		if err := checkContentType(value); (err == nil) != ok {
			t.Errorf("Content-Type %q: %v", value, err)
		}
	}
}

func TestTokens(t *testing.T) {
	for _, item := range []mediastore.Item{{Name: "a.ts"}, {Name: "a", Folder: true}, {Name: "=:~"}} {
		pos, err := parseToken(token(&item))
		if err != nil || pos.Name != item.Name || pos.Folder != item.Folder {
			t.Errorf("the token of %+v is read as %+v, %v", item, pos, err)
		}
	}
	for _, s := range []string{"x", "!!!!", "WA==", "Tw==", strings.Repeat("A", 3000)} {
		if _, err := parseToken(s); !mediastore.IsKind(err, mediastore.KindInvalid) {
			t.Errorf("token %q: %v, want invalid", s, err)
		}
	}
}

func TestLimits(t *testing.T) {
	for value, want := range map[string]int{"": 1000, "1": 1, "1000": 1000, "0": 0, "1001": 0, "-1": 0, "x": 0, "1.5": 0} {
		got, err := parseLimit(value)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("MaxResults %q = %d, %v", value, got, err)
		}
	}
}

func TestEveryKindHasAnAnswer(t *testing.T) {
	cannotHappen := map[mediastore.Kind]bool{
		mediastore.KindInternal: true, mediastore.KindContainerInUse: true, mediastore.KindPolicyNotFound: true,
		mediastore.KindCorsPolicyNotFound: true, mediastore.KindLimitExceeded: true,
	}
	for _, kind := range mediastore.Kinds() {
		if _, ok := answers[kind]; ok == cannotHappen[kind] {
			t.Errorf("kind %q: in the table %v, cannot happen %v", kind, ok, cannotHappen[kind])
		}
	}
}

func TestDigests(t *testing.T) {
	for value, ok := range map[string]bool{"": true, "XrY7u+Ae7tCTyyK7j1rNww==": true, "XrY7": false, "!": false} {
		if _, err := parseMD5(value); (err == nil) != ok {
			t.Errorf("Content-MD5 %q: %v", value, err)
		}
	}
	for value, ok := range map[string]bool{"": true, "UNSIGNED-PAYLOAD": true, strings.Repeat("0", 64): true, strings.Repeat("0", 63): false, strings.Repeat("g", 64): false, strconv.Itoa(1): false} {
		if _, err := parseSHA256(value); (err == nil) != ok {
			t.Errorf("x-amz-content-sha256 %q: %v", value, err)
		}
	}
}
