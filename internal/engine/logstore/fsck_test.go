package logstore

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"headwater/internal/engine"
	"headwater/internal/event"
	"headwater/internal/mediastore"
)

// damagedStore is a store with something of everything, to be damaged.
type damagedStore struct {
	*testing.T
	fs     *vfs.MemFS
	bodies map[mediastore.Path][]byte
}

func newDamagedStore(t *testing.T) *damagedStore {
	d := &damagedStore{T: t, fs: vfs.NewCrashableMem(), bodies: make(map[mediastore.Path][]byte)}
	e := mustOpen(t, crowded(d.fs))
	for i, name := range []mediastore.ContainerName{"movies", "empty"} {
		c := testContainer()
		c.Name, c.Policy = name, `{"Version":"2012-10-17"}`
		c.Tags = []mediastore.Tag{{Key: "team", Value: "sport"}}
		if i > 0 {
			c.ID = "bbbbbbbbbbbbbb"
		}
		if err := e.CreateContainer(t.Context(), c, 0); err != nil {
			t.Fatal(err)
		}
	}
	for i, size := range []int{0, 10, 20_000, 40_000, 100_000, 300_000} {
		d.put(e, mediastore.Path(fmt.Sprintf("a/b/%d", i)), size, false)
		d.put(e, mediastore.Path(fmt.Sprintf("short/%d", i)), size, true)
	}
	d.put(e, "top", 50_000, false)
	d.put(e, "a/archived", 60_000, false)
	o, err := e.StatObject(t.Context(), testID, "a/archived")
	err = errors.Join(err,
		e.ArchiveVersion(t.Context(), testID, engine.VersionID{Path: o.Path, ETag: o.ETag}, true),
		e.NoteLeftover(t.Context(), "left", testEpoch), e.SetMark(t.Context(), "mark", []byte("here")), e.Close())
	if err != nil {
		t.Fatal(err)
	}
	delete(d.bodies, "a/archived")
	return d
}

func (d *damagedStore) put(e *Engine, path mediastore.Path, size int, transient bool) {
	d.Helper()
	body := version{seed: uint64(size), size: size}.body()
	object := mediastore.Object{ETag: mediastore.ETag("e" + path), ContentType: "video/mp4", LastModified: testEpoch, SHA256: sha256.Sum256(body)}
	spec := engine.UploadSpec{Path: path, Size: int64(size)}
	if transient {
		object.ExpiresAt = testEpoch.Add(60e9)
		spec.ExpiresAt = object.ExpiresAt
	}
	u, err := e.NewUpload(d.Context(), testID, spec)
	if err != nil {
		d.Fatal(err)
	}
	defer u.Close()
	if _, err := u.Write(body); err != nil {
		d.Fatal(err)
	}
	if err := u.Commit(d.Context(), object, mediastore.Precondition{}); err != nil {
		d.Fatal(err)
	}
	d.bodies[path] = body
}

// damage returns a copy of the store in which something has happened.
func (d *damagedStore) damage(what func(fs *vfs.MemFS)) *vfs.MemFS {
	fs := d.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
	what(fs)
	return fs
}

// damageIndex does so by way of the index.
func (d *damagedStore) damageIndex(what func(x *pebble.Batch)) *vfs.MemFS {
	return d.damage(func(fs *vfs.MemFS) {
		o := crowded(fs).withDefaults()
		x, err := openIndex("/data/index", &o)
		if err != nil {
			d.Fatal(err)
		}
		batch := x.NewBatch()
		what(batch)
		if err := errors.Join(batch.Commit(pebble.Sync), x.Close()); err != nil {
			d.Fatal(err)
		}
	})
}

func (d *damagedStore) entries() (all []entry) {
	d.damage(func(fs *vfs.MemFS) {
		o := crowded(fs).withDefaults()
		x, err := openIndex("/data/index", &o)
		if err != nil {
			d.Fatal(err)
		}
		defer x.Close()
		err = scanRange(x, []byte{0}, []byte{0xff}, func(key []byte, it *pebble.Iterator) (bool, error) {
			value, err := it.ValueAndErr()
			all = append(all, entry{bytes.Clone(key), append([]byte{}, value...)})
			return true, err
		})
		if err != nil {
			d.Fatal(err)
		}
	})
	return all
}

