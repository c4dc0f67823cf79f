package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"headwater/internal/engine"
	"headwater/internal/engine/memory"
	"headwater/internal/event"
	"headwater/internal/mediastore"
)

const (
	account   = "111122223333"
	region    = "us-east-1"
	container = "abcdefghij0001"
)

// store is an engine with one container, whose event is at position 1.
type store struct {
	t *testing.T
	*memory.Engine
	versions int
}

func newStore(t *testing.T) *store {
	t.Helper()
	s := &store{t: t, Engine: memory.New()}
	t.Cleanup(func() { s.Close() })
	err := s.CreateContainer(t.Context(), mediastore.Container{
		Account: account, Region: region, Name: "movies", ID: container, Status: mediastore.StatusActive, CreatedAt: time.Now(),
	}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// put stores an object of as many bytes as objects were stored before.
func (s *store) put(path mediastore.Path) {
	s.t.Helper()
	u, err := s.NewUpload(s.t.Context(), container, engine.UploadSpec{Path: path, Size: -1})
	if err != nil {
		s.t.Fatal(err)
	}
	defer u.Close()
	s.versions++
	err = u.Commit(s.t.Context(), mediastore.Object{
		Path: path, ETag: mediastore.ETag(fmt.Sprintf("%x", s.versions)), LastModified: time.Now(),
	}, mediastore.Precondition{At: time.Now()})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *store) putMany(n int) {
	for i := range n {
		s.put(mediastore.Path(fmt.Sprint("o", i)))
	}
}

func (s *store) bounds() (oldest, newest uint64) {
	s.t.Helper()
	oldest, newest, err := s.EventBounds(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	return oldest, newest
}

// fakeSink hands each event to answer, and notes what it is given.
type fakeSink struct {
	t      *testing.T
	answer func(e *event.Event, attempt int) error
	limits [2]int
	took   func() time.Duration // a call takes

	mu       sync.Mutex
	attempts map[uint64]int
	flying   map[laneKey]bool
	got      []uint64 // positions of what was delivered
	times    map[uint64][]time.Time
}

func newSink(t *testing.T, answer func(e *event.Event, attempt int) error) *fakeSink {
	return &fakeSink{
		t: t, answer: answer, limits: [2]int{1, 8}, took: func() time.Duration { return 0 },
		attempts: map[uint64]int{}, flying: map[laneKey]bool{}, times: map[uint64][]time.Time{},
	}
}

func (f *fakeSink) Name() string        { return "fake" }
func (f *fakeSink) Limits() (int, int)  { return f.limits[0], f.limits[1] }
func (f *fakeSink) delivered() []uint64 { f.mu.Lock(); defer f.mu.Unlock(); return slices.Clone(f.got) }

func (f *fakeSink) Deliver(ctx context.Context, events []event.Event) []error {
	if len(events) > f.limits[0] {
		f.t.Errorf("a call has %d events", len(events))
	}
	f.fly(events, true)
	if !sleep(ctx, f.took()) {
		f.fly(events, false)
		return forAll(events, ctx.Err())
	}
	f.fly(events, false)
	errs := make([]error, len(events))
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range events {
		e := &events[i]
		f.attempts[e.Position]++
		f.times[e.Position] = append(f.times[e.Position], time.Now())
		if errs[i] = f.answer(e, f.attempts[e.Position]); errs[i] == nil {
			f.got = append(f.got, e.Position)
		}
	}
	return errs
}

// fly notes which objects are under way, and that none is twice.
func (f *fakeSink) fly(events []event.Event, begin bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range events {
		key := laneKey{e.ContainerID, e.Path}
		if begin && f.flying[key] {
			f.t.Errorf("two events of %s are under way", e.Path)
		}
		f.flying[key] = begin
	}
}

func always(*event.Event, int) error { return nil }

var errDown = errors.New("down")

func never(*event.Event, int) error { return errDown }

// counts are the statistics of one sink.
type counts struct {
	Delivered, Retried int
	Dropped            map[string]int
	backlog            func() int
}

func newCounts() *counts { return &counts{Dropped: map[string]int{}} }

// stats counts.
type stats struct{ c *counts }

func (s stats) Delivered(n int)              { s.c.Delivered += n }
func (s stats) Retried()                     { s.c.Retried++ }
func (s stats) Dropped(reason string, n int) { s.c.Dropped[reason] += n }

// running is a service that runs until stop.
type running struct {
	*Service
	counts *counts
	stop   func()
}

func config(s *store, sinks ...Sink) Config {
	return Config{
		Log: s, Sinks: sinks, Retain: 10, Limit: 1000, MaxAge: 24 * time.Hour,
		Now: time.Now, Rand: func() float64 { return 0.5 }, Logger: slog.New(slog.DiscardHandler),
	}
}

func start(t *testing.T, c Config) *running {
	t.Helper()
	r := &running{counts: newCounts()}
	c.Stats = func(_ string, backlog func() int, _ ...string) Stats {
		r.counts.backlog = backlog
		return stats{r.counts}
	}
	service, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	r.Service = service
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); service.Run(ctx) }()
	r.stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(r.stop)
	return r
}

func positions(from, to uint64) (all []uint64) {
	for p := from; p <= to; p++ {
		all = append(all, p)
	}
	return all
}

func sorted[T cmp.Ordered](s []T) []T { return slices.Sorted(slices.Values(s)) }

func TestDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		s.putMany(3) // before the sink was there
		sink := newSink(t, always)
		r := start(t, config(s, sink))
		s.putMany(50)
		synctest.Wait()
		time.Sleep(time.Millisecond)
		if diff := gocmp.Diff(positions(5, 54), sorted(sink.delivered())); diff != "" {
			t.Error(diff)
		}
		if n := r.counts.backlog(); n != 0 {
			t.Errorf("the backlog is %d", n)
		}
		r.stop()
		if r.counts.Delivered != 50 || r.counts.Retried != 0 || len(r.counts.Dropped) != 0 {
			t.Errorf("%+v", r.counts)
		}
	})
}

