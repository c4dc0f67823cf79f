package enginetest

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/engine"
	"headwater/internal/mediastore"
)

// testTransient: a transient version is opened and described like any other, its
// expiry to the nanosecond, also after that.
func testTransient(t *testing.T, s *suite) {
	id := s.active("movies")
	for i, size := range sizes {
		path, body := fmt.Sprintf("live/size-%d", size), pattern(uint64(i), size)
		s.putUntil(id, path, body, "1", 10)
		want := meta("1")
		want.Path, want.Size, want.ExpiresAt = mediastore.Path(path), int64(size), later(10)
		got, err := s.StatObject(s.ctx, id, mediastore.Path(path))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("StatObject: %v (-want +got):\n%s", err, diff)
		}
		if diff := cmp.Diff(want, s.open(id, path).Object()); diff != "" {
			t.Errorf("Reader.Object (-want +got):\n%s", diff)
		}
		s.wantBody(id, path, body)
	}
	gone, err := s.DeleteObject(s.ctx, id, "live/size-100", mediastore.Precondition{At: later(9)})
	if err != nil || gone.Size != 100 || !gone.ExpiresAt.Equal(later(10)) {
		t.Errorf("DeleteObject = %+v, %v", gone, err)
	}
	_, err = s.StatObject(s.ctx, id, "live/size-100")
	s.wantKind("stat after delete", err, mediastore.KindObjectNotFound)
}

func testTransientIsNotListed(t *testing.T, s *suite) {
	id := s.active("movies")
	s.putUntil(id, "live/a.ts", nil, "1", 10)
	s.putUntil(id, "deep/er/still/b.ts", nil, "1", 10)
	s.putUntil(id, "top.m3u8", nil, "1", 10)
	s.wantItems(id, "")
	s.wantItems(id, "live")
	s.wantItems(id, "deep/er")
	s.wantWalk(id)

	s.put(id, "live/lasting.ts", nil, "2")
	s.put(id, "deep/er/lasting.ts", nil, "2")
	s.wantItems(id, "", "deep/", "live/")
	s.wantItems(id, "live", "lasting.ts")
	s.wantItems(id, "deep/er", "lasting.ts")
	s.wantWalk(id, "deep/er/lasting.ts", "live/lasting.ts")

	// A folder vanishes with its last lasting object, whatever else is below it.
	if _, err := s.DeleteObject(s.ctx, id, "live/lasting.ts", mediastore.Precondition{}); err != nil {
		t.Fatal(err)
	}
	s.wantItems(id, "", "deep/")
}

// testTransientAndLasting: versions of both kinds take each other's place.
func testTransientAndLasting(t *testing.T, s *suite) {
	id := s.active("movies")
	for _, size := range []int{10, 200_000} {
		path := fmt.Sprintf("f/%d/object", size)
		folder := fmt.Sprintf("f/%d", size)
		body := func(n uint64) []byte { return pattern(n, size+int(n)) }

		s.putUntil(id, path, body(1), "1", 10)
		s.put(id, path, body(2), "2")
		s.wantBody(id, path, body(2))
		s.wantItems(id, folder, "object")
		s.wantDue(1000)

		s.putUntil(id, path, body(3), "3", 20)
		s.wantBody(id, path, body(3))
		s.wantItems(id, folder)
		s.wantItems(id, "f")
		s.wantWalk(id)
		s.wantDue(1000, path)

		s.putUntil(id, path, body(4), "4", 30) // another expiry
		s.wantDue(29)
		s.putUntil(id, path, body(5), "5", 30) // the same one
		s.wantBody(id, path, body(5))
		s.wantDue(1000, path)

		s.put(id, path, body(6), "6")
		if _, err := s.DeleteObject(s.ctx, id, mediastore.Path(path), mediastore.Precondition{}); err != nil {
			t.Fatal(err)
		}
		_, err := s.StatObject(s.ctx, id, mediastore.Path(path))
		s.wantKind("stat after delete", err, mediastore.KindObjectNotFound)
		s.wantDue(1000)
	}
	s.wantItems(id, "")
}

