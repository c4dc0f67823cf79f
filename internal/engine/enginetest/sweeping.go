package enginetest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"headwater/internal/engine"
	"headwater/internal/mediastore"
)

func v(path mediastore.Path, etag mediastore.ETag) engine.VersionID {
	return engine.VersionID{Path: path, ETag: etag}
}

// remove removes versions and returns the paths of those that were.
func (s *suite) remove(id mediastore.ContainerID, at time.Time, silent bool, versions ...engine.VersionID) []string {
	s.Helper()
	gone, err := s.RemoveVersions(s.ctx, id, versions, at, silent)
	if err != nil {
		s.Fatalf("RemoveVersions: %v", err)
	}
	var paths []string
	for _, o := range gone {
		paths = append(paths, string(o.Path))
	}
	return paths
}

func testDueObjects(t *testing.T, s *suite) {
	one, two := s.active("one"), s.active("two")
	s.put(one, "lasting", nil, "1")
	for i, at := range []int{30, 10, 20, 50, 40} {
		s.putUntil([]mediastore.ContainerID{one, two}[i%2], fmt.Sprint("at/", at), []byte("body"), "1", at)
	}
	s.wantDue(9)
	s.wantDue(10, "at/10")
	s.wantDue(1000, "at/10", "at/20", "at/30", "at/40", "at/50")
	for _, test := range []struct {
		t     time.Time
		limit int
		want  []string
	}{
		{later(10).Add(-1), 10, nil},
		{later(10), 10, []string{"at/10"}},
		{later(20).Add(-1), 10, []string{"at/10"}},
		{later(1000), 1, []string{"at/10"}},
		{later(1000), 3, []string{"at/10", "at/20", "at/30"}},
		{later(30), 3, []string{"at/10", "at/20", "at/30"}},
	} {
		if diff := cmp.Diff(test.want, s.due(test.t, test.limit)); diff != "" {
			t.Errorf("DueObjects(%v, limit %d) (-want +got):\n%s", test.t, test.limit, diff)
		}
	}
	object := meta("1")
	object.Path, object.Size, object.ExpiresAt = "at/10", 4, later(10)
	due, err := s.DueObjects(s.ctx, later(10), 10)
	if diff := cmp.Diff([]engine.Due{{Container: two, Object: object}}, due); err != nil || diff != "" {
		t.Errorf("DueObjects: %v (-want +got):\n%s", err, diff)
	}
}

// testDueObjectsFollow: what was removed is not due, and what comes later is,
// also when it is to expire before what was there.
func testDueObjectsFollow(t *testing.T, s *suite) {
	id := s.active("movies")
	for i := range 20 {
		s.putUntil(id, fmt.Sprintf("%02d", i), nil, "1", 100+i)
	}
	for s.remove(id, later(110), true, versions(s, 110, 4)...) != nil {
	}
	s.wantDue(110)
	s.wantDue(112, "11", "12")
	s.putUntil(id, "early", nil, "1", 5)
	s.wantDue(4)
	s.wantDue(111, "early", "11")
	if gone := s.remove(id, later(200), true, versions(s, 200, 100)...); len(gone) != 10 {
		t.Errorf("RemoveVersions removed %q", gone)
	}
	s.wantDue(1000)
	s.putUntil(id, "again", nil, "1", 1)
	s.wantDue(0)
	s.wantDue(1, "again")
}

// versions names what is due.
func versions(s *suite, seconds, limit int) []engine.VersionID {
	s.Helper()
	due, err := s.DueObjects(s.ctx, later(seconds), limit)
	if err != nil {
		s.Fatal(err)
	}
	var all []engine.VersionID
	for _, d := range due {
		all = append(all, v(d.Object.Path, d.Object.ETag))
	}
	return all
}

// testDueObjectsAgainstModel lets writers and sweepers race, then looks whether
// just what is left is due.
func testDueObjectsAgainstModel(t *testing.T, s *suite) {
	id := s.active("movies")
	var removed atomic.Int64
	together(6, func(i int) {
		random := rand.New(rand.NewPCG(20260301, uint64(i)))
		for n := range 40 {
			if i < 4 {
				s.putUntil(id, fmt.Sprintf("%d/%d", i, n), nil, "1", random.IntN(100))
				continue
			}
			removed.Add(int64(len(s.remove(id, epoch, true, versions(s, random.IntN(60), 5)...))))
		}
	})
	due, err := s.DueObjects(s.ctx, later(100), 1000)
	if err != nil || int64(len(due)) != 160-removed.Load() {
		t.Fatalf("after %d of 160 were removed, DueObjects = %d objects, %v", removed.Load(), len(due), err)
	}
	if !slices.IsSortedFunc(due, func(a, b engine.Due) int { return a.Object.ExpiresAt.Compare(b.Object.ExpiresAt) }) {
		t.Error("DueObjects is out of order")
	}
	for _, d := range due {
		if o, err := s.StatObject(s.ctx, id, d.Object.Path); err != nil || !cmp.Equal(o, d.Object) {
			t.Errorf("DueObjects has %+v, which is %+v, %v", d.Object, o, err)
		}
	}
}

