package logstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"headwater/internal/mediastore"
)

// unhurried is small with compaction only when the test says so.
func unhurried(fs vfs.FS) Options {
	o := small(fs, "/data")
	o.CompactionRate, o.compactEvery = 1<<40, 1000*time.Hour
	return o
}

// crowded is unhurried with volumes that are soon full and soon mostly dead.
func crowded(fs vfs.FS) Options {
	o := unhurried(fs)
	o.VolumeSize = 256 << 10
	return o
}

// fillVolumes puts objects of 100 KB, ten to a volume, and deletes all but every
// keep-th.
func fillVolumes(t *testing.T, e *Engine, n, keep int) map[mediastore.Path][]version {
	t.Helper()
	possible := make(map[mediastore.Path][]version)
	for i := range n {
		mustPut(t, e, mediastore.Path(fmt.Sprintf("f/%03d", i)), 100_000)
	}
	for i := range n {
		path := mediastore.Path(fmt.Sprintf("f/%03d", i))
		possible[path] = []version{{seed: uint64(len(path)), size: 100_000}}
		if i%keep != 0 {
			mustDelete(t, e, path)
			possible[path] = []version{{absent: true}}
		}
	}
	return possible
}

func TestCompaction(t *testing.T) {
	fs := vfs.NewMem()
	e := mustOpen(t, unhurried(fs))
	defer func() { e.Close() }()
	possible := fillVolumes(t, e, 80, 5) // eight volumes, with two objects each
	before := len(volumeFiles(t, fs))
	r, err := e.OpenObject(t.Context(), testID, "f/000")
	if err != nil {
		t.Fatal(err)
	}
	if err := e.compactor.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.volumes.removals.Wait()
	body, err := io.ReadAll(io.NewSectionReader(r, 0, 100_000))
	if err != nil || !bytes.Equal(body, possible["f/000"][0].body()) {
		t.Errorf("an open reader has lost its version: %v", err)
	}
	r.Close()
	e.volumes.removals.Wait()
	if after := len(volumeFiles(t, fs)); before != 8 || after > 3 {
		t.Errorf("of %d volumes %d are left", before, after)
	}
	if s := e.Stats(); s.MovedBytes != 14*100_000 || s.ReclaimedVolumes != 7 || s.ReclaimedBytes < 6_000_000 || s.DamagedObjects != 0 {
		t.Errorf("%+v", s)
	}
	verify(t, e, possible)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = mustOpen(t, unhurried(fs))
	verify(t, e, possible)
}

// TestCompactionOfArchived: what an archived object leaves behind is dead too,
// and so is what a large object shares with others in only one of its volumes.
func TestCompactionOfArchived(t *testing.T) {
	fs := vfs.NewMem()
	e := mustOpen(t, unhurried(fs))
	defer e.Close()
	mustPut(t, e, "big", 2_100_000) // the last extent shares its volume
	mustPut(t, e, "archived", 800_000)
	mustPut(t, e, "last", 900_000)
	h := newHistory()
	h.begin("archived", version{seed: 8, size: 800_000})
	h.ack("archived")
	if err := h.archive(t.Context(), e, "archived"); err != nil {
		t.Fatal(err)
	}
	if err := e.compactor.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := e.Stats()
	if s.ReclaimedVolumes != 1 || s.MovedBytes != 2_100_000-2*largestExtent(1<<20) {
		t.Errorf("%+v", s)
	}
	verify(t, e, map[mediastore.Path][]version{
		"big": {{seed: 3, size: 2_100_000}}, "last": {{seed: 4, size: 900_000}}, "archived": {{seed: 8, size: 800_000, archived: true}},
	})
}

// TestCompactionOnlyWhenWorthIt: volumes that are mostly alive stay, and so do
// those that are still written.
func TestCompactionOnlyWhenWorthIt(t *testing.T) {
	e := mustOpen(t, unhurried(vfs.NewMem()))
	defer e.Close()
	for i := range 30 {
		mustPut(t, e, mediastore.Path(fmt.Sprintf("f/%03d", i)), 100_000)
	}
	for i := range 30 {
		if i%10 < 4 || i == 29 {
			mustDelete(t, e, mediastore.Path(fmt.Sprintf("f/%03d", i)))
		}
	}
	if chosen, err := e.compactor.choose(); len(chosen) > 0 || err != nil {
		t.Errorf("chosen are %+v, %v", chosen, err)
	}
}

