package loadtest

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// config is of a run that ends between two segments.
func config(s *store) Config {
	return Config{
		Endpoint: "http://origin/abcdefghijklmn/", Folder: "bench/1",
		Channels: 2, Renditions: 2, Readers: 3,
		Segment: 2 * time.Second, SegmentSize: 1000, Part: 200 * time.Millisecond, Window: 6,
		Duration: 60*time.Second + 500*time.Millisecond, Speed: 1, Timeout: 10 * time.Second,
		Seed: 1, Authorize: func(*http.Request) error { return nil }, Transport: s, Now: time.Now,
	}
}

// simulate runs a test in time of its own.
func simulate(t *testing.T, s *store, change func(*Config)) (report *Report) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := config(s)
		change(&c)
		report = New(c).Run(t.Context())
	})
	return report
}

// row returns what became of a kind.
func (r *Report) row(k kind) KindReport {
	for _, row := range r.Kinds {
		if row.Kind == k.String() {
			return row
		}
	}
	return KindReport{}
}

// sorts returns the sorts of errors and how many there were.
func (r *Report) sorts() map[string]int64 {
	all := map[string]int64{}
	for _, row := range r.Kinds {
		for _, e := range row.ByError {
			all[row.Kind+": "+e.What] += e.Count
		}
	}
	return all
}

func TestGoodServer(t *testing.T) {
	// Both channels are on air for 60 s, the second from its phase of 1 s on.
	const published = 2*31 + 2*30
	for name, change := range map[string]func(*Config){
		"whole":   func(*Config) {},
		"chunked": func(c *Config) { c.Chunked = true },
		"faster":  func(c *Config) { c.Speed = 10; c.Duration /= 10 },
	} {
		s := newStore()
		r := simulate(t, s, change)
		if r.Verdict != Passed || r.Published != published || r.Early > 0 || r.Leftovers > 0 || s.left() > 0 {
			t.Errorf("%s: %d objects are left, and %+v", name, s.left(), r)
		}
		read := r.row(getSegment).Count + r.row(followSegment).Count
		if read > 3*published || read < 3*(published-4*2) { // each may miss the first and the last
			t.Errorf("%s: %d segments were read", name, read)
		}
		if manifests := r.row(getManifest).Count; manifests < read {
			t.Errorf("%s: %d manifests were read for %d segments", name, manifests, read)
		}
	}
}

func TestAsFastAsAnswersCome(t *testing.T) {
	for _, chunked := range []bool{false, true} {
		s := newStore()
		s.delay = func(*http.Request) time.Duration { return 10 * time.Millisecond }
		r := simulate(t, s, func(c *Config) { c.Speed, c.Chunked, c.Duration = 0, chunked, 2*time.Second })
		// A segment costs a request for itself, one for the manifest and one to
		// delete an older one.
		if r.Verdict != Passed || r.Published < 4*2*100/3 || s.left() > 0 {
			t.Errorf("chunked %v: %d objects are left, and %+v", chunked, s.left(), r)
		}
	}
}