// TestFirstStartIsRemembered: what comes after a sink was configured is not lost
// by a crash before its first delivery.
func TestFirstStartIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		c := config(s, newSink(t, always))
		c.Stats = func(string, func() int, ...string) Stats { return stats{newCounts()} }
		if _, err := Open(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		s.putMany(5)
		sink := newSink(t, always)
		start(t, config(s, sink))
		time.Sleep(time.Second)
		if diff := gocmp.Diff(positions(2, 6), sorted(sink.delivered())); diff != "" {
			t.Error(diff)
		}
	})
}

func TestContinuesAfterRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		first := newSink(t, always)
		r := start(t, config(s, first))
		s.putMany(5)
		time.Sleep(time.Millisecond)
		r.stop()
		s.putMany(5)
		second := newSink(t, always)
		start(t, config(s, second))
		time.Sleep(time.Millisecond)
		if diff := gocmp.Diff([][]uint64{positions(2, 6), positions(7, 11)}, [][]uint64{sorted(first.delivered()), sorted(second.delivered())}); diff != "" {
			t.Error(diff)
		}
	})
}

// crashing is a log whose marks are not stored any more.
type crashing struct{ *store }

func (crashing) SetMark(context.Context, string, []byte) error { return errors.New("killed") }

// TestCrashRepeats: what was delivered and not marked comes again, and nothing is
// left out.
func TestCrashRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		start(t, config(s, newSink(t, always))).stop()
		c := config(s, newSink(t, always))
		c.Log = crashing{s}
		r := start(t, c)
		s.putMany(5)
		time.Sleep(10 * time.Second)
		r.stop()
		if r.counts.Delivered != 5 {
			t.Errorf("%d were delivered before the crash", r.counts.Delivered)
		}
		again := newSink(t, always)
		start(t, config(s, again))
		time.Sleep(time.Millisecond)
		if diff := gocmp.Diff(positions(2, 6), sorted(again.delivered())); diff != "" {
			t.Error(diff)
		}
	})
}

// TestStopsWhileStuck: a call that is under way does not hold up the end, and its
// event comes again.
func TestStopsWhileStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		stuck := newSink(t, always)
		stuck.took = func() time.Duration { return time.Hour }
		r := start(t, config(s, stuck))
		s.put("a")
		time.Sleep(time.Second)
		begin := time.Now()
		r.stop()
		if took := time.Since(begin); took != 0 {
			t.Errorf("it took %v to end", took)
		}
		again := newSink(t, always)
		start(t, config(s, again))
		time.Sleep(time.Second)
		if diff := gocmp.Diff([]uint64{2}, again.delivered()); diff != "" {
			t.Error(diff)
		}
	})
}

// TestOrder delivers through sinks that fail and dawdle at random, with restarts:
// each object's events arrive in order, and all of them.
func TestOrder(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testOrder(t, seed) })
		})
	}
}