// TestCompactionFitsIntoTheRoom: with little room, as much is compacted as fits.
func TestCompactionFitsIntoTheRoom(t *testing.T) {
	fs := vfs.NewMem()
	o := unhurried(fs)
	o.ReserveSpace = 400_000
	e := mustOpen(t, o)
	defer e.Close()
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 30})
	fillVolumes(t, e, 80, 5)
	for _, c := range []struct {
		free uint64
		want int
	}{{200_000, 0}, {399_999, 0}, {420_000, 1}, {850_000, 3}, {1 << 30, 7}} {
		fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: c.free})
		if chosen, err := e.compactor.choose(); len(chosen) != c.want || err != nil {
			t.Errorf("with %d bytes free %d volumes are chosen, want %d (%v)", c.free, len(chosen), c.want, err)
		}
	}
}

// TestCompactionLeavesDamage: damaged bytes stay where they are, are counted, and
// are not copied again and again.
func TestCompactionLeavesDamage(t *testing.T) {
	fs := vfs.NewMem()
	e := mustOpen(t, unhurried(fs))
	defer e.Close()
	possible := fillVolumes(t, e, 80, 5)
	flip(t, fs, "/data/volumes/00000000.vol", 50)
	delete(possible, "f/000")
	for range 2 {
		if err := e.compactor.pass(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if s := e.Stats(); s.DamagedObjects != 1 {
		t.Errorf("%+v", s)
	}
	e.volumes.removals.Wait()
	if got := strings.Join(volumeFiles(t, fs), " "); got != "00000000.vol 00000009.vol 0000000a.vol" {
		t.Errorf("left are %s", got)
	}
	for path, versions := range possible {
		if err := verifyPath(t, e, path, versions); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestCompactionOfWhatChanges lets versions change between the copy and the
// moment when it would take their place.
func TestCompactionOfWhatChanges(t *testing.T) {
	e := mustOpen(t, unhurried(vfs.NewMem()))
	defer e.Close()
	possible := fillVolumes(t, e, 40, 5)
	p, err := readPage(e.index, walkStart(), func(*objectRecord) bool { return true })
	if err != nil || len(p.versions) != 8 {
		t.Fatalf("%d versions, %v", len(p.versions), err)
	}
	victims := map[volumeID]bool{0: true, 1: true, 2: true}
	op := &relocate{}
	for i := range p.versions {
		if err := e.compactor.copyVersion(t.Context(), op, &p.versions[i], victims); err != nil {
			t.Fatal(err)
		}
	}
	mustDelete(t, e, "f/000")
	possible["f/000"] = []version{{absent: true}}
	mustPut(t, e, "f/005", 40_000)
	possible["f/005"] = []version{{seed: 5, size: 40_000}}
	if err := e.committer.submit(t.Context(), op, 0, op.volumes()...); err != nil {
		t.Fatal(err)
	}
	op.committed = true
	op.release(e.volumes)
	if op.moved != 4*100_000 {
		t.Errorf("moved %d bytes", op.moved)
	}
	verify(t, e, possible)
}

// TestCompactionFullDisk: when the copies do not fit, everything stays as it was,
// and compaction goes on when there is room.
func TestCompactionFullDisk(t *testing.T) {
	for n := range int64(5) {
		full := &fault{n: n + 1, onward: true, err: syscall.ENOSPC, only: func(op errorfs.Op) bool { return strings.HasSuffix(op.Path, ".vol") }}
		full.over.Store(true)
		fs := vfs.NewMem()
		e := mustOpen(t, unhurried(errorfs.Wrap(fs, full)))
		possible := fillVolumes(t, e, 80, 5)
		full.over.Store(false)
		if err := e.compactor.pass(t.Context()); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("compaction on a full disk: %v", err)
		}
		verify(t, e, possible)
		full.over.Store(true)
		if err := e.compactor.pass(t.Context()); err != nil {
			t.Error(err)
		}
		verify(t, e, possible)
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if got := volumeFiles(t, fs); len(got) > 4 {
			t.Errorf("left are %v", got)
		}
	}
}

// TestCompactionUnderLoad compacts all the time while others put, delete and
// read.
func TestCompactionUnderLoad(t *testing.T) {
	o := small(vfs.NewMem(), "/data")
	o.compactEvery = time.Millisecond
	e := mustOpen(t, o)
	defer e.Close()
	if err := e.CreateContainer(t.Context(), testContainer(), 0); err != nil {
		t.Fatal(err)
	}
	h := newHistory()
	ctx, cancel := context.WithCancel(t.Context())
	var wg, readers sync.WaitGroup
	for writer := range 4 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(writer)))
			for range 150 {
				if err := h.step(t.Context(), e, fmt.Sprint("w", writer), random); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for reader := range 2 {
		readers.Go(func() { readUntilDone(ctx, t, e, rand.New(rand.NewPCG(2, uint64(reader)))) })
	}
	wg.Wait()
	cancel()
	readers.Wait()
	if e.Stats().MovedBytes == 0 {
		t.Error("nothing was moved")
	}
	verify(t, e, h.possible(h.acked()))
}

// readUntilDone reads what the writers write: a version is there whole or not at
// all.
func readUntilDone(ctx context.Context, t *testing.T, e *Engine, random *rand.Rand) {
	for ctx.Err() == nil {
		path := mediastore.Path(fmt.Sprintf("w%d/%d/%d", random.IntN(4), random.IntN(2), random.IntN(3)))
		r, err := e.OpenObject(t.Context(), testID, path)
		if mediastore.IsKind(err, mediastore.KindObjectNotFound) {
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return
		}
		var seed uint64
		var size int
		fmt.Sscanf(string(r.Object().ETag), "%d-%d", &seed, &size)
		if !r.Object().Archived {
			body, err := io.ReadAll(io.NewSectionReader(r, 0, r.Object().Size))
			if err != nil || !bytes.Equal(body, version{seed: seed, size: size}.body()) {
				t.Errorf("%s: %d bytes that are not those of %s, %v", path, len(body), r.Object().ETag, err)
			}
		}
		r.Close()
	}
}

// TestCloseEndsCompaction in the middle of a copy that would take hours.
func TestCloseEndsCompaction(t *testing.T) {
	o := unhurried(vfs.NewMem())
	o.CompactionRate, o.compactEvery = 1000, time.Millisecond
	e := mustOpen(t, o)
	fillVolumes(t, e, 40, 5)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestPace: a rate is kept on the average, whatever the size of the pieces.
func TestPace(t *testing.T) {
	for _, piece := range []int64{1, 1000, 64 << 10, 10_000_000} {
		synctest.Test(t, func(t *testing.T) {
			p := pace{rate: 1_000_000}
			begin := time.Now()
			n := max(1, 20_000_000/piece)
			n = min(n, 100_000)
			for range n {
				if err := p.spend(t.Context(), piece); err != nil {
					t.Fatal(err)
				}
			}
			want := time.Duration(n*piece) * time.Microsecond
			if took := time.Since(begin); took > want || took < want-shortestRest {
				t.Errorf("%d times %d bytes took %v, want %v", n, piece, took, want)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := pace{rate: 1}
	if p.spend(ctx, 1) == nil || p.spend(ctx, 1<<20) == nil {
		t.Error("a rest outlives its context")
	}
}

// BenchmarkWalk is what one walk of the index costs for each object in it.
func BenchmarkWalk(b *testing.B) {
	o := small(vfs.NewMem(), "/data")
	o.memTableSize = 0
	e := mustOpen(b, o)
	defer e.Close()
	const objects = 100_000
	batch := e.index.NewBatch()
	for i := range objects {
		r := objectRecord{object: mediastore.Object{
			Path: mediastore.Path(fmt.Sprintf("channel/%d/segment_%09d.ts", i%40, i)), ETag: "0123456789abcdef0123456789abcdef",
			Size: 1_000_000, ContentType: "video/mp2t", LastModified: testEpoch,
		}, extents: []extent{{volume: volumeID(i / 250), offset: int64(i%250) << 20, length: 1_000_000}}}
		if err := batch.Set(r.key(testID), r.encode(), nil); err != nil {
			b.Fatal(err)
		}
	}
	if err := errors.Join(batch.Commit(nil), e.index.Flush()); err != nil {
		b.Fatal(err)
	}
	var read int64
	for b.Loop() {
		read = 0
		for from := walkStart(); from != nil; {
			p, err := readPage(e.index, from, func(r *objectRecord) bool { return r.extents[0].volume == 7 })
			if err != nil {
				b.Fatal(err)
			}
			read, from = read+p.read, p.next
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/objects, "ns/object")
	b.ReportMetric(float64(read)/objects, "B/object")
	b.ReportMetric(float64(e.index.Metrics().DiskSpaceUsage())/objects, "disk-B/object")
}
