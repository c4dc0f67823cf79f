package logstore

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headwater/internal/engine"
	"headwater/internal/event"
	"headwater/internal/mediastore"
)

// putUntil puts an object that expires so many seconds after the epoch.
func putUntil(t testing.TB, e *Engine, path mediastore.Path, size, seconds int) {
	t.Helper()
	expires := testEpoch.Add(time.Duration(seconds) * time.Second)
	u, err := e.NewUpload(context.Background(), testID, engine.UploadSpec{Path: path, Size: int64(size), ExpiresAt: expires})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if _, err := u.Write(version{seed: 1, size: size}.body()); err != nil {
		t.Fatal(err)
	}
	object := mediastore.Object{ETag: "1", LastModified: testEpoch, ExpiresAt: expires}
	if err := u.Commit(context.Background(), object, mediastore.Precondition{}); err != nil {
		t.Fatal(err)
	}
}

// sweep removes all that is due so many seconds after the epoch.
func sweep(t testing.TB, e *Engine, seconds int) (removed int) {
	t.Helper()
	at := testEpoch.Add(time.Duration(seconds) * time.Second)
	for {
		due, err := e.DueObjects(context.Background(), at, 500)
		if err != nil {
			t.Fatal(err)
		}
		if len(due) == 0 {
			return removed
		}
		versions := make([]engine.VersionID, len(due))
		for i, d := range due {
			versions[i] = engine.VersionID{Path: d.Object.Path, ETag: d.Object.ETag}
		}
		gone, err := e.RemoveVersions(context.Background(), testID, versions, at, true)
		if err != nil || len(gone) != len(due) {
			t.Fatalf("%d of %d were removed: %v", len(gone), len(due), err)
		}
		removed += len(gone)
	}
}

func bytesOnDisk(t *testing.T, e *Engine) (total int64) {
	t.Helper()
	names, err := e.options.FS.List(e.volumes.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		// One that is being removed may be gone.
		if info, err := e.options.FS.Stat(e.options.FS.PathJoin(e.volumes.dir, name)); err == nil {
			total += info.Size()
		}
	}
	return total
}

// TestDiskFollowsLife: what is on disk stays close to what is alive, of a slow
// channel as of a fast one, and where one lives for minutes beside one that lives
// for seconds. Nothing here comes near the size of a volume.
func TestDiskFollowsLife(t *testing.T) {
	for name, lives := range map[string][]int{ // seconds, of one object for each second
		"one channel":              {20},
		"seconds":                  {3},
		"minutes and seconds":      {5, 5, 5, 5, 5, 5, 5, 5, 5, 300},
		"all kinds that there are": {1, 10, 60, 120, 180, 240, 300},
	} {
		t.Run(name, func(t *testing.T) {
			const size = 40_000
			e := mustOpen(t, Options{Dir: "/data", FS: vfs.NewMem()})
			defer e.Close()
			mustPut(t, e, "lasting", 10)
			var perSecond, alive int64
			for _, life := range lives {
				perSecond, alive = perSecond+footprint(size), alive+int64(life+1)*footprint(size)
			}
			for second := range 700 {
				for i, life := range lives {
					putUntil(t, e, mediastore.Path(fmt.Sprintf("%d/%d", i, second)), size, second+life)
				}
				sweep(t, e, second)
				e.volumes.removals.Wait()
				if got, most := bytesOnDisk(t, e), alive+perSecond*shelfPeriod; got > most {
					t.Fatalf("after %d seconds there are %d bytes on disk, at most %d are alive", second, got, alive)
				}
			}
			if stats := e.Stats(); stats.ActiveVolumes > maxShelves || stats.LiveBytes > alive {
				t.Errorf("%+v", stats)
			}
			sweep(t, e, 2000)
			e.volumes.removals.Wait()
			if got := bytesOnDisk(t, e); got != 0 {
				t.Errorf("when all has expired there are %d bytes on disk", got)
			}
			if stats := e.Stats(); stats.Volumes != 0 || stats.ActiveVolumes != 0 || stats.LiveBytes != 0 {
				t.Errorf("when all has expired: %+v", stats)
			}
		})
	}
}