func testOrder(t *testing.T, seed uint64) {
	s := newStore(t)
	source := rand.New(rand.NewPCG(seed, 0))
	var mu sync.Mutex
	random := func(n int) int { mu.Lock(); defer mu.Unlock(); return source.IntN(n) }
	sink := newSink(t, func(*event.Event, int) error {
		switch random(6) {
		case 0:
			return errDown
		case 1:
			return &RetryError{Err: errDown, After: time.Duration(random(300)) * time.Millisecond}
		default:
			return nil
		}
	})
	sink.limits = [2]int{1 + random(10), 1 + random(8)}
	sink.took = func() time.Duration { return time.Duration(random(50)) * time.Millisecond }
	c := config(s, sink)
	c.Rand = func() float64 { return float64(random(100)) / 100 }
	r := start(t, c)
	objects := map[uint64]mediastore.Path{}
	for i := range uint64(300) {
		path := mediastore.Path(fmt.Sprint("o", random(12)))
		s.put(path)
		objects[i+2] = path
		time.Sleep(time.Duration(random(20)) * time.Millisecond)
		if random(60) == 0 {
			r.stop()
			r = start(t, c)
		}
	}
	time.Sleep(10 * time.Minute)
	seen, last := map[uint64]bool{}, map[mediastore.Path]uint64{}
	for _, p := range sink.delivered() {
		path := objects[p]
		if !seen[p] && p < last[path] {
			t.Errorf("%d of %s came first after %d", p, path, last[path])
		}
		seen[p], last[path] = true, max(p, last[path])
	}
	if len(seen) != 300 {
		t.Errorf("%d of 300 events arrived", len(seen))
	}
}

func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		sink := newSink(t, never)
		c := config(s, sink)
		c.Rand = func() float64 { return 0 }
		r := start(t, c)
		s.put("a")
		time.Sleep(5 * time.Minute)
		r.stop()
		var gaps []time.Duration
		for i, at := range sink.times[2][1:] {
			gaps = append(gaps, at.Sub(sink.times[2][i]))
		}
		const ms = time.Millisecond
		want := []time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 6400 * ms, 12800 * ms, 25600 * ms, 51200 * ms, time.Minute, time.Minute, time.Minute}
		if diff := gocmp.Diff(want, gaps); diff != "" {
			t.Error(diff)
		}
		if r.counts.Retried != len(gaps)+1 {
			t.Errorf("%d retries were counted", r.counts.Retried)
		}
	})
}

// TestDownIsLeftAlone: a receiver that answers nothing is not called for each
// object that waits, and gets everything soon after it is back.
func TestDownIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		begin := time.Now()
		late := 0
		sink := newSink(t, func(*event.Event, int) error {
			switch since := time.Since(begin); {
			case since > time.Hour:
				return nil
			case since > time.Hour/2:
				late++
			}
			return errDown
		})
		r := start(t, config(s, sink))
		s.putMany(500)
		time.Sleep(time.Hour + 2*time.Minute)
		r.stop()
		if late > 8*60 {
			t.Errorf("it was called %d times in half an hour", late)
		}
		if r.counts.Delivered != 500 {
			t.Errorf("%d were delivered", r.counts.Delivered)
		}
	})
}

// TestShortOutage: calls that are under way together are one attempt, so a receiver
// that was down for seconds is not left alone for a minute.
func TestShortOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		begin := time.Now()
		const outage = 3 * time.Second
		sink := newSink(t, func(*event.Event, int) error {
			if time.Since(begin) < outage {
				return errDown
			}
			return nil
		})
		r := start(t, config(s, sink))
		s.putMany(500)
		time.Sleep(3 * outage) // the last pause is no longer than all before it, and a jitter
		r.stop()
		if r.counts.Delivered != 500 {
			t.Errorf("%d were delivered", r.counts.Delivered)
		}
	})
}

func TestBackoffIsSpread(t *testing.T) {
	for failures := range 100 {
		whole, least := backoff(failures, 0), backoff(failures, 0.999999)
		if whole < minBackoff || whole > maxBackoff || least < whole/2 || least > whole {
			t.Errorf("after %d failures: %v to %v", failures, least, whole)
		}
	}
}

