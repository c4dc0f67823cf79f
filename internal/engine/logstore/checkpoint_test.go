package logstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"headwater/internal/engine"
	"headwater/internal/mediastore"
)

// checkpointed is a copy of a store and what may be in it.
type checkpointed struct {
	dir      string
	possible map[mediastore.Path][]version
}

// takeCheckpoint promises what was acknowledged before the call; what had not
// begun when it returned is impossible.
func takeCheckpoint(ctx context.Context, e *Engine, h *history, dir string) (checkpointed, error) {
	promised := h.acked()
	err := e.Checkpoint(ctx, dir)
	return checkpointed{dir, h.possible(promised)}, err
}

// TestCheckpointUnderLoad takes checkpoints while writers put, replace, delete and
// archive, and what expires is swept. Each must be a whole store, also after its
// original went on, and a power cut must not harm it.
func TestCheckpointUnderLoad(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			disk := vfs.NewCrashableMem()
			e, h := mustOpen(t, small(disk, "/data")), newHistory()
			if err := e.CreateContainer(t.Context(), testContainer(), 0); err != nil {
				t.Fatal(err)
			}
			taken := checkpointsUnderLoad(t, e, h, seed)
			if err := e.check(true); err != nil {
				t.Error(err)
			}
			if err := e.Close(); err != nil {
				t.Error(err)
			}
			left := disk.CrashClone(vfs.CrashCloneCfg{})
			for _, c := range taken {
				verifyCheckpoint(t, left, c)
			}
		})
	}
}

func checkpointsUnderLoad(t *testing.T, e *Engine, h *history, seed uint64) (taken []checkpointed) {
	t.Helper()
	var writers sync.WaitGroup
	var ended atomic.Bool
	for writer := range 5 {
		writers.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(writer)))
			for !ended.Load() {
				if err := h.step(t.Context(), e, fmt.Sprint("w", writer), random); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 6 {
		c, err := takeCheckpoint(t.Context(), e, h, fmt.Sprint("/copies/", i))
		if err != nil {
			t.Error(err)
		}
		taken = append(taken, c)
	}
	ended.Store(true)
	writers.Wait()
	return taken
}

// verifyCheckpoint opens a checkpoint and holds it against what may be in it.
func verifyCheckpoint(t *testing.T, fsys vfs.FS, c checkpointed) {
	t.Helper()
	e := mustOpen(t, small(fsys, c.dir))
	defer e.Close()
	verify(t, e, c.possible)
	mustPut(t, e, "after/it", 100_000)
	if err := e.check(true); err != nil {
		t.Error(err)
	}
}

// TestCheckpointWhileObjectsExpire: volumes die all the time, and one that the copy
// names must not be gone before it is linked.
func TestCheckpointWhileObjectsExpire(t *testing.T) {
	disk := vfs.NewMem()
	e := mustOpen(t, small(disk, "/data"))
	defer e.Close()
	if err := e.CreateContainer(t.Context(), testContainer(), 0); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var churn sync.WaitGroup
	churn.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			expires := testEpoch.Add(time.Duration(i) * shelfPeriod * time.Second) // each on a shelf of its own
			if err := putExpiring(e, mediastore.Path(fmt.Sprint("s/", i)), expires); err != nil {
				t.Error(err)
				return
			}
			if _, err := e.DeleteObject(t.Context(), testID, mediastore.Path(fmt.Sprint("s/", i-1)), mediastore.Precondition{}); err != nil && i > 0 {
				t.Error(err)
			}
		}
	})
	for i := range 20 {
		if err := e.Checkpoint(t.Context(), fmt.Sprint("/copies/", i)); err != nil {
			t.Error(err)
		}
	}
	stop()
	churn.Wait()
	for i := range 20 {
		verifyCheckpoint(t, disk, checkpointed{dir: fmt.Sprint("/copies/", i)})
	}
	e.volumes.removals.Wait()
	if n := len(volumeFiles(t, disk)); n > 3 {
		t.Errorf("%d volumes are left: those that died meanwhile were not removed", n)
	}
}

func putExpiring(e *Engine, path mediastore.Path, expires time.Time) error {
	u, err := e.NewUpload(context.Background(), testID, engine.UploadSpec{Path: path, Size: 100_000, ExpiresAt: expires})
	if err != nil {
		return err
	}
	defer u.Close()
	v := version{seed: 1, size: 100_000}
	if _, err := u.Write(v.body()); err != nil {
		return err
	}
	return u.Commit(context.Background(), mediastore.Object{ETag: v.etag(), ExpiresAt: expires}, mediastore.Precondition{})
}