// TestShelvesAreBounded: when nothing is swept, volumes are sealed rather than
// kept open for ever.
func TestShelvesAreBounded(t *testing.T) {
	e := mustOpen(t, Options{Dir: "/data", FS: vfs.NewMem()})
	defer e.Close()
	mustPut(t, e, "lasting", 100_000)
	for i := range 3 * maxShelves {
		putUntil(t, e, mediastore.Path(fmt.Sprint(i)), 40_000, i*shelfPeriod)
	}
	if stats := e.Stats(); stats.ActiveVolumes != maxShelves || stats.Volumes != 3*maxShelves+1 {
		t.Errorf("%+v", stats)
	}
	if e.volumes.active.volumes[shelf{}] == nil {
		t.Error("the volume of lasting objects was sealed")
	}
	if err := e.check(true); err != nil {
		t.Error(err)
	}
	if removed := sweep(t, e, 1<<20); removed != 3*maxShelves {
		t.Errorf("%d were removed", removed)
	}
	e.volumes.removals.Wait()
	if stats := e.Stats(); stats.Volumes != 1 {
		t.Errorf("%+v", stats)
	}
}

// TestAbortedUploadsLeaveNothing: also the volume that was made for one goes.
func TestAbortedUploadsLeaveNothing(t *testing.T) {
	e := mustOpen(t, Options{Dir: "/data", FS: vfs.NewMem()})
	defer e.Close()
	for i := range 10 {
		u, err := e.NewUpload(t.Context(), testID, engine.UploadSpec{Path: "a", Size: 1 << 20, ExpiresAt: testEpoch.Add(time.Duration(i) * time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.Write(make([]byte, 100_000)); err != nil {
			t.Fatal(err)
		}
		u.Close()
	}
	e.volumes.removals.Wait()
	if got, stats := bytesOnDisk(t, e), e.Stats(); got != 0 || stats.ActiveVolumes != 0 || stats.Volumes != 0 {
		t.Errorf("left are %d bytes: %+v", got, stats)
	}
}

// TestRemovedVolumeIsNotKeptOpen: who opens a volume while it is being removed
// does not keep its room for longer than he reads.
func TestRemovedVolumeIsNotKeptOpen(t *testing.T) {
	fs := vfs.NewMem()
	e := mustOpen(t, small(fs, "/data"))
	mustPut(t, e, "a", 100_000)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = mustOpen(t, small(fs, "/data"))
	defer e.Close()
	reading, err := e.volumes.acquire(0)
	if err != nil {
		t.Fatal(err)
	}
	e.volumes.remove(0)
	if s := e.Stats(); s.OpenVolumes != 1 || s.Volumes != 0 {
		t.Errorf("while it is read: %+v", s)
	}
	e.volumes.release(reading)
	if s := e.Stats(); s.OpenVolumes != 0 {
		t.Errorf("when it is not read any more: %+v", s)
	}
}

// TestDueAfterReopen: the search for what is due begins at the beginning again,
// and finds what was put while another search was under way.
func TestDueAfterReopen(t *testing.T) {
	fs := vfs.NewMem()
	e := mustOpen(t, small(fs, "/data"))
	mustPut(t, e, "lasting", 10)
	for i := range 10 {
		putUntil(t, e, mediastore.Path(fmt.Sprint(i)), 10, i)
	}
	if removed := sweep(t, e, 4); removed != 5 {
		t.Errorf("%d were removed", removed)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = mustOpen(t, small(fs, "/data"))
	defer e.Close()
	putUntil(t, e, "early", 10, 1)
	if removed := sweep(t, e, 100); removed != 6 {
		t.Errorf("%d were removed", removed)
	}
}

func TestFloor(t *testing.T) {
	key := func(second int) []byte {
		return expiryKey(testEpoch.Add(time.Duration(second)*time.Second), testID, "a")
	}
	f := newFloor()
	want := func(what string, want []byte) {
		t.Helper()
		if string(f.mu.key) != string(want) {
			t.Errorf("%s: the floor is %x, want %x", what, f.mu.key, want)
		}
	}
	search := func(lowest []byte, meanwhile ...[]byte) {
		_, raises := f.begin()
		if _, second := f.begin(); second || !raises {
			t.Error("two searches raise the floor")
		}
		for _, k := range meanwhile {
			f.lower(k)
		}
		f.end(lowest)
	}
	search(nil)
	want("a search that failed", []byte{tableExpiry})
	search(key(10))
	want("a search", key(10))
	search(key(5))
	want("a search for less", key(10))
	f.lower(key(7))
	want("a put below", key(7))
	search(key(20), key(30), key(15), key(16))
	want("puts during a search", key(15))
	search(key(20), key(12))
	want("a put below, during a search", key(12))
	search(key(20))
	want("the next search", key(20))
}

// TestCheckFindsExpiryContradictions breaks what check proves of versions that
// expire, events and leftovers. Each is the one thing that is wrong.
func TestCheckFindsExpiryContradictions(t *testing.T) {
	record := func(path mediastore.Path, expires time.Time) entry {
		r := objectRecord{object: mediastore.Object{Path: path, ExpiresAt: expires}}
		return entry{r.key(testID), r.encode()}
	}
	expiry := func(path mediastore.Path, expires time.Time) entry {
		return entry{expiryKey(expires, testID, path), []byte{}}
	}
	other := testEpoch.Add(time.Second)
	for name, damage := range map[string][]entry{
		"version without expiry": {record("new", testEpoch)},
		"expiry without version": {expiry("new", testEpoch)},
		"two expiries":           {record("new", testEpoch), expiry("new", testEpoch), expiry("new", other)},
		"another expiry":         {record("new", testEpoch), expiry("new", other)},
		"two versions":           {record("f/a", testEpoch), expiry("f/a", testEpoch)},
		"lasting among them":     {{transientKey(testID, "new"), record("new", time.Time{}).value}},
		"item that expires":      {{objectKey(testID, "f/a"), record("f/a", testEpoch).value}},
		"damaged record":         {{transientKey(testID, "new"), []byte("?")}, expiry("new", testEpoch)},
		"no container": {
			{transientKey("cccccccccccccc", "new"), record("new", testEpoch).value},
			{expiryKey(testEpoch, "cccccccccccccc", "new"), []byte{}},
		},
		"event":    {{eventKey(7), []byte("?")}},
		"leftover": {{leftoverKey("name"), []byte("")}},
	} {
		e := mustOpen(t, small(vfs.NewMem(), "/data"))
		mustPut(t, e, "f/a", 10)
		putUntil(t, e, "t/a", 100_000, 10)
		if err := e.check(true); err != nil {
			t.Fatal(err)
		}
		for _, entry := range damage {
			if err := e.index.Set(entry.key, entry.value, nil); err != nil {
				t.Fatal(err)
			}
		}
		if e.check(false) == nil {
			t.Errorf("%s: check has not found it", name)
		}
		e.Close()
	}
}

// TestPositionsGoOn: the position of an event is never given again, also when
// all events before it were forgotten and the store was opened anew.
func TestPositionsGoOn(t *testing.T) {
	fs := vfs.NewMem()
	var newest uint64
	for round := range 3 {
		e := mustOpen(t, small(fs, "/data"))
		for i := range 5 {
			mustPut(t, e, "a", 10)
			all, err := e.ReadEvents(t.Context(), newest, 10)
			if err != nil || len(all) == 0 || all[len(all)-1].Kind != event.ObjectUpdated {
				t.Fatalf("round %d, put %d: events after %d are %+v, %v", round, i, newest, all, err)
			}
			newest = all[len(all)-1].Position
			if err := e.TrimEvents(t.Context(), newest); err != nil {
				t.Fatal(err)
			}
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStats(t *testing.T) {
	fs := vfs.NewMem()
	o := small(fs, "/data")
	var groups, operations int
	o.OnGroup = func(n int) { groups, operations = groups+1, operations+n }
	e := mustOpen(t, o)
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 30, TotalBytes: 1 << 31})
	mustPut(t, e, "a", 100_000)
	putUntil(t, e, "b", 100_000, 10)
	s := e.Stats()
	if s.Groups != 3 || s.Operations != 3 || s.IndexBytes == 0 || s.LogBytes == 0 || s.MemTableBytes == 0 {
		t.Errorf("%+v", s)
	}
	if s.Volumes != 2 || s.ActiveVolumes != 2 || s.OpenVolumes != 2 || s.LiveBytes != 2*footprint(100_000) {
		t.Errorf("%+v", s)
	}
	if s.DiskFree != 1<<30 || s.DiskTotal != 1<<31 {
		t.Errorf("%+v", s)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if groups != 3 || operations != 3 {
		t.Errorf("OnGroup was told of %d groups with %d operations", groups, operations)
	}
	if s := e.Stats(); s != (Stats{}) {
		t.Errorf("of a closed store: %+v", s)
	}
	e = mustOpen(t, small(fs, "/data"))
	defer e.Close()
	if s := e.Stats(); s.Volumes != 2 || s.ActiveVolumes != 0 || s.LiveBytes != 2*footprint(100_000) {
		t.Errorf("after Open: %+v", s)
	}
}