// TestRetryAfter: a receiver that asks to be left alone is, for other objects too,
// and not for longer than the longest pause.
func TestRetryAfter(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{20 * time.Second: 20 * time.Second, time.Hour: time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			s := newStore(t)
			begin := time.Now()
			sink := newSink(t, func(*event.Event, int) error {
				if time.Since(begin) < time.Second {
					return &RetryError{Err: errDown, After: asked}
				}
				return nil
			})
			r := start(t, config(s, sink))
			s.put("a")
			time.Sleep(2 * time.Second)
			s.put("b")
			time.Sleep(5 * time.Minute)
			r.stop()
			for p, i := range map[uint64]int{2: 1, 3: 0} {
				if at := sink.times[p][i].Sub(begin); at != want {
					t.Errorf("asked for %v: %d was tried after %v", asked, p, at)
				}
			}
		})
	}
}

// TestStuckObject: an object whose events fail does not hold up others.
func TestStuckObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		sink := newSink(t, func(e *event.Event, attempt int) error {
			if e.Path == "bad" && attempt < 5 {
				return errDown
			}
			return nil
		})
		sink.took = func() time.Duration { return time.Millisecond }
		start(t, config(s, sink))
		s.put("bad")
		s.put("bad")
		s.putMany(100)
		time.Sleep(90 * time.Millisecond)
		if got := sink.delivered(); len(got) != 100 || slices.Min(got) != 4 {
			t.Errorf("at once there were %d, from %d", len(got), slices.Min(got))
		}
		time.Sleep(time.Minute)
		if diff := gocmp.Diff([]uint64{2, 3}, sink.delivered()[100:]); diff != "" {
			t.Error(diff)
		}
	})
}

func TestPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		sink := newSink(t, func(e *event.Event, _ int) error {
			if e.Position == 3 {
				return fmt.Errorf("wrapped: %w", &RefusedError{Why: "no"})
			}
			return nil
		})
		r := start(t, config(s, sink))
		for range 3 {
			s.put("a")
		}
		time.Sleep(time.Millisecond)
		r.stop()
		if diff := gocmp.Diff([]uint64{2, 4}, sink.delivered()); diff != "" {
			t.Error(diff)
		}
		if r.counts.Dropped[Refused] != 1 || r.counts.Retried != 0 || r.counts.backlog() != 0 {
			t.Errorf("%+v, a backlog of %d", r.counts, r.counts.backlog())
		}
	})
}

// TestOverflow: a receiver that is down does not make the log grow, and what it
// loses is counted.
func TestOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		down := true
		sink := newSink(t, func(*event.Event, int) error {
			if down {
				return errDown
			}
			return nil
		})
		c := config(s, sink)
		c.Limit = 300
		r := start(t, c)
		for range 20 {
			s.putMany(200)
			time.Sleep(trimEvery)
			if oldest, newest := s.bounds(); newest-oldest >= 500 {
				t.Fatalf("the log has %d events", newest-oldest+1)
			}
		}
		time.Sleep(trimEvery)
		sink.mu.Lock()
		down = false
		sink.mu.Unlock()
		time.Sleep(10 * time.Minute)
		r.stop()
		if diff := gocmp.Diff(positions(3702, 4001), sorted(sink.delivered())); diff != "" {
			t.Error(diff)
		}
		if r.counts.Dropped[Overflow] != 3700 || r.counts.Delivered != 300 {
			t.Errorf("%+v", r.counts)
		}
	})
}

// TestWindow: what a receiver has not taken waits in the log and not in memory.
func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		c := config(s, newSink(t, never))
		c.Limit = 100_000
		r := start(t, c)
		s.putMany(5000)
		time.Sleep(time.Minute)
		r.stop()
		if n := r.dispatchers[0].pending.undone; n < window || n > window+readBatch {
			t.Errorf("%d events are in memory", n)
		}
		if r.counts.backlog() != 5000 {
			t.Errorf("the backlog is %d", r.counts.backlog())
		}
	})
}

func TestAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		sink := newSink(t, never)
		c := config(s, sink)
		c.MaxAge = time.Hour
		r := start(t, c)
		s.putMany(50)
		time.Sleep(30 * time.Minute)
		s.putMany(7)
		time.Sleep(30*time.Minute + 2*trimEvery)
		if r.counts.backlog() != 7 {
			t.Errorf("the backlog is %d", r.counts.backlog())
		}
		r.stop()
		if r.counts.Dropped[Age] != 50 {
			t.Errorf("%+v", r.counts)
		}
	})
}