// findings is what a check has said.
type findings struct {
	FsckResult
	what []string
	lost []mediastore.Path
}

func (d *damagedStore) fsck(fs vfs.FS, repair bool) findings {
	d.Helper()
	var f findings
	result, err := Fsck(d.Context(), crowded(fs), FsckOptions{Bodies: true, Repair: repair, At: testEpoch, Report: func(p Problem) {
		f.what = append(f.what, p.What)
		if p.Lost {
			f.lost = append(f.lost, p.Path)
		}
	}})
	if err != nil {
		d.Errorf("fsck: %v", err)
	}
	f.FsckResult = result
	return f
}

// repair repairs a store: it must be in order then, and everything that was not
// reported as lost must be there.
func (d *damagedStore) repair(what string, fs *vfs.MemFS, except ...mediastore.Path) findings {
	d.Helper()
	check := d.fsck(fs, false)
	repair := d.fsck(fs, true)
	if len(check.what) > 0 && !slices.Contains(repair.what, check.what[0]) {
		d.Errorf("%s: a check found %q and a repair %q", what, check.what, repair.what)
	}
	if again := d.fsck(fs, false); again.Problems > 0 || repair.Left > 0 || again.Orphans > 0 {
		d.Errorf("%s: repaired were %q, left are %q", what, repair.what, again.what)
	}
	e := mustOpen(d.T, crowded(fs))
	defer e.Close()
	if err := e.check(true); err != nil {
		d.Errorf("%s: after a repair: %v", what, err)
	}
	for path, body := range d.bodies {
		if !slices.Contains(repair.lost, path) && !slices.Contains(except, path) {
			d.verifyBody(what, e, path, body)
		}
	}
	last, err := lastEvents(d.Context(), e)
	if err != nil {
		d.Errorf("%s: events: %v", what, err)
	}
	for _, path := range repair.lost {
		if ev := last[path]; ev.Kind != event.ObjectRemoved {
			d.Errorf("%s: of %s, which is lost, the last event is %+v", what, path, ev)
		}
		if _, err := e.StatObject(d.Context(), testID, path); !mediastore.IsKind(err, mediastore.KindObjectNotFound) {
			d.Errorf("%s: %s was reported as lost and is answered with %v", what, path, err)
		}
	}
	mustPut(d.T, e, "new", 100_000)
	return repair
}

func (d *damagedStore) verifyBody(what string, e *Engine, path mediastore.Path, body []byte) {
	d.Helper()
	r, err := e.OpenObject(d.Context(), testID, path)
	if err != nil {
		d.Errorf("%s: %s: %v", what, path, err)
		return
	}
	defer r.Close()
	got, err := io.ReadAll(io.NewSectionReader(r, 0, r.Object().Size))
	if err != nil || !bytes.Equal(got, body) {
		d.Errorf("%s: %s: %d bytes, want %d, %v", what, path, len(got), len(body), err)
	}
}

// places are some of the bytes of a value or a key, the ends among them.
func places(n int) []int { return []int{0, n * 2 / 3, n - 1} }

// pathOf is the path of the version that an entry is of.
func pathOf(key []byte) (path mediastore.Path) {
	if key[0] == tableItems || key[0] == tableTransient {
		_, path, _, _ = parseVersionKey(key)
	}
	return path
}

// TestFsckOfDamagedValues flips bits in every kind of record. What cannot be told
// from a right value is not found, but nothing else may suffer.
func TestFsckOfDamagedValues(t *testing.T) {
	d := newDamagedStore(t)
	missed := make(map[byte]int)
	flips := 0
	for _, entry := range d.entries() {
		if len(entry.value) == 0 {
			continue
		}
		for _, at := range places(len(entry.value)) {
			value := bytes.Clone(entry.value)
			value[at] ^= 1 << (at % 8)
			fs := d.damageIndex(func(b *pebble.Batch) { b.Set(entry.key, value, nil) })
			name := fmt.Sprintf("byte %d of the value of %q", at, entry.key)
			found := d.repair(name, fs)
			flips++
			if found.Problems == 0 {
				missed[entry.key[0]]++
			}
			if path := pathOf(entry.key); len(found.lost) > 1 || len(found.lost) == 1 && found.lost[0] != path {
				t.Errorf("%s: lost are %q", name, found.lost)
			}
		}
	}
	t.Logf("%d flips, not found of each table: %v", flips, missed)
	for _, table := range []byte{tableIDs, tableRoots, tableVolumes} {
		if missed[table] > 0 {
			t.Errorf("%d flips in the table %c were not found", missed[table], table)
		}
	}
}