func testWalkObjects(t *testing.T, s *suite) {
	id, other := s.active("movies"), s.active("other")
	s.put(other, "elsewhere", nil, "1")
	var want []string
	for _, path := range []string{
		"index.m3u8", "live", "live/a.ts", "live/a", "live/a/b", "live-/x", "live.txt", "live=1/x", "live~", "a/b/c/d/e/f/g",
		"Z", "0", "_", ":", "-", "liv/e",
	} {
		s.put(id, path, []byte(path), "e1")
		want = append(want, path)
	}
	s.putUntil(id, "live/transient", nil, "1", 10)
	s.wantWalk(id, want...)
	for limit := 1; limit <= len(want)+1; limit++ {
		s.wantSorted(fmt.Sprint("limit ", limit), s.walk(id, limit), want)
	}
	s.wantCursors(id, want)

	page, more, err := s.WalkObjects(s.ctx, other, "", 10)
	object := meta("1")
	object.Path = "elsewhere"
	if diff := cmp.Diff([]mediastore.Object{object}, page); err != nil || diff != "" || more {
		t.Errorf("WalkObjects: more %v, %v (-want +got):\n%s", more, err, diff)
	}
	_, _, err = s.WalkObjects(s.ctx, "nononononononn", "", 10)
	s.wantKind("walk through no container", err, mediastore.KindContainerNotFound)
}

// wantCursors walks on from paths that do not exist: what comes after such a path
// is what comes after it when it is there.
func (s *suite) wantCursors(id mediastore.ContainerID, all []string) {
	s.Helper()
	for _, cursor := range []string{"live/a/c", "live/a.", "live/b", "live-", "liv", "livf", "a/b/c", "a/b/c/d/e/f/h", "a", "-0", "~~~"} {
		without := s.walkFrom(id, mediastore.Path(cursor), 3)
		s.put(id, cursor, nil, "1")
		whole := s.walk(id, 4)
		place := slices.Index(whole, cursor)
		s.wantSorted("the walk with "+cursor, whole, append(slices.Clone(all), cursor))
		if diff := cmp.Diff(whole[place+1:], without, cmpopts.EquateEmpty()); diff != "" {
			s.Errorf("a walk from %q depends on whether it is there (-with +without):\n%s", cursor, diff)
		}
		s.remove(id, epoch, true, v(mediastore.Path(cursor), "1"))
	}
}

// walk walks through a container in pages.
func (s *suite) walk(id mediastore.ContainerID, limit int) []string {
	s.Helper()
	return s.walkFrom(id, "", limit)
}

func (s *suite) walkFrom(id mediastore.ContainerID, after mediastore.Path, limit int) []string {
	s.Helper()
	var paths []string
	for {
		page, more, err := s.WalkObjects(s.ctx, id, after, limit)
		if err != nil || len(page) > limit || more && len(page) != limit {
			s.Fatalf("WalkObjects(after %q, limit %d) = %d objects, more %v, %v", after, limit, len(page), more, err)
		}
		for _, o := range page {
			paths, after = append(paths, string(o.Path)), o.Path
		}
		if !more {
			return paths
		}
	}
}

func (s *suite) wantWalk(id mediastore.ContainerID, want ...string) {
	s.Helper()
	s.wantSorted("WalkObjects", s.walk(id, 1000), want)
}

