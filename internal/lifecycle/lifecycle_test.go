package lifecycle_test

import (
	"fmt"
	"testing"
	"time"

	"headwater/internal/lifecycle"
	"headwater/internal/mediastore"
)

const day = 24 * time.Hour

func epoch() time.Time { return time.Date(2025, 11, 13, 20, 0, 0, 5, time.UTC) }

func mustParse(t testing.TB, text string) *lifecycle.Policy {
	t.Helper()
	p, err := lifecycle.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const policy = `{"rules": [
	{"definition": {"path": [{"prefix": "sports/"}, {"prefix": "news"}], "days_since_create": [{"numeric": [">", 28]}]}, "action": "EXPIRE"},
	{"definition": {"path": [{"prefix": ""}], "days_since_create": [{"numeric": [">=", 40]}]}, "action": "EXPIRE"},
	{"definition": {"path": [{"wildcard": "sports/*.ts"}], "days_since_create": [{"numeric": [">", 20]}]}, "action": "EXPIRE"},
	{"definition": {"path": [{"wildcard": "sports/*.m3u8"}], "seconds_since_create": [{"numeric": [">=", 60]}]}, "action": "EXPIRE"},
	{"definition": {"path": [{"wildcard": "/sports/index*.m3u8"}, {"wildcard": "*/live.mpd"}], "seconds_since_create": [{"numeric": [">", 15]}]}, "action": "EXPIRE"},
	{"definition": {"path": [{"prefix": "/shows/"}], "days_since_create": [{"numeric": [">=", 30]}]}, "action": "ARCHIVE"}
]}`

// never marks an object that no rule of a kind covers.
const never time.Duration = -1

func TestWhenRulesAct(t *testing.T) {
	tests := []struct {
		path                           mediastore.Path
		transient, deletion, archiving time.Duration // age of the object
	}{
		{"a.ts", never, 40 * day, never},
		{"sports/a.mp4", never, 29 * day, never},
		{"sports/a.ts", never, 21 * day, never},
		{"sports/hd/a.ts", never, 21 * day, never},
		{"sportsa.ts", never, 40 * day, never},
		{"Sports/a.ts", never, 40 * day, never},
		{"newsreel/a.ts", never, 29 * day, never},
		{"a/news/a.ts", never, 40 * day, never},
		{"sports/index.m3u8", 16 * time.Second, 29 * day, never},
		{"sports/index/hd/1.m3u8", 16 * time.Second, 29 * day, never},
		{"sports/main.m3u8", 60 * time.Second, 29 * day, never},
		{"shows/a/b/live.mpd", 16 * time.Second, 40 * day, 30 * day},
		{"live.mpd", never, 40 * day, never},
		{"shows", never, 40 * day, never},
		{"other/shows/a.ts", never, 40 * day, never},
	}
	p := mustParse(t, policy)
	for _, test := range tests {
		check(t, "transient", test.path, p.TransientExpiry, test.transient)
		check(t, "deletion", test.path, p.DeleteAt, test.deletion)
		check(t, "archiving", test.path, p.ArchiveAt, test.archiving)
	}
}

func check(t *testing.T, kind string, path mediastore.Path, at func(mediastore.Path, time.Time) (time.Time, bool), want time.Duration) {
	t.Helper()
	got, ok := at(path, epoch())
	switch {
	case want == never && (ok || !got.IsZero()):
		t.Errorf("%s of %s: at %v, want never", kind, path, got)
	case want != never && (!ok || got.Sub(epoch()) != want):
		t.Errorf("%s of %s: at age %v (%v), want %v", kind, path, got.Sub(epoch()), ok, want)
	}
}

func TestAges(t *testing.T) {
	tests := []struct {
		unit, operator string
		n              int
		want           time.Duration
	}{
		{"seconds", ">=", 1, time.Second},
		{"seconds", ">", 1, 2 * time.Second},
		{"seconds", ">=", 15, 15 * time.Second},
		{"seconds", ">", 15, 16 * time.Second},
		{"seconds", ">", 300, 301 * time.Second},
		{"days", ">=", 1, day},
		{"days", ">", 1, 2 * day},
		{"days", ">=", 36500, 36500 * day},
		{"days", ">", 36500, 36501 * day},
	}
	for _, test := range tests {
		p := mustParse(t, document(fmt.Sprintf(`{"definition":{"path":[{"wildcard":"*"}],"%s_since_create":[{"numeric":["%s",%d]}]},"action":"EXPIRE"}`,
			test.unit, test.operator, test.n)))
		at := p.DeleteAt
		if test.unit == "seconds" {
			at = p.TransientExpiry
		}
		check(t, test.unit+" "+test.operator, "a", at, test.want)
	}
}

func TestKindsOfRules(t *testing.T) {
	const anything = `{"definition":{"path":[{"wildcard":"*"}],"%s_since_create":[{"numeric":[">=",30]}]},"action":"%s"}`
	for _, test := range []struct {
		unit, action      string
		deletes, archives bool
	}{
		{"seconds", "EXPIRE", false, false},
		{"days", "EXPIRE", true, false},
		{"days", "ARCHIVE", false, true},
	} {
		p := mustParse(t, document(fmt.Sprintf(anything, test.unit, test.action)))
		if p.Deletes() != test.deletes || p.Archives() != test.archives {
			t.Errorf("%s in %s: deletes %v, archives %v", test.action, test.unit, p.Deletes(), p.Archives())
		}
	}
}

func TestEvaluationDoesNotAllocate(t *testing.T) {
	p := mustParse(t, policy)
	for _, path := range []mediastore.Path{"sports/index.m3u8", "other/a.ts"} {
		if n := testing.AllocsPerRun(100, func() { p.TransientExpiry(path, epoch()) }); n != 0 {
			t.Errorf("%s: %v allocations", path, n)
		}
	}
}

func BenchmarkTransientExpiry(b *testing.B) {
	p := mustParse(b, policy)
	created := epoch()
	b.ReportAllocs()
	for b.Loop() {
		p.TransientExpiry("sports/final/hd/segment_000123.ts", created)
	}
}
