package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// event is what a store was asked to do, and when since the test began.
type event struct {
	At   time.Duration
	What string
}

// fakeStore keeps files in memory and can be made to fail.
type fakeStore struct {
	fail func(what string) error // nil for never
	slow time.Duration           // how long each request takes

	mu struct {
		sync.Mutex
		began  time.Time
		files  map[string]File
		events []event
	}
}

func newFakeStore() *fakeStore {
	s := &fakeStore{}
	s.mu.began = time.Now()
	s.mu.files = map[string]File{}
	return s
}

func (s *fakeStore) Put(ctx context.Context, path string, f File) error {
	return s.do("PUT "+path, func() { s.mu.files[path] = f })
}

func (s *fakeStore) Delete(ctx context.Context, path string) error {
	return s.do("DELETE "+path, func() { delete(s.mu.files, path) })
}

func (s *fakeStore) do(what string, apply func()) error {
	time.Sleep(s.slow)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.events = append(s.mu.events, event{time.Since(s.mu.began), what})
	if s.fail != nil {
		if err := s.fail(what); err != nil {
			return err
		}
	}
	apply()
	return nil
}

// names returns the paths of all files, sorted.
func (s *fakeStore) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.mu.files))
}

// when returns the moments of the events that contain what.
func (s *fakeStore) when(what string) []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []time.Duration
	for _, e := range s.mu.events {
		if strings.Contains(e.What, what) {
			all = append(all, e.At)
		}
	}
	return all
}

func newPublisher(s Store) *Publisher {
	return &Publisher{
		Channel: shortChannel(),
		Store:   s,
		Folder:  "live",
		Window:  3,
		Now:     time.Now,
		Log:     slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

// run publishes for d, which is a moment between two segments.
func run(t *testing.T, p *Publisher, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	p.Run(ctx)
}

// In a synctest bubble the time begins at midnight, UTC, on 1 January 2000, which
// is the beginning of a loop: base is the segment that begins then.
const base = Sequence(946684800 / 2)

func TestFirstCatchUpStoresAFullWindowInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		p := newPublisher(s)
		if err := p.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []event{
			{0, "PUT live/video/init.mp4"},
			{0, "PUT live/audio/init.mp4"},
			{0, "PUT live/video/473342397.m4s"},
			{0, "PUT live/audio/473342397.m4s"},
			{0, "PUT live/video/473342398.m4s"},
			{0, "PUT live/audio/473342398.m4s"},
			{0, "PUT live/video/473342399.m4s"},
			{0, "PUT live/audio/473342399.m4s"},
			{0, "PUT live/video.m3u8"},
			{0, "PUT live/audio.m3u8"},
			{0, "PUT live/index.m3u8"},
		}
		if diff := cmp.Diff(want, s.mu.events); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
		if got := p.Playlist(); got != "live/index.m3u8" {
			t.Errorf("Playlist() = %q", got)
		}
	})
}

func TestFilesAndTheirHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		p := newPublisher(s)
		if err := p.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := map[string]File{
			"live/index.m3u8":          {playlistType, "max-age=60", []byte("#EXTM3U\n")},
			"live/audio.m3u8":          {playlistType, "max-age=1", p.Channel.MediaPlaylist(&p.Channel.Tracks[1], base-3, base-1)},
			"live/video/init.mp4":      {mediaType, "max-age=60", []byte("vi")},
			"live/video/473342397.m4s": {mediaType, "max-age=3600", []byte("v0")},
			"live/audio/473342399.m4s": {mediaType, "max-age=3600", []byte("a2")},
		}
		for name, file := range want {
			if diff := cmp.Diff(file, s.mu.files[name]); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	})
}

// Requests that take long do not move the schedule: the n-th segment begins to be
// stored 2n seconds after the first, forever.
func TestScheduleDoesNotDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		s.slow = 130 * time.Millisecond // 5 requests, then up to 2 deletions
		p := newPublisher(s)
		run(t, p, time.Hour+time.Second)
		for n := Sequence(1); n < 1800; n++ {
			name := p.Channel.Tracks[0].segmentName(base + n)
			got := s.when("PUT live/" + name)
			want := []time.Duration{2*time.Duration(n+1)*time.Second + s.slow}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s was stored at (-want +got):\n%s", name, diff)
			}
		}
	})
}

func TestCatchesUpWithoutSkipping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		down := errors.New("the server is away")
		s.fail = func(string) error {
			if at := time.Since(s.mu.began); at > 5*time.Second && at < 9*time.Second {
				return down
			}
			return nil
		}
		p := newPublisher(s)
		run(t, p, 21*time.Second)
		for n := Sequence(-3); n < 10; n++ {
			if len(s.when("PUT live/audio/"+segmentFile(base+n))) == 0 {
				t.Errorf("segment %+d was skipped", n)
			}
		}
		if diff := cmp.Diff([]time.Duration{20 * time.Second}, s.when("PUT live/video/"+segmentFile(base+9))); diff != "" {
			t.Errorf("the last segment was stored at (-want +got):\n%s", diff)
		}
	})
}

func TestRetriesWithBackoffWhatFailedOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		failures := 4
		s.fail = func(what string) error {
			if what == "PUT live/audio/init.mp4" && failures > 0 {
				failures--
				return errors.New("no")
			}
			return nil
		}
		p := newPublisher(s)
		run(t, p, 3*time.Second)
		ms := time.Millisecond
		// The waits are 100, 200, 400, 800 ms.
		want := []time.Duration{0, 100 * ms, 300 * ms, 700 * ms, 1500 * ms}
		if diff := cmp.Diff(want, s.when("PUT live/audio/init.mp4")); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]time.Duration{1500 * ms}, s.when("PUT live/index.m3u8")); diff != "" {
			t.Errorf("on air at (-want +got):\n%s", diff)
		}
	})
}

// A store that forbids to delete must not hold up the programme.
func TestDeletionThatFailsDelaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		s.fail = func(what string) error {
			if strings.HasPrefix(what, "DELETE") {
				return errors.New("denied")
			}
			return nil
		}
		p := newPublisher(s)
		run(t, p, 41*time.Second)
		for n := Sequence(0); n < 20; n++ {
			want := []time.Duration{2 * time.Duration(n+1) * time.Second}
			if diff := cmp.Diff(want, s.when("PUT live/video/"+segmentFile(base+n))); diff != "" {
				t.Errorf("segment %+d was stored at (-want +got):\n%s", n, diff)
			}
		}
	})
}

func TestOldSegmentsAreDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		p := newPublisher(s)
		run(t, p, 41*time.Second)
		want := []string{"live/index.m3u8"}
		for _, track := range p.Channel.Tracks {
			want = append(want, "live/"+track.playlistName(), "live/"+track.initName())
			for n := Sequence(13); n < 20; n++ { // two windows and one more
				want = append(want, "live/"+track.segmentName(base+n))
			}
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, s.names()); diff != "" {
			t.Errorf("files after 41 s (-want +got):\n%s", diff)
		}
	})
}

// After a machine slept, the channel goes on with a full window of now.
func TestLongInterruptionSkipsToThePresent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		p := newPublisher(s)
		if err := p.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if err := p.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := string(s.mu.files["live/video.m3u8"].Body)
		want := string(p.Channel.MediaPlaylist(&p.Channel.Tracks[0], base+1797, base+1799))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("playlist (-want +got):\n%s", diff)
		}
		if got, want := len(s.names()), 2*(1+1+3)+1; got != want {
			t.Errorf("%d files are stored, want %d: %q", got, want, s.names())
		}
	})
}

// A playlist that went back would break every player (RFC 8216, section 6.2.1).
func TestClockThatIsSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		p := newPublisher(s)
		if err := p.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := string(s.mu.files["live/video.m3u8"].Body)
		back := 10 * time.Second
		p.Now = func() time.Time { return time.Now().Add(-back) }
		run(t, p, 9*time.Second)
		if diff := cmp.Diff(before, string(s.mu.files["live/video.m3u8"].Body)); diff != "" {
			t.Errorf("playlist, with the clock set back (-before +after):\n%s", diff)
		}
		run(t, p, 4*time.Second)
		if diff := cmp.Diff([]time.Duration{12 * time.Second}, s.when("PUT live/video/"+segmentFile(base))); diff != "" {
			t.Errorf("the next segment was stored at (-want +got):\n%s", diff)
		}
	})
}

// Two publishers that run one after the other agree on every segment.
func TestRestartGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		run(t, newPublisher(s), 11*time.Second)
		before := maps.Clone(s.mu.files)
		run(t, newPublisher(s), 10*time.Second)
		for name, file := range before {
			now, there := s.mu.files[name]
			if there && strings.HasSuffix(name, ".m4s") && !cmp.Equal(file, now) {
				t.Errorf("%s is another segment after the restart", name)
			}
		}
		if got := s.when("PUT live/video/" + segmentFile(base+9)); len(got) != 1 {
			t.Errorf("the last segment was stored %d times", len(got))
		}
	})
}

func TestRunEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			newPublisher(newFakeStore()).Run(ctx)
		}()
		synctest.Wait()
		began := time.Now()
		cancel()
		<-done
		if waited := time.Since(began); waited != 0 {
			t.Errorf("Run ended %v after its context", waited)
		}
	})
}

// segmentFile is the name of a segment in its track's folder.
func segmentFile(s Sequence) string { return fmt.Sprintf("%d.m4s", s) }
