package enginetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"headwater/internal/event"
	"headwater/internal/mediastore"
)

// events reads all events after a position. Their positions must rise.
func (s *suite) events(after uint64) []event.Event {
	s.Helper()
	all, err := s.ReadEvents(s.ctx, after, 10_000)
	if err != nil {
		s.Fatalf("ReadEvents: %v", err)
	}
	for _, ev := range all {
		if ev.Position <= after {
			s.Fatalf("position %d comes after %d", ev.Position, after)
		}
		after = ev.Position
	}
	return all
}

// newest is the position of the newest event.
func (s *suite) newest() uint64 {
	s.Helper()
	_, newest, err := s.EventBounds(s.ctx)
	if err != nil {
		s.Fatalf("EventBounds: %v", err)
	}
	return newest
}

// wantEvents compares the events after a position, whatever their own.
func (s *suite) wantEvents(after uint64, want ...event.Event) {
	s.Helper()
	if diff := cmp.Diff(want, s.events(after), cmpopts.IgnoreFields(event.Event{}, "Position"), cmpopts.EquateEmpty()); diff != "" {
		s.Errorf("events (-want +got):\n%s", diff)
	}
}

func objectEvent(kind event.Kind, seconds int, id mediastore.ContainerID, path mediastore.Path, etag mediastore.ETag, size int64) event.Event {
	return event.Event{
		Kind: kind, Time: later(seconds), Account: account, Container: "movies", ContainerID: id,
		Path: path, ETag: etag, Size: size,
	}
}

func testObjectEvents(t *testing.T, s *suite) {
	id := s.active("movies")
	from := s.newest()
	at := func(seconds int) mediastore.Precondition { return mediastore.Precondition{At: later(seconds)} }
	steps := []error{
		s.tryPut(id, "f/a", []byte("1"), "1", at(1)),
		s.tryPut(id, "f/a", []byte("22"), "2", at(2)),
		s.tryPutUntil(id, "f/a", []byte("333"), "3", later(10), at(3)),
		s.tryPutUntil(id, "f/a", nil, "4", later(20), at(11)), // in the place of an expired one
		s.tryPut(id, "f/b", []byte("55555"), "5", at(12)),
	}
	if err := errors.Join(steps...); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DeleteObject(s.ctx, id, "f/b", at(13)); err != nil {
		t.Fatal(err)
	}
	s.wantKind("create-only", s.tryPut(id, "f/a", nil, "6", mediastore.Precondition{At: later(14), NoneMatchAny: true}), mediastore.KindPreconditionFailed)
	_, err := s.DeleteObject(s.ctx, id, "f/a", at(20))
	s.wantKind("delete of an expired object", err, mediastore.KindObjectNotFound)
	s.remove(id, later(20), true, v("f/a", "4"))

	for _, path := range []string{"x", "y", "z"} {
		if err := s.tryPut(id, path, []byte(path), path, at(21)); err != nil {
			t.Fatal(err)
		}
	}
	s.archive(id, "x", "x", true)
	s.remove(id, later(22), false, v("x", "x"), v("none", "1"), v("z", "z"), v("y", "other"))
	s.wantEvents(from,
		objectEvent(event.ObjectUpdated, 1, id, "f/a", "1", 1),
		objectEvent(event.ObjectUpdated, 2, id, "f/a", "2", 2),
		objectEvent(event.ObjectUpdated, 3, id, "f/a", "3", 3),
		objectEvent(event.ObjectUpdated, 11, id, "f/a", "4", 0),
		objectEvent(event.ObjectUpdated, 12, id, "f/b", "5", 5),
		objectEvent(event.ObjectRemoved, 13, id, "f/b", "5", 5),
		objectEvent(event.ObjectUpdated, 21, id, "x", "x", 1),
		objectEvent(event.ObjectUpdated, 21, id, "y", "y", 1),
		objectEvent(event.ObjectUpdated, 21, id, "z", "z", 1),
		objectEvent(event.ObjectRemoved, 22, id, "x", "x", 1),
		objectEvent(event.ObjectRemoved, 22, id, "z", "z", 1),
	)
}