// TestSinkThatWasAway finds its place trimmed away, and goes on behind it.
func TestSinkThatWasAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		start(t, config(s, newSink(t, always))).stop()
		s.putMany(100)
		if err := s.TrimEvents(t.Context(), 61); err != nil {
			t.Fatal(err)
		}
		sink := newSink(t, always)
		r := start(t, config(s, sink))
		time.Sleep(time.Second)
		r.stop()
		if diff := gocmp.Diff(positions(62, 101), sorted(sink.delivered())); diff != "" {
			t.Error(diff)
		}
		if r.counts.Dropped[Overflow] != 60 {
			t.Errorf("%+v", r.counts)
		}
	})
}

// TestRetain: without receivers the newest events are kept, however old, and what
// receivers have got is not kept for them.
func TestRetain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, sinks := range [][]Sink{nil, {newSink(t, always)}} {
			s := newStore(t)
			r := start(t, config(s, sinks...))
			s.putMany(100)
			time.Sleep(48 * time.Hour)
			r.stop()
			if oldest, newest := s.bounds(); oldest != 92 || newest != 101 {
				t.Errorf("with %d sinks the log is from %d to %d", len(sinks), oldest, newest)
			}
		}
	})
}

// TestMarksAreSaved at most once a second while events trickle, and after many at
// once.
func TestMarksAreSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		log := &countingLog{store: s}
		c := config(s, newSink(t, always))
		c.Log = log
		start(t, c)
		for range 100 {
			s.put("a")
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		if n := log.written(); n < 10 || n > 13 {
			t.Errorf("%d marks were written in 10 s", n)
		}
		if mark, err := s.Mark(t.Context(), "notify/fake"); string(mark) != "101" || err != nil {
			t.Errorf("the mark is %s, %v", mark, err)
		}
	})
}

type countingLog struct {
	*store
	mu sync.Mutex
	n  int
}

func (l *countingLog) written() int { l.mu.Lock(); defer l.mu.Unlock(); return l.n }

func (l *countingLog) SetMark(ctx context.Context, name string, value []byte) error {
	l.mu.Lock()
	l.n++
	l.mu.Unlock()
	return l.store.SetMark(ctx, name, value)
}

func TestMarkThatIsNoPosition(t *testing.T) {
	s := newStore(t)
	if err := s.SetMark(t.Context(), "notify/fake", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), config(s, newSink(t, always))); !mediastore.IsKind(err, mediastore.KindInternal) {
		t.Errorf("%v", err)
	}
}

// brokenLog cannot be read for a while.
type brokenLog struct {
	*store
	until time.Time
}

func (l *brokenLog) ReadEvents(ctx context.Context, after uint64, limit int) ([]event.Event, error) {
	if time.Now().Before(l.until) {
		return nil, errors.New("disk")
	}
	return l.store.ReadEvents(ctx, after, limit)
}

func TestLogThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		sink := newSink(t, always)
		c := config(s, sink)
		c.Log = &brokenLog{s, time.Now().Add(30 * time.Second)}
		start(t, c)
		s.putMany(3)
		time.Sleep(time.Minute)
		if diff := gocmp.Diff(positions(2, 4), sorted(sink.delivered())); diff != "" {
			t.Error(diff)
		}
	})
}

// TestPendingForgets what is done, also behind an event that is stuck.
func TestPendingForgets(t *testing.T) {
	p := pending{lanes: map[laneKey]*lane{}}
	p.admit(event.Event{Position: 1, Path: "stuck"})
	for i := range uint64(10_000) {
		p.admit(event.Event{Position: i + 2, Path: "o"})
		p.finish(p.order[len(p.order)-1])
		if len(p.order) > 100 || len(p.lanes) != 1 || p.place() != 0 {
			t.Fatalf("%d events, %d lanes, at %d", len(p.order), len(p.lanes), p.place())
		}
	}
}

// BenchmarkPending is what an event costs between the log and its call.
func BenchmarkPending(b *testing.B) {
	p := pending{lanes: map[laneKey]*lane{}}
	now := time.Unix(0, 0)
	events := make([]event.Event, window)
	for i := range events {
		events[i] = event.Event{ContainerID: container, Path: mediastore.Path(fmt.Sprint("o", i))}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e := events[i%window]
		e.Position = uint64(i) + 1
		p.admit(e)
		if p.undone < 100 {
			continue
		}
		items, _ := p.ready(now, 10)
		for _, it := range items {
			p.finish(it)
		}
	}
}
