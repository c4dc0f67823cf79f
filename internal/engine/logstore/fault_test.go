package logstore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"headwater/internal/engine"
	"headwater/internal/event"
	"headwater/internal/mediastore"
)

// fault makes the n-th change to the disk that it is asked about fail, or all
// from the n-th on.
type fault struct {
	n      int64
	onward bool
	err    error
	only   func(errorfs.Op) bool // nil: every change
	reads  bool                  // what fails are opens and reads, and not changes
	seen   atomic.Int64
	over   atomic.Bool // nothing fails any more
}

func (f *fault) String() string { return fmt.Sprintf("n=%d onward=%v", f.n, f.onward) }

func (f *fault) MaybeError(op errorfs.Op) error {
	isRead := op.Kind.ReadOrWrite() != errorfs.OpIsWrite
	if f.over.Load() || isRead != f.reads || f.only != nil && !f.only(op) {
		return nil
	}
	if n := f.seen.Add(1); n == f.n || f.onward && n > f.n {
		return f.err
	}
	return nil
}

// TestFaults lets every change to the disk fail in turn, then cuts the power. No
// acknowledged version may be lost, whatever fails, and nothing may panic.
func TestFaults(t *testing.T) {
	none := &fault{n: 1 << 60}
	moved := runWithFault(t, none)
	changes := none.seen.Load()
	t.Logf("%d changes", changes)
	if changes < 100 || moved == 0 {
		t.Fatalf("only %d changes were seen and %d bytes moved: the test has lost its aim", changes, moved)
	}
	for _, err := range []error{errorfs.ErrInjected, syscall.ENOSPC} {
		for _, onward := range []bool{false, true} {
			for n := int64(1); n <= changes; n += 17 {
				f := &fault{n: n, onward: onward, err: err}
				t.Run(f.String(), func(t *testing.T) { runWithFault(t, f) })
			}
		}
	}
}

// TestReadFaults lets opens and reads fail.
func TestReadFaults(t *testing.T) {
	none := &fault{n: 1 << 60, reads: true}
	runWithFault(t, none)
	reads := none.seen.Load()
	if reads < 30 {
		t.Fatalf("only %d reads were seen: the test has lost its aim", reads)
	}
	for _, onward := range []bool{false, true} {
		for n := int64(1); n <= reads; n += 3 {
			f := &fault{n: n, onward: onward, reads: true, err: errorfs.ErrInjected}
			t.Run(f.String(), func(t *testing.T) { runWithFault(t, f) })
		}
	}
}

// TestFaultsAtStart lets every change that a start makes fail in turn, and every
// read outside the index: Pebble panics when some of its own fail as it opens. The
// next start finds what was there before.
func TestFaultsAtStart(t *testing.T) {
	fs, h := vfs.NewCrashableMem(), newHistory()
	workUntilFault(t, fs, h)
	random := rand.New(rand.NewPCG(8, 8))
	for _, reads := range []bool{false, true} {
		for _, onward := range []bool{false, true} {
			for n := int64(1); ; n++ {
				c := cutPower(fs, h, random)
				f := &fault{n: n, onward: onward, reads: reads, err: syscall.ENOSPC, only: func(op errorfs.Op) bool {
					return !reads || !strings.Contains(op.Path, "index")
				}}
				e, err := Open(crowded(errorfs.Wrap(c.fs, f)))
				if err == nil {
					e.Close()
				}
				f.over.Store(true)
				left := crash{c.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: random}), c.possible}
				verifyCrash(t, left)
				if f.seen.Load() < n || t.Failed() {
					t.Logf("%d operations (reads: %v)", n, reads)
					break
				}
			}
		}
	}
}

// runWithFault returns how many bytes compaction has moved.
func runWithFault(t *testing.T, f *fault) (moved int64) {
	fs, h := vfs.NewCrashableMem(), newHistory()
	moved = workUntilFault(t, errorfs.Wrap(fs, f), h)
	c := cutPower(fs, h, rand.New(rand.NewPCG(uint64(f.n), 3)))
	e := mustOpen(t, small(c.fs, "/data"))
	defer e.Close()
	verify(t, e, c.possible)
	return moved
}

// workUntilFault does the same things every time, going on after failures. What
// fails must fail with a kind that says so.
func workUntilFault(t *testing.T, fs vfs.FS, h *history) (moved int64) {
	e, err := Open(crowded(fs))
	if err != nil {
		return 0
	}
	defer e.Close()
	if err := e.CreateContainer(t.Context(), testContainer(), 0); err != nil {
		wantFailure(t, err)
		return 0
	}
	random := rand.New(rand.NewPCG(7, 7))
	for i := range 60 {
		if err := h.step(t.Context(), e, "w", random); err != nil {
			wantFailure(t, err)
		}
		if i%6 == 5 {
			if err := e.compactor.pass(t.Context()); err != nil && !errors.Is(err, errorfs.ErrInjected) && !isFull(err) {
				t.Errorf("compaction on a failing disk: %v", err)
			}
		}
	}
	return e.Stats().MovedBytes
}