func testContainerEvents(t *testing.T, s *suite) {
	if oldest, newest, err := s.EventBounds(s.ctx); oldest != 0 || newest != 0 || err != nil {
		t.Errorf("EventBounds of a new engine = %d, %d, %v", oldest, newest, err)
	}
	c := container("movies")
	c.Status = mediastore.StatusCreating
	if err := s.CreateContainer(s.ctx, c, 0); err != nil {
		t.Fatal(err)
	}
	s.update("movies", func(c *mediastore.Container) { c.Policy = "{}" })
	s.wantEvents(0)
	s.update("movies", func(c *mediastore.Container) { c.Status = mediastore.StatusActive })
	s.update("movies", func(c *mediastore.Container) { c.Policy = "" })
	other := s.active("other") // ACTIVE at once
	if _, err := s.BeginDeleteContainer(s.ctx, account, "movies"); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveContainer(s.ctx, account, "movies", later(9)); err != nil {
		t.Fatal(err)
	}
	s.wantKind("second removal", s.RemoveContainer(s.ctx, account, "movies", later(10)), mediastore.KindContainerNotFound)
	of := func(kind event.Kind, seconds int, name mediastore.ContainerName, id mediastore.ContainerID) event.Event {
		return event.Event{Kind: kind, Time: later(seconds), Account: account, Container: name, ContainerID: id}
	}
	s.wantEvents(0,
		of(event.ContainerCreated, 0, "movies", c.ID),
		of(event.ContainerCreated, 0, "other", other),
		of(event.ContainerRemoved, 9, "movies", c.ID),
	)
}

func (s *suite) update(name mediastore.ContainerName, change func(*mediastore.Container)) {
	s.Helper()
	_, err := s.UpdateContainer(s.ctx, account, name, func(c *mediastore.Container) error {
		change(c)
		return nil
	})
	if err != nil {
		s.Fatalf("UpdateContainer: %v", err)
	}
}

func testEventPages(t *testing.T, s *suite) {
	id := s.active("movies")
	for i := range 10 {
		s.put(id, fmt.Sprint(i), nil, fmt.Sprint(i))
	}
	all := s.events(0)
	if len(all) != 11 {
		t.Fatalf("there are %d events, want 11", len(all))
	}
	for limit := 1; limit <= len(all)+1; limit++ {
		var got []event.Event
		for after := uint64(0); ; {
			page, err := s.ReadEvents(s.ctx, after, limit)
			if err != nil || len(page) > limit {
				t.Fatalf("ReadEvents(after %d, limit %d) = %d events, %v", after, limit, len(page), err)
			}
			if len(page) == 0 {
				break
			}
			got, after = append(got, page...), page[len(page)-1].Position
		}
		if diff := cmp.Diff(all, got); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
	}
	for _, after := range []uint64{all[10].Position, all[10].Position + 1, 1<<64 - 1} {
		if rest := s.events(after); len(rest) != 0 {
			t.Errorf("after %d there are %+v", after, rest)
		}
	}
}

// testConcurrentEvents: of each path, the events come in the order in which the
// changes were acknowledged, and none is missing.
func testConcurrentEvents(t *testing.T, s *suite) {
	id := s.active("movies")
	from := s.newest()
	together(6, func(i int) {
		for n := range 20 {
			s.put(id, fmt.Sprint(i), nil, fmt.Sprint(n))
			if newest := s.newest(); newest < uint64(n) {
				t.Errorf("after %d changes the newest position is %d", n, newest)
			}
		}
	})
	next := map[mediastore.Path]int{}
	for _, ev := range s.events(from) {
		if ev.ETag != mediastore.ETag(fmt.Sprint(next[ev.Path])) {
			t.Errorf("the event of version %s of %s comes in the place of version %d", ev.ETag, ev.Path, next[ev.Path])
		}
		next[ev.Path]++
	}
	for path, n := range next {
		if n != 20 || len(next) != 6 {
			t.Errorf("%s has %d events, want 20; there are %d paths, want 6", path, n, len(next))
		}
	}
}