// wantSorted compares names whose order is not laid down.
func (s *suite) wantSorted(what string, got, want []string) {
	s.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if diff := cmp.Diff(want, got); diff != "" {
		s.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// testWalkAgainstModel walks while others change what they walk through: what is
// there throughout must be met, once.
func testWalkAgainstModel(t *testing.T, s *suite) {
	id, random := s.active("movies"), rand.New(rand.NewPCG(20260301, 1))
	elements := []string{"a", "b", "a.b", "a-"}
	path := func(random *rand.Rand) string {
		path := elements[random.IntN(4)]
		for range random.IntN(4) {
			path += "/" + elements[random.IntN(4)]
		}
		return path
	}
	stays := map[string]bool{}
	for range 60 {
		p := path(random) + "/stays"
		s.put(id, p, nil, "1")
		stays[p] = true
	}
	together(3, func(i int) {
		random := rand.New(rand.NewPCG(20260301, uint64(2+i)))
		for range 40 {
			if i > 0 {
				p := path(random) + "/comes-and-goes"
				s.put(id, p, nil, "1")
				s.remove(id, epoch, true, v(mediastore.Path(p), "1"))
				continue
			}
			met := map[string]int{}
			for _, p := range s.walk(id, 1+random.IntN(5)) {
				met[p]++
			}
			for p := range stays {
				if met[p] != 1 {
					t.Errorf("a walk has met %s %d times", p, met[p])
				}
			}
		}
	})
}

func testRemoveVersions(t *testing.T, s *suite) {
	id := s.active("movies")
	s.put(id, "f/lasting", []byte("12345"), "1")
	s.put(id, "f/replaced", nil, "new")
	s.put(id, "f/stays", nil, "1")
	s.put(id, "alone/in/folder", pattern(1, 100_000), "1")
	s.putUntil(id, "f/transient", []byte("123"), "1", 10)
	gone := s.remove(id, epoch, true,
		v("f/lasting", "1"), v("f/replaced", "old"), v("none", "1"), v("f/transient", "1"), v("alone/in/folder", "1"), v("f/lasting", "1"))
	s.wantSorted("RemoveVersions", gone, []string{"f/lasting", "f/transient", "alone/in/folder"})
	s.wantItems(id, "", "f/")
	s.wantItems(id, "f", "replaced", "stays")
	s.wantDue(1000)
	_, err := s.StatObject(s.ctx, id, "f/transient")
	s.wantKind("stat of a removed version", err, mediastore.KindObjectNotFound)
	if gone := s.remove(id, epoch, false, v("f/lasting", "1")); gone != nil {
		t.Errorf("removed twice: %q", gone)
	}
	if gone := s.remove(id, epoch, false); gone != nil {
		t.Errorf("RemoveVersions of nothing removed %q", gone)
	}
	if gone := s.remove("nononononononn", epoch, false, v("f/stays", "1")); gone != nil {
		t.Errorf("RemoveVersions of no container removed %q", gone)
	}
	removed, err := s.RemoveVersions(s.ctx, id, []engine.VersionID{v("f/stays", "1")}, epoch, true)
	want := meta("1")
	want.Path = "f/stays"
	if diff := cmp.Diff([]mediastore.Object{want}, removed); err != nil || diff != "" {
		t.Errorf("RemoveVersions: %v (-want +got):\n%s", err, diff)
	}
}

// testRemoveVersionsAgainstPuts: a sweep never takes a version that it did not
// mean, and of several that mean the same one, one gets it.
func testRemoveVersionsAgainstPuts(t *testing.T, s *suite) {
	id := s.active("movies")
	for round := range 10 {
		old, next := fmt.Sprint("old", round), fmt.Sprint("new", round)
		s.put(id, "a", []byte("old"), old)
		var removed atomic.Int64
		together(4, func(i int) {
			if i == 0 {
				s.put(id, "a", []byte("new"), next)
				return
			}
			removed.Add(int64(len(s.remove(id, epoch, true, v("a", mediastore.ETag(old))))))
		})
		if removed.Load() > 1 {
			t.Errorf("round %d: a version was removed %d times", round, removed.Load())
		}
		s.wantBody(id, "a", []byte("new"))
	}
}

func testArchiveVersion(t *testing.T, s *suite) {
	id := s.active("movies")
	for _, size := range []int{10, 200_000} {
		path, body := fmt.Sprint("f/", size), pattern(1, size)
		s.put(id, path, body, "1")
		reader := s.open(id, path)
		want := meta("1")
		want.Path, want.Size, want.InfrequentAccess = mediastore.Path(path), int64(size), true
		s.archive(id, want.Path, "1", false)
		s.wantObject(id, want)
		s.wantBody(id, path, body)

		want.Archived = true
		s.note(mediastore.ArchiveName(id, "1"), 0)
		s.archive(id, want.Path, "1", true)
		s.wantObject(id, want)
		s.wantLeftovers(1000)
		r := s.open(id, path)
		if diff := cmp.Diff(want, r.Object()); diff != "" {
			t.Errorf("Reader.Object (-want +got):\n%s", diff)
		}
		for _, off := range []int64{0, 5} {
			_, err := r.ReadAt(make([]byte, 5), off)
			s.wantKind("read of an archived version", err, mediastore.KindInternal)
		}
		if !bytes.Equal(s.read(reader), body) {
			t.Errorf("the reader of a version that was archived since lost it")
		}
		s.archive(id, want.Path, "1", false) // there is no way back
		s.wantObject(id, want)
		s.wantKind("archive of another version", s.ArchiveVersion(s.ctx, id, v(want.Path, "2"), true), mediastore.KindObjectNotFound)
	}
	s.wantKind("archive of nothing", s.ArchiveVersion(s.ctx, id, v("none", "1"), true), mediastore.KindObjectNotFound)
	s.wantKind("archive in no container", s.ArchiveVersion(s.ctx, "nononononononn", v("none", "1"), true), mediastore.KindObjectNotFound)
	s.wantItems(id, "f", "10", "200000")
	s.wantWalk(id, "f/10", "f/200000")
}

func (s *suite) archive(id mediastore.ContainerID, path mediastore.Path, etag mediastore.ETag, moved bool) {
	s.Helper()
	if err := s.ArchiveVersion(s.ctx, id, v(path, etag), moved); err != nil {
		s.Fatalf("ArchiveVersion(%s, %v): %v", path, moved, err)
	}
}

func (s *suite) wantObject(id mediastore.ContainerID, want mediastore.Object) {
	s.Helper()
	got, err := s.StatObject(s.ctx, id, want.Path)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		s.Errorf("StatObject: %v (-want +got):\n%s", err, diff)
	}
}

// testArchivedLeftovers: whatever takes the place of an archived version leaves
// its name behind, from then on.
func testArchivedLeftovers(t *testing.T, s *suite) {
	id := s.active("movies")
	for _, path := range []string{"replaced", "expires", "deleted", "removed", "kept"} {
		s.put(id, path, []byte("body"), path)
		s.archive(id, mediastore.Path(path), mediastore.ETag(path), path != "kept")
	}
	s.wantLeftovers(1000)
	if err := s.tryPut(id, "replaced", nil, "2", mediastore.Precondition{At: later(1)}); err != nil {
		t.Fatal(err)
	}
	if err := s.tryPutUntil(id, "expires", nil, "2", later(100), mediastore.Precondition{At: later(2)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DeleteObject(s.ctx, id, "deleted", mediastore.Precondition{At: later(3)}); err != nil {
		t.Fatal(err)
	}
	s.remove(id, later(4), true, v("removed", "removed"), v("kept", "kept"))
	name := func(etag mediastore.ETag) string { return mediastore.ArchiveName(id, etag) }
	s.wantLeftovers(1)
	s.wantLeftovers(2, name("replaced"))
	s.wantLeftovers(3, name("replaced"), name("expires"))
	s.wantLeftovers(4, name("replaced"), name("expires"), name("deleted"))
	s.wantLeftovers(5, name("replaced"), name("expires"), name("deleted"), name("removed"))
}

func testLeftovers(t *testing.T, s *suite) {
	s.wantLeftovers(1000)
	for i := range 5 {
		s.note(fmt.Sprint("name/", i), i)
	}
	s.wantLeftovers(0)
	s.wantLeftovers(3, "name/0", "name/1", "name/2")
	s.note("name/0", 10) // again
	s.wantLeftovers(3, "name/1", "name/2")
	some, err := s.Leftovers(s.ctx, later(5), 2)
	if err != nil || len(some) != 2 {
		t.Errorf("Leftovers with a limit of 2 = %q, %v", some, err)
	}
	if err := s.ForgetLeftovers(s.ctx, append(some, "none")); err != nil {
		t.Error(err)
	}
	rest, err := s.Leftovers(s.ctx, later(5), 10)
	if err != nil || len(rest) != 2 || slices.Contains(rest, some[0]) || slices.Contains(rest, some[1]) {
		t.Errorf("after %q were forgotten, Leftovers = %q, %v", some, rest, err)
	}
	if err := s.ForgetLeftovers(s.ctx, nil); err != nil {
		t.Error(err)
	}
}

func (s *suite) note(name string, seconds int) {
	s.Helper()
	if err := s.NoteLeftover(s.ctx, name, later(seconds)); err != nil {
		s.Fatalf("NoteLeftover: %v", err)
	}
}

func (s *suite) wantLeftovers(seconds int, want ...string) {
	s.Helper()
	got, err := s.Leftovers(s.ctx, later(seconds), 1000)
	if err != nil {
		s.Fatalf("Leftovers: %v", err)
	}
	s.wantSorted(fmt.Sprintf("Leftovers after %d seconds", seconds), got, want)
}