// TestFsckOfDamagedKeys does so with keys.
func TestFsckOfDamagedKeys(t *testing.T) {
	d := newDamagedStore(t)
	for _, entry := range d.entries() {
		for _, at := range places(len(entry.key)) {
			key := bytes.Clone(entry.key)
			key[at] ^= 1 << (at % 6)
			fs := d.damageIndex(func(b *pebble.Batch) {
				b.Delete(entry.key, nil)
				b.Set(key, entry.value, nil)
			})
			d.repairKey(entry, key, fs)
		}
	}
}

// repairKey: when the container of a version cannot be told any more, there is
// something left for a person to do.
func (d *damagedStore) repairKey(was entry, key []byte, fs *vfs.MemFS) {
	name := fmt.Sprintf("%q instead of %q", key, was.key)
	if pathOf(was.key) != "" || was.key[0] == tableItems {
		if id, _, _, err := parseVersionKey(key); err != nil || id != testID {
			d.fsck(fs, true)
			return
		}
	}
	found := d.repair(name, fs, pathOf(was.key))
	if len(found.lost) > 1 {
		d.Errorf("%s: lost are %q", name, found.lost)
	}
}

// TestFsckOfDamagedBodies flips a bit in every kind of byte in a volume, and in
// those between, which nobody misses.
func TestFsckOfDamagedBodies(t *testing.T) {
	d := newDamagedStore(t)
	for _, o := range d.extents() {
		for i, x := range o.record.extents {
			for _, at := range []int64{0, x.length / 2, x.length - 1, x.length, x.length + blocks(x.length)*sumSize - 1} {
				fs := d.damage(func(fs *vfs.MemFS) {
					flip(d.T, fs, "/data/volumes/"+x.volume.fileName(), x.offset+at)
				})
				name := fmt.Sprintf("byte %d of extent %d of %s", at, i, o.record.object.Path)
				found := d.repair(name, fs)
				if len(found.lost) != 1 || found.lost[0] != o.record.object.Path {
					t.Errorf("%s: lost are %q", name, found.lost)
				}
			}
		}
	}
}

// extents returns all versions that have some.
func (d *damagedStore) extents() []located {
	e := mustOpen(d.T, crowded(d.damage(func(*vfs.MemFS) {})))
	defer e.Close()
	p, err := readPage(e.index, walkStart(), func(*objectRecord) bool { return true })
	if err != nil || len(p.versions) < 7 {
		d.Fatalf("%d versions, %v", len(p.versions), err)
	}
	return p.versions
}

// TestFsckOfTruncatedVolumes cuts volumes off, and takes them away.
func TestFsckOfTruncatedVolumes(t *testing.T) {
	d := newDamagedStore(t)
	versions := d.extents()
	names, err := d.fs.List("/data/volumes")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		path := "/data/volumes/" + name
		info, err := d.fs.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int64{-1, 0, 1, info.Size() / 3, info.Size() - 1} {
			var want []mediastore.Path
			for _, v := range versions {
				if slices.ContainsFunc(v.record.extents, func(x extent) bool {
					return x.volume.fileName() == name && x.offset+x.length+blocks(x.length)*sumSize > size
				}) {
					want = append(want, v.record.object.Path)
				}
			}
			found := d.repair(fmt.Sprintf("%s of %d bytes", name, size), d.damage(func(fs *vfs.MemFS) { truncate(t, fs, path, size) }))
			slices.Sort(found.lost)
			slices.Sort(want)
			if !slices.Equal(found.lost, want) {
				t.Errorf("%s of %d bytes: lost are %q, want %q", name, size, found.lost, want)
			}
		}
	}
}

// truncate leaves size bytes of a file, or removes it when size is negative.
func truncate(t *testing.T, fs *vfs.MemFS, path string, size int64) {
	t.Helper()
	content, err := fs.UnsafeGetFileDataBuffer(path)
	content = bytes.Clone(content)
	if err = errors.Join(err, fs.Remove(path)); err != nil {
		t.Fatal(err)
	}
	if size < 0 {
		return
	}
	if err := writeSynced(fs, path, string(content[:size])); err != nil {
		t.Fatal(err)
	}
}