// wantFailure: a failure is classified. No room is told from other failures.
func wantFailure(t *testing.T, err error) {
	t.Helper()
	var classified *mediastore.Error
	if !errors.As(err, &classified) || classified.Op == "" || classified.Kind != mediastore.KindInternal && (classified.Kind != mediastore.KindStorageFull || !isFull(err)) {
		t.Errorf("a failing disk was answered with %v", err)
	}
}

// TestFullDisk: no room is answered as such, in the volumes and in the index.
func TestFullDisk(t *testing.T) {
	for name, only := range map[string]func(errorfs.Op) bool{
		"volumes":   func(op errorfs.Op) bool { return strings.HasSuffix(op.Path, ".vol") },
		"index log": func(op errorfs.Op) bool { return strings.HasSuffix(op.Path, ".log") },
	} {
		t.Run(name, func(t *testing.T) {
			full := &fault{n: 1 << 60, onward: true, err: syscall.ENOSPC, only: only}
			e := mustOpen(t, small(errorfs.Wrap(vfs.NewMem(), full), "/data"))
			defer e.Close()
			if err := e.CreateContainer(t.Context(), testContainer(), 0); err != nil {
				t.Fatal(err)
			}
			full.seen.Store(full.n)
			h, random := newHistory(), rand.New(rand.NewPCG(1, 2))
			for range 5 {
				err := h.put(t.Context(), e, "a", version{seed: 1, size: 100_000}, random)
				if !mediastore.IsKind(err, mediastore.KindStorageFull) {
					t.Errorf("a put on a full disk was answered with %v", err)
				}
			}
		})
	}
}

// TestFullDiskOfTables: when only the tables of the index cannot be written, puts
// are refused rather than left hanging, and accepted again when there is room.
func TestFullDiskOfTables(t *testing.T) {
	full := &fault{onward: true, err: syscall.ENOSPC, only: func(op errorfs.Op) bool { return strings.HasSuffix(op.Path, ".sst") }}
	e := mustOpen(t, small(errorfs.Wrap(vfs.NewMem(), full), "/data"))
	defer e.Close()
	var err error
	for i := 0; err == nil && i < 100; i++ {
		err = tryPut(t.Context(), e, mediastore.Path(fmt.Sprint(i)), 30_000)
	}
	if !mediastore.IsKind(err, mediastore.KindStorageFull) {
		t.Fatalf("puts beyond what memory may hold were answered with %v", err)
	}
	full.over.Store(true) // there is room again
	for tryPut(t.Context(), e, "after", 30_000) != nil {
		time.Sleep(failureDelay)
	}
	if err := e.check(true); err != nil {
		t.Error(err)
	}
}

// TestFailedDeleteKeepsTheVolume: a volume goes only once it is certain that the
// index has forgotten it.
func TestFailedDeleteKeepsTheVolume(t *testing.T) {
	broken := &fault{n: 1, onward: true, err: syscall.EIO, only: func(op errorfs.Op) bool { return strings.HasSuffix(op.Path, ".log") }}
	broken.over.Store(true)
	fs := vfs.NewMem()
	e := mustOpen(t, small(errorfs.Wrap(fs, broken), "/data"))
	defer e.Close()
	mustPut(t, e, "a", 900_000)
	mustPut(t, e, "b", 900_000) // seals the volume of a
	broken.over.Store(false)
	if _, err := e.DeleteObject(t.Context(), testID, "a", mediastore.Precondition{}); err == nil {
		t.Error("a delete was acknowledged that is not in the log")
	}
	events, err := e.ReadEvents(t.Context(), 0, 10)
	if err != nil || len(events) != 3 || events[2].Kind != event.ObjectUpdated {
		t.Errorf("of a container, two puts and a failed delete there are the events %+v, %v", events, err)
	}
	e.volumes.removals.Wait()
	if got := strings.Join(volumeFiles(t, fs), " "); got != "00000000.vol 00000001.vol" {
		t.Errorf("left are %s", got)
	}
}

// TestReserve: uploads leave room for the index, deletes go on.
func TestReserve(t *testing.T) {
	fs := vfs.NewMem()
	o := small(fs, "/data")
	o.ReserveSpace = 1000
	e := mustOpen(t, o)
	defer e.Close()
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1000})
	mustPut(t, e, "a", 10)
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 999})
	if _, err := e.NewUpload(t.Context(), testID, engine.UploadSpec{Path: "b", Size: 1}); !mediastore.IsKind(err, mediastore.KindStorageFull) {
		t.Errorf("an upload into the reserve was answered with %v", err)
	}
	if _, err := e.DeleteObject(t.Context(), testID, "a", mediastore.Precondition{}); err != nil {
		t.Errorf("a delete on a full disk: %v", err)
	}
}

// lyingFS behaves as kernels do: after a sync of a volume has failed the bytes
// are gone, and the next sync of it is a success all the same.
type lyingFS struct {
	vfs.FS
	fail atomic.Bool // the next sync of the first volume
}

type lyingFile struct {
	vfs.File
	fs    *lyingFS
	first bool
	bad   bool
}