func TestSegmentSizes(t *testing.T) {
	c := config(newStore())
	c.Channels, c.Renditions, c.SegmentSize = 1, 11, 0
	var got []int64
	for _, s := range New(c).streams {
		got = append(got, s.size)
	}
	// Two seconds of each bit rate.
	want := []int64{1_950_000, 1_500_000, 1_125_000, 750_000, 500_000, 275_000, 182_500, 91_250, 36_250, 32_000, 32_000}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLatencies(t *testing.T) {
	s := newStore()
	s.delay = func(r *http.Request) time.Duration {
		if r.Method == http.MethodPut {
			return 30 * time.Millisecond
		}
		return 5 * time.Millisecond
	}
	r := simulate(t, s, func(*Config) {})
	for k, want := range map[kind]float64{putSegment: 30, putManifest: 30, getManifest: 5, getSegment: 5, deleteSegment: 5} {
		if row := r.row(k); row.P50 != want || row.Max != want || row.Count == 0 {
			t.Errorf("%s: want %v ms, got %+v", k, want, row)
		}
	}
	if row := r.row(putSegment); row.BytesPerSecond < 122*1000/61 || row.BytesPerSecond > 122*1000/60 {
		t.Errorf("segments were stored with %v bytes per second", row.BytesPerSecond)
	}
}

func TestFollowers(t *testing.T) {
	s := newStore()
	s.lag = 50 * time.Millisecond
	r := simulate(t, s, func(c *Config) { c.Chunked = true })
	chunks := r.row(followChunk)
	if chunks.P50 != 50 || chunks.Max != 50 {
		t.Errorf("want 50 ms, got %+v", chunks)
	}
	// Of the ten chunks of a segment the first is sent before the manifest says
	// so, and a reader asks once a chunk.
	if follows := r.row(followSegment).Count; follows == 0 || chunks.Count < 8*follows {
		t.Errorf("%d chunks of %d segments were followed", chunks.Count, follows)
	}
	// The answer to a put comes at the end of the content.
	if put := r.row(putSegment); put.Max > 1 {
		t.Errorf("the answer came %v ms after the last chunk", put.Max)
	}
}

func TestServerThatShowsNothingWhileItIsUploaded(t *testing.T) {
	s := newStore()
	s.blind = true
	r := simulate(t, s, func(c *Config) { c.Chunked = true })
	if r.Early == 0 || r.row(followChunk).Count > 0 || r.Errors() > 0 {
		t.Errorf("%+v", r)
	}
}

func TestFaultsAreFound(t *testing.T) {
	segments := func(spoil func(a *answer)) func(*http.Request, *answer) {
		return func(r *http.Request, a *answer) {
			if isSegment(r) && strings.HasSuffix(r.URL.Path, "/0000000003.m4s") {
				spoil(a)
			}
		}
	}
	manifests := func(spoil func(a *answer)) func(*http.Request, *answer) {
		return func(r *http.Request, a *answer) {
			if !isSegment(r) && a.before != nil {
				spoil(a)
			}
		}
	}
	for _, test := range []struct {
		name  string
		spoil func(*http.Request, *answer)
		want  string
	}{
		{"torn", segments(func(a *answer) { a.body = bytes.NewReader(a.now.data[:500]) }), "get segment: body too short"},
		{"empty", segments(func(a *answer) { a.body = bytes.NewReader(nil) }), "get segment: body too short"},
		{"longer", segments(func(a *answer) { a.body = io.MultiReader(a.body, strings.NewReader("x")) }), "get segment: body too long"},
		{"broken off", segments(func(a *answer) { a.body = &brokenReader{*bytes.NewReader(a.now.data[:500])} }), "get segment: connection broken"},
		{"mixed", segments(func(a *answer) {
			other := a.all("/abcdefghijklmn/bench/1/channel1/rendition1/0000000002.m4s").data
			a.body = bytes.NewReader(slices.Concat(a.now.data[:500], other[500:]))
		}), "get segment: body with wrong bytes"},
		{"another", segments(func(a *answer) {
			a.body = bytes.NewReader(a.all("/abcdefghijklmn/bench/1/channel1/rendition1/0000000002.m4s").data)
		}), "get segment: body of another object"},
		{"forbidden", segments(func(a *answer) { a.status = http.StatusForbidden }), "get segment: 403 CodeNException"},
		{"stale", manifests(func(a *answer) { a.body = bytes.NewReader(a.before.data) }), "get manifest: manifest older than an acknowledged one"},
		{"torn manifest", manifests(func(a *answer) { a.body = bytes.NewReader(a.now.data[:70]) }), "get manifest: manifest that nobody wrote"},
		{"mixed manifest", manifests(func(a *answer) {
			a.body = bytes.NewReader(slices.Concat(a.before.data, a.now.data[min(len(a.now.data), len(a.before.data)):], []byte("x")))
		}), "get manifest: manifest that nobody wrote"},
	} {
		s := newStore()
		s.spoil = test.spoil
		r := simulate(t, s, func(c *Config) { c.Channels, c.Renditions = 1, 1 })
		if got := slices.Collect(maps.Keys(r.sorts())); r.Verdict != Failed || !cmp.Equal(got, []string{test.want}) {
			t.Errorf("%s: %s, %v, want %q", test.name, r.Verdict, r.sorts(), test.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		name string
		deny func(*http.Request) bool
		want []string
	}{
		{"put", func(r *http.Request) bool { return r.Method == http.MethodPut && isSegment(r) }, []string{"put segment: 503 CodeJException"}},
		{"manifest", func(r *http.Request) bool { return r.Method == http.MethodPut && !isSegment(r) }, []string{"put manifest: 503 CodeJException"}},
		{"delete", func(r *http.Request) bool { return r.Method == http.MethodDelete }, []string{"delete segment: 503 CodeJException"}},
	} {
		s := newStore()
		s.deny = func(r *http.Request) int {
			if test.deny(r) {
				return http.StatusServiceUnavailable
			}
			return 0
		}
		r := simulate(t, s, func(*Config) {})
		if got := slices.Collect(maps.Keys(r.sorts())); r.Verdict != Failed || !cmp.Equal(got, test.want) {
			t.Errorf("%s: %s, %v", test.name, r.Verdict, r.sorts())
		}
		if want := test.name == "delete"; (r.Leftovers > 0) != want {
			t.Errorf("%s: %d objects are left", test.name, r.Leftovers)
		}
		if want := test.name == "put"; (r.Missed > 0) != want {
			t.Errorf("%s: %d segments were missed", test.name, r.Missed)
		}
	}
}

// A segment that could not be stored is left out; nobody asks for it.
func TestOneSegmentFails(t *testing.T) {
	for _, chunked := range []bool{false, true} {
		s := newStore()
		s.deny = func(r *http.Request) int {
			if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/0000000009.m4s") {
				return http.StatusServiceUnavailable
			}
			return 0
		}
		r := simulate(t, s, func(c *Config) { c.Chunked = chunked })
		if diff := cmp.Diff(map[string]int64{"put segment: 503 CodeJException": 4}, r.sorts()); diff != "" || r.Missed != 4 {
			t.Errorf("chunked %v: %d segments were missed, and errors (-want +got):\n%s", chunked, r.Missed, diff)
		}
	}
}

func TestServerThatHangs(t *testing.T) {
	for _, chunked := range []bool{false, true} {
		s := newStore()
		s.delay = func(*http.Request) time.Duration { return time.Hour }
		r := simulate(t, s, func(c *Config) { c.Duration, c.Chunked = 5*time.Second, chunked })
		if diff := cmp.Diff(map[string]int64{"put segment: timeout": 4}, r.sorts()); diff != "" || r.Verdict != Failed {
			t.Errorf("%s, errors (-want +got):\n%s", r.Verdict, diff)
		}
		if r.Seconds > 20 {
			t.Errorf("it took %v s", r.Seconds)
		}
	}
}

func TestServerThatIsTooSlow(t *testing.T) {
	s := newStore()
	s.delay = func(r *http.Request) time.Duration {
		if r.Method == http.MethodPut && isSegment(r) {
			return 5 * time.Second
		}
		return 0
	}
	r := simulate(t, s, func(*Config) {})
	if r.Verdict != Behind || r.Late == 0 || r.Missed == 0 {
		t.Errorf("%+v", r)
	}
}

func TestReaderThatIsTooSlow(t *testing.T) {
	s := newStore()
	s.delay = func(r *http.Request) time.Duration {
		if r.Method == http.MethodGet && isSegment(r) {
			return 5 * time.Second
		}
		return 0
	}
	r := simulate(t, s, func(*Config) {})
	if r.Verdict != Behind || r.Skipped == 0 || r.Late > 0 {
		t.Errorf("%+v", r)
	}
}

func TestLifecycleRuleDeletes(t *testing.T) {
	s := newStore()
	s.deny = func(r *http.Request) int {
		if r.Method == http.MethodDelete && isSegment(r) {
			t.Errorf("DELETE %s", r.URL.Path)
		}
		return 0
	}
	r := simulate(t, s, func(c *Config) { c.KeepOld = true })
	if r.Verdict != Passed || s.left() != 122 {
		t.Errorf("%d objects are left, and %+v", s.left(), r)
	}
}

func TestInterrupted(t *testing.T) {
	for _, chunked := range []bool{false, true} {
		s := newStore()
		s.delay = func(r *http.Request) time.Duration { return 300 * time.Millisecond }
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second+100*time.Millisecond)
			defer cancel()
			c := config(s)
			c.Chunked = chunked
			r := New(c).Run(ctx)
			if r.Errors() > 0 || r.Seconds != 10.1 || r.Missed > 0 || r.Leftovers > 0 || s.left() > 0 {
				t.Errorf("chunked %v: %d objects are left, and %+v", chunked, s.left(), r)
			}
		})
	}
}

func TestNothingAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if r := New(config(newStore())).Run(ctx); r.Verdict != Failed {
			t.Errorf("%+v", r)
		}
	})
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		s.delay = func(r *http.Request) time.Duration { return 10 * time.Millisecond }
		c := config(s)
		c.Channels, c.Renditions, c.Readers = 1, 1, 0
		test := New(c)
		if got := test.Progress(); got != (Progress{}) {
			t.Errorf("before it began: %+v", got)
		}
		done := make(chan *Report)
		go func() { done <- test.Run(t.Context()) }()
		var got []Progress
		for range 2 {
			time.Sleep(10*time.Second + 500*time.Millisecond)
			got = append(got, test.Progress())
		}
		<-done
		// 6 and 5 segments with their manifests, in 10.5 s.
		want := []Progress{
			{Elapsed: 10500 * time.Millisecond, Requests: 12 / 10.5, P99: 10 * time.Millisecond},
			{Elapsed: 21 * time.Second, Requests: 10 / 10.5, P99: 10 * time.Millisecond},
		}
		for i := range want {
			want[i].Bytes = got[i].Bytes
			if got[i].Bytes < 5000/10.5 || got[i].Bytes > 8000/10.5 {
				t.Errorf("%v bytes per second", got[i].Bytes)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// The whole way over real connections. The run ends when enough was asked, not
// after a time.
func TestOverHTTP(t *testing.T) {
	for _, chunked := range []bool{false, true} {
		s := newStore()
		server := httptest.NewServer(s)
		c := config(s)
		c.Endpoint, c.Transport = server.URL+"/abcdefghijklmn", server.Client().Transport
		c.Speed, c.Chunked, c.Duration, c.Timeout = 20, chunked, time.Hour, time.Hour
		ctx, cancel := context.WithCancel(t.Context())
		s.delay = func(*http.Request) time.Duration {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.requests > 200 {
				cancel()
			}
			return 0
		}
		r := New(c).Run(ctx)
		cancel()
		if r.Errors() > 0 || r.Published == 0 || r.Leftovers > 0 || s.left() > 0 {
			t.Errorf("chunked %v: %d objects are left, and %+v", chunked, s.left(), r)
		}
		server.Close()
	}
}