func testWaitEvents(t *testing.T, s *suite) {
	cancelled, cancel := context.WithCancel(s.ctx)
	cancel()
	if err := s.WaitEvents(cancelled, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("WaitEvents with a cancelled context = %v", err)
	}
	id := s.active("movies")
	first := s.newest()
	if err := s.WaitEvents(s.ctx, first-1); err != nil {
		t.Errorf("WaitEvents for an event that is there: %v", err)
	}
	ctx, giveUp := context.WithCancel(s.ctx)
	gaveUp := make(chan error, 1)
	go func() { gaveUp <- s.WaitEvents(ctx, 1<<40) }()
	together(5, func(i int) {
		if i == 0 {
			s.put(id, "a", nil, "1")
			return
		}
		if err := s.WaitEvents(s.ctx, first); err != nil {
			t.Errorf("WaitEvents: %v", err)
		}
		if len(s.events(first)) == 0 {
			t.Error("WaitEvents returned and there is no event")
		}
	})
	giveUp()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Errorf("WaitEvents that was given up = %v", err)
	}
	// Close does not wait for who waits.
	closed := make(chan error, 1)
	go func() { closed <- s.WaitEvents(s.ctx, 1<<40) }()
	if err := s.Engine.Close(); err != nil {
		t.Error(err)
	}
	if err := <-closed; err == nil {
		t.Error("WaitEvents returned as if there were an event when the engine was closed")
	}
}

func testTrimEvents(t *testing.T, s *suite) {
	if err := s.TrimEvents(s.ctx, 1<<64-1); err != nil {
		t.Errorf("TrimEvents with no events: %v", err)
	}
	id := s.active("movies")
	for i := range 9 {
		s.put(id, fmt.Sprint(i), nil, "1")
	}
	all := s.events(0)
	bounds := func(oldest, newest int) {
		t.Helper()
		first, last, err := s.EventBounds(s.ctx)
		if first != all[oldest].Position || last != all[newest].Position || err != nil {
			t.Errorf("EventBounds = %d, %d, %v, want %d, %d", first, last, err, all[oldest].Position, all[newest].Position)
		}
		if diff := cmp.Diff(all[oldest:], s.events(0)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	}
	trim := func(upTo uint64) {
		t.Helper()
		if err := s.TrimEvents(s.ctx, upTo); err != nil {
			t.Fatalf("TrimEvents(%d): %v", upTo, err)
		}
	}
	bounds(0, 9)
	trim(0)
	bounds(0, 9)
	trim(all[3].Position)
	bounds(4, 9)
	trim(all[1].Position) // they are gone already
	bounds(4, 9)
	trim(1<<64 - 1)
	bounds(9, 9)
	s.put(id, "after", nil, "1")
	all = append(all, s.events(all[9].Position)...)
	bounds(9, 10)
	trim(all[10].Position)
	bounds(10, 10)
}

func testMarks(t *testing.T, s *suite) {
	want := func(name string, want []byte) {
		t.Helper()
		got, err := s.Mark(s.ctx, name)
		if err != nil || !bytes.Equal(got, want) || (got == nil) != (want == nil) {
			t.Errorf("Mark(%s) = %q, %v, want %q", name, got, err, want)
		}
	}
	set := func(name string, value []byte) {
		t.Helper()
		if err := s.SetMark(s.ctx, name, value); err != nil {
			t.Errorf("SetMark(%s): %v", name, err)
		}
	}
	want("a", nil)
	set("a", nil)
	value := []byte("1")
	set("a", value)
	set("aa", []byte{})
	value[0] = '2' // the engine keeps its own
	want("a", []byte("1"))
	want("aa", []byte{})
	set("a", pattern(1, 4<<10))
	want("a", pattern(1, 4<<10))
	s.wantKind("a mark that is too long", s.SetMark(s.ctx, "a", make([]byte, 4<<10+1)), mediastore.KindInvalid)
	want("a", pattern(1, 4<<10))
	set("a", nil)
	want("a", nil)
	want("aa", []byte{})
}