// TestFsckOfOverlaps: of two objects that claim the same bytes, the one whose
// they are stays.
func TestFsckOfOverlaps(t *testing.T) {
	d := newDamagedStore(t)
	versions := d.extents()
	victim, thief := versions[0], versions[1]
	thief.record.extents = victim.record.extents
	thief.record.extents = slices.Clone(thief.record.extents)
	thief.record.extents[0].length -= 5
	thief.record.object.Size = thief.record.extents[0].length
	fs := d.damageIndex(func(b *pebble.Batch) { b.Set(thief.record.key(testID), thief.record.encode(), nil) })
	var lost []mediastore.Path
	result, err := Fsck(t.Context(), crowded(fs), FsckOptions{Repair: true, At: testEpoch, Report: func(p Problem) {
		if p.Lost {
			lost = append(lost, p.Path)
		}
	}})
	if err != nil || result.Left > 0 || len(lost) != 1 || lost[0] != thief.record.object.Path {
		t.Errorf("%+v, %v; lost are %q, want %q", result, err, lost, thief.record.object.Path)
	}
	d.repair("after an overlap", fs, thief.record.object.Path)
}

// TestFsckWithoutDamage changes nothing, also after a crash, and says so.
func TestFsckWithoutDamage(t *testing.T) {
	d := newDamagedStore(t)
	fs := d.damage(func(fs *vfs.MemFS) {
		if err := writeSynced(fs, "/data/volumes/000000ff.vol", "left behind"); err != nil {
			t.Fatal(err)
		}
	})
	before := fs.String()
	if found := d.fsck(fs, false); found.Problems > 0 || found.Orphans != 1 {
		t.Errorf("%+v", found)
	}
	if after := fs.String(); after != before {
		t.Errorf("a check has changed the store from\n%s\nto\n%s", before, after)
	}
	if found := d.fsck(fs, true); found.Problems > 0 || slices.Contains(volumeFiles(t, fs), "000000ff.vol") {
		t.Errorf("%+v", found)
	}
}

func TestFsckRefuses(t *testing.T) {
	fs := vfs.NewMem()
	if _, err := Fsck(t.Context(), small(fs, "/none"), FsckOptions{}); !errors.Is(err, ErrFormat) {
		t.Errorf("a directory that is not there: %v", err)
	}
	if names, err := fs.List("/"); err != nil || len(names) > 0 {
		t.Errorf("a check has made %v (%v)", names, err)
	}
	e := mustOpen(t, small(fs, "/data"))
	if _, err := Fsck(t.Context(), small(fs, "/data"), FsckOptions{Repair: true}); !errors.Is(err, ErrInUse) {
		t.Errorf("a directory in use: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := writeSynced(fs, "/data/FORMAT", "headwater logstore 3\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := Fsck(t.Context(), small(fs, "/data"), FsckOptions{Repair: true}); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "logstore 3") {
		t.Errorf("a format of the future: %v", err)
	}
}

// TestFsckOfDamagedIndex flips bits in the index's own files, which their checksums
// tell: nothing is repaired by half of an index. With the bits as they were,
// everything is there.
func TestFsckOfDamagedIndex(t *testing.T) {
	d := newDamagedStore(t)
	e := mustOpen(t, crowded(d.fs))
	if err := errors.Join(e.index.Flush(), e.Close()); err != nil {
		t.Fatal(err)
	}
	names, err := d.fs.List("/data/index")
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		path := "/data/index/" + name
		info, err := d.fs.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []int64{10, info.Size() / 4, info.Size() / 2} {
			fs := d.damage(func(fs *vfs.MemFS) { flip(t, fs, path, at) })
			if _, err := Fsck(t.Context(), crowded(fs), FsckOptions{Repair: true, At: testEpoch}); err == nil {
				continue // it was a byte that nobody needs
			}
			refused++
			flip(t, fs, path, at)
			if found := d.repair(fmt.Sprintf("byte %d of %s", at, name), fs); found.Problems > 0 {
				t.Errorf("a repair was begun: %q", found.what)
			}
		}
	}
	if refused == 0 {
		t.Error("no flip was found: the test has lost its aim")
	}
}