func (fs *lyingFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.FS.OpenReadWrite(name, category, opts...)
	return &lyingFile{File: f, fs: fs, first: strings.HasSuffix(name, volumeID(0).fileName())}, err
}

func (f *lyingFile) SyncData() error {
	if f.first && f.fs.fail.CompareAndSwap(true, false) {
		f.bad = true
		return syscall.EIO
	}
	if f.bad {
		return nil
	}
	return f.File.SyncData()
}

func TestFailedSyncIsNotTrustedAgain(t *testing.T) {
	mem, h := vfs.NewCrashableMem(), newHistory()
	fs := &lyingFS{FS: mem}
	e := mustOpen(t, small(fs, "/data"))
	defer e.Close()
	mustPut(t, e, "first", 50_000)
	// An upload that has written before the failure and commits after it.
	u, err := e.NewUpload(t.Context(), testID, engine.UploadSpec{Path: "during", Size: 50_000})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if _, err := u.Write(version{seed: 5, size: 50_000}.body()); err != nil {
		t.Fatal(err)
	}
	fs.fail.Store(true)
	random := rand.New(rand.NewPCG(1, 6))
	for i := range 20 {
		path := mediastore.Path(fmt.Sprint("w/", i))
		if err := h.put(t.Context(), e, path, version{seed: uint64(i), size: 50_000}, random); err != nil && i > 3 {
			t.Errorf("put %d: %v: a new volume should have taken it", i, err)
		}
	}
	if fs.fail.Load() {
		t.Error("no sync has failed")
	}
	if err := u.Commit(t.Context(), mediastore.Object{ETag: "5-50000"}, mediastore.Precondition{}); err == nil {
		t.Error("an upload whose bytes may be gone was committed")
	}
	c := cutPower(mem, h, rand.New(rand.NewPCG(0, 0)))
	reopened := mustOpen(t, small(c.fs, "/data"))
	defer reopened.Close()
	verify(t, reopened, c.possible)
}

// TestDamage flips one byte in a volume: a read must fail and say where, and
// never hand out other bytes.
func TestDamage(t *testing.T) {
	for _, at := range []int64{0, 70_000, 149_999, 150_000} { // the last one is in the table
		fs := vfs.NewMem()
		e := mustOpen(t, small(fs, "/data"))
		defer e.Close()
		mustPut(t, e, "folder/object", 150_000)
		flip(t, fs, "/data/volumes/00000000.vol", at)
		r, err := e.OpenObject(t.Context(), testID, "folder/object")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		_, err = r.ReadAt(make([]byte, 150_000), 0)
		if !mediastore.IsKind(err, mediastore.KindInternal) || !strings.Contains(err.Error(), "folder/object") || !strings.Contains(err.Error(), "00000000.vol") {
			t.Errorf("a damaged byte at %d was answered with %v", at, err)
		}
		if e.check(true) == nil {
			t.Errorf("check has not found the damaged byte at %d", at)
		}
		if _, err := r.ReadAt(make([]byte, 10), 140_000); (err == nil) != (at < 131_072) {
			t.Errorf("with a damaged byte at %d, a read of the last block was answered with %v", at, err)
		}
	}
}

func flip(t *testing.T, fs vfs.FS, name string, at int64) {
	t.Helper()
	f, err := fs.OpenReadWrite(name, writeCategory)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

// TestFailedPutKeepsItsBytes: when it is open whether a version is in the index's
// log, its bytes stay, in a volume that is still written and in a sealed one.
func TestFailedPutKeepsItsBytes(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		broken := &fault{n: 1, err: syscall.EIO, only: func(op errorfs.Op) bool {
			isSync := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
			return isSync && strings.HasSuffix(op.Path, ".log")
		}}
		broken.over.Store(true)
		fs := vfs.NewMem()
		e := mustOpen(t, unhurried(errorfs.Wrap(fs, broken)))
		if err := e.CreateContainer(t.Context(), testContainer(), 0); err != nil {
			t.Fatal(err)
		}
		v := version{seed: 3, size: 900_000}
		u, err := e.NewUpload(t.Context(), testID, engine.UploadSpec{Path: "a", Size: 900_000})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.Write(v.body()); err != nil {
			t.Fatal(err)
		}
		if sealed {
			mustPut(t, e, "b", 900_000)
		}
		broken.over.Store(false)
		if err := u.Commit(t.Context(), mediastore.Object{ETag: v.etag()}, mediastore.Precondition{}); err == nil {
			t.Error("a put was acknowledged whose place in the log is not durable")
		}
		if err := errors.Join(u.Close(), e.Close()); err != nil {
			t.Log(err)
		}
		e = mustOpen(t, unhurried(fs)) // as after kill -9: what was written is there
		verify(t, e, map[mediastore.Path][]version{"a": {v, {absent: true}}})
		if _, err := e.StatObject(t.Context(), testID, "a"); err != nil {
			t.Errorf("the put is not in the log: the test has lost its aim (%v)", err)
		}
		e.Close()
	}
}