// testReplacedIsNeverMissed: while versions of both kinds take each other's place
// there is always one.
func testReplacedIsNeverMissed(t *testing.T, s *suite) {
	id := s.active("movies")
	s.put(id, "a", nil, "1")
	var done atomic.Bool
	together(3, func(i int) {
		if i == 0 {
			for range 200 {
				s.putUntil(id, "a", nil, "1", 10)
				s.put(id, "a", nil, "1")
			}
			done.Store(true)
			return
		}
		for !done.Load() {
			if _, err := s.StatObject(s.ctx, id, "a"); err != nil {
				t.Errorf("StatObject: %v", err)
				return
			}
			r, err := s.OpenObject(s.ctx, id, "a")
			if err != nil {
				t.Errorf("OpenObject: %v", err)
				return
			}
			r.Close()
		}
	})
}

func testExpiredCountsAsNone(t *testing.T, s *suite) {
	id := s.active("movies")
	before, at := later(10).Add(-1), later(10)
	put := func(etag string, pre mediastore.Precondition) error {
		return s.tryPutUntil(id, "a", []byte(etag), etag, later(20), pre)
	}
	s.putUntil(id, "a", nil, "1", 10)
	s.wantKind("If-None-Match: * before the expiry", put("2", mediastore.Precondition{At: before, NoneMatchAny: true}), mediastore.KindPreconditionFailed)
	s.wantKind("If-Match: * at the expiry", put("2", mediastore.Precondition{At: at, MatchAny: true}), mediastore.KindPreconditionFailed)
	s.wantKind("If-Match at the expiry", put("2", mediastore.Precondition{At: at, Match: []mediastore.ETag{"1"}}), mediastore.KindPreconditionFailed)
	_, err := s.DeleteObject(s.ctx, id, "a", mediastore.Precondition{At: at})
	s.wantKind("delete at the expiry", err, mediastore.KindObjectNotFound)
	_, err = s.DeleteObject(s.ctx, id, "a", mediastore.Precondition{At: at, Match: []mediastore.ETag{"2"}})
	s.wantKind("delete at the expiry, of another ETag", err, mediastore.KindObjectNotFound)
	if o, err := s.StatObject(s.ctx, id, "a"); err != nil || o.ETag != "1" {
		t.Errorf("after what must not change it, the object is %+v, %v", o, err)
	}
	if err := put("2", mediastore.Precondition{At: at, NoneMatchAny: true}); err != nil {
		t.Errorf("If-None-Match: * at the expiry: %v", err)
	}
	s.wantBody(id, "a", []byte("2"))
	if err := put("3", mediastore.Precondition{At: at, Match: []mediastore.ETag{"2"}}); err != nil {
		t.Errorf("If-Match before the expiry: %v", err)
	}
	s.wantDue(1000, "a")
}

func testTransientKeepsContainer(t *testing.T, s *suite) {
	id := s.active("movies")
	s.putUntil(id, "deep/a", nil, "1", 10)
	_, err := s.BeginDeleteContainer(s.ctx, account, "movies")
	s.wantKind("delete of a container with a transient object", err, mediastore.KindContainerInUse)
	if gone := s.remove(id, later(10), true, v("deep/a", "1")); len(gone) != 1 {
		t.Errorf("RemoveVersions removed %v", gone)
	}
	if _, err := s.BeginDeleteContainer(s.ctx, account, "movies"); err != nil {
		t.Errorf("delete of an emptied container: %v", err)
	}
	s.wantKind("put into DELETING", s.tryPutUntil(id, "a", nil, "1", later(1), mediastore.Precondition{At: epoch}), mediastore.KindContainerNotFound)
	if err := s.RemoveContainer(s.ctx, account, "movies", epoch); err != nil {
		t.Error(err)
	}
}

// wantDue compares the paths of all that is due so many seconds after the epoch,
// in order.
func (s *suite) wantDue(seconds int, want ...string) {
	s.Helper()
	if diff := cmp.Diff(want, s.due(later(seconds), 1000)); diff != "" {
		s.Errorf("DueObjects after %d seconds (-want +got):\n%s", seconds, diff)
	}
}

func (s *suite) due(t time.Time, limit int) []string {
	s.Helper()
	due, err := s.DueObjects(s.ctx, t, limit)
	if err != nil {
		s.Fatalf("DueObjects: %v", err)
	}
	return duePaths(due)
}

func duePaths(due []engine.Due) []string {
	var paths []string
	for _, d := range due {
		paths = append(paths, string(d.Object.Path))
	}
	return paths
}