// TestCheckpointDoesNotChange: an upload that was under way goes on in the store and
// not in the copy; volumes that nobody writes to are shared.
func TestCheckpointDoesNotChange(t *testing.T) {
	root := t.TempDir()
	e := mustOpen(t, Options{Dir: root + "/data", ReserveSpace: -1})
	defer e.Close()
	mustPut(t, e, "a", 100_000)
	u, err := e.NewUpload(t.Context(), testID, engine.UploadSpec{Path: "b", Size: 1_000_000, ExpiresAt: testEpoch})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	write := func() {
		if _, err := u.Write(make([]byte, 300_000)); err != nil {
			t.Fatal(err)
		}
	}
	write()
	if err := e.Checkpoint(t.Context(), root+"/copy"); err != nil {
		t.Fatal(err)
	}
	write()
	mustPut(t, e, "c", 100_000)
	size := func(name string) (os.FileInfo, int64) {
		info, err := os.Stat(root + name)
		if err != nil {
			t.Fatal(err)
		}
		return info, info.Size()
	}
	if _, n := size("/copy/volumes/00000001.vol"); n != 300_000 {
		t.Errorf("the upload's volume has %d bytes in the copy", n)
	}
	original, _ := size("/data/volumes/00000000.vol")
	if linked, n := size("/copy/volumes/00000000.vol"); !os.SameFile(original, linked) || n != 100_000+2*sumSize {
		t.Errorf("the volume that is written no more is a copy, or was written: %d bytes", n)
	}
}

func TestCheckpointNeedsANewDirectory(t *testing.T) {
	disk := vfs.NewMem()
	e := mustOpen(t, small(disk, "/data"))
	defer e.Close()
	if err := errors.Join(disk.MkdirAll("/there", 0o755), writeSynced(disk, "/there/file", "x")); err != nil {
		t.Fatal(err)
	}
	if err := e.Checkpoint(t.Context(), "/there"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("into a directory that exists: %v", err)
	}
	if got, err := readSmall(disk, "/there/file"); got != "x" {
		t.Errorf("what was there is gone: %v", err)
	}
}

// TestFailedCheckpoint: one that fails leaves nothing, and the store goes on; that
// the copy cannot be written is no failure of the store's own files.
func TestFailedCheckpoint(t *testing.T) {
	disk := vfs.NewMem()
	var armed atomic.Bool
	var countdown atomic.Int64
	injector := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !armed.Load() || op.Kind.ReadOrWrite() != errorfs.OpIsWrite || len(op.Path) < 5 || op.Path[:5] != "/copy" ||
			op.Kind == errorfs.OpRemove || op.Kind == errorfs.OpRemoveAll || countdown.Add(-1) != 0 {
			return nil
		}
		return &fs.PathError{Op: "write", Path: op.Path, Err: syscall.ENOSPC}
	})
	e := mustOpen(t, small(errorfs.Wrap(disk, injector), "/data"))
	defer e.Close()
	mustPut(t, e, "a", 100_000)
	armed.Store(true)
	failures := 0
	for n := int64(1); ; n++ {
		countdown.Store(n)
		err := e.Checkpoint(t.Context(), "/copy")
		if countdown.Load() > 0 { // fewer writes than that
			if err != nil {
				t.Errorf("without a fault: %v", err)
			}
			break
		}
		if err == nil {
			continue // what failed was of no consequence, such as allocating ahead
		}
		failures++
		if _, statErr := disk.Stat("/copy/FORMAT"); statErr == nil {
			t.Errorf("fault %d: a copy is left that looks whole", n)
		}
		if e.index.fuse.blown() {
			t.Fatalf("fault %d: the store failed with the copy: %v", n, err)
		}
		if err := disk.RemoveAll("/copy"); err != nil {
			t.Fatal(err)
		}
		mustPut(t, e, "a", 100_000)
	}
	if failures < 10 {
		t.Errorf("only %d faults were felt", failures)
	}
	if err := e.check(true); err != nil {
		t.Error(err)
	}
}

// TestCheckpointLeavesRoom: it does not take the room that the index needs.
func TestCheckpointLeavesRoom(t *testing.T) {
	o := small(vfs.NewMem(), "/data")
	e := mustOpen(t, o)
	defer e.Close()
	e.options.FS = fullDisk{o.FS}
	if err := e.Checkpoint(t.Context(), "/copy"); !mediastore.IsKind(err, mediastore.KindStorageFull) {
		t.Errorf("on a full disk: %v", err)
	}
}

// fullDisk is a file system with a little less room than is kept in reserve.
type fullDisk struct{ vfs.FS }

func (fullDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: 128<<20 - 1}, nil
}

func TestCheckpointIsCancelled(t *testing.T) {
	disk := vfs.NewMem()
	e := mustOpen(t, small(disk, "/data"))
	defer e.Close()
	mustPut(t, e, "a", 100_000)
	ctx := &endsLater{Context: t.Context()}
	if err := e.Checkpoint(ctx, "/copy"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := disk.Stat("/copy"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something is left: %v", err)
	}
}

// endsLater is a context that has ended when it is looked at for the second time.
type endsLater struct {
	context.Context
	looks atomic.Int64
}

func (c *endsLater) Err() error {
	if c.looks.Add(1) > 1 {
		return context.Canceled
	}
	return nil
}
