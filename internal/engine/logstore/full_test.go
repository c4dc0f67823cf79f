package logstore

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headwater/internal/engine"
	"headwater/internal/mediastore"
)

// quotaFS is a disk of a size. What is written takes room, and what is removed
// gives it back.
type quotaFS struct {
	vfs.FS
	mu struct {
		sync.Mutex
		capacity, used int64
		sizes          map[string]int64
	}
}

func newQuotaFS(fs vfs.FS, capacity int64) *quotaFS {
	q := &quotaFS{FS: fs}
	q.mu.capacity, q.mu.sizes = capacity, make(map[string]int64)
	return q
}

// grow makes a file at least so large.
func (q *quotaFS) grow(name string, size int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	more := size - q.mu.sizes[name]
	if more <= 0 {
		return nil
	}
	if q.mu.used+more > q.mu.capacity {
		return syscall.ENOSPC
	}
	q.mu.used += more
	q.mu.sizes[name] = size
	return nil
}

func (q *quotaFS) free(name string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mu.used -= q.mu.sizes[name]
	delete(q.mu.sizes, name)
}

// resize changes the disk's size to what is used and so much more.
func (q *quotaFS) resize(more int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mu.capacity = q.mu.used + more
}

func (q *quotaFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return vfs.DiskUsage{AvailBytes: uint64(q.mu.capacity - q.mu.used), TotalBytes: uint64(q.mu.capacity)}, nil
}

func (q *quotaFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := q.FS.Create(name, category)
	if err == nil {
		q.free(name)
	}
	return &quotaFile{File: f, fs: q, name: name}, err
}

func (q *quotaFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := q.FS.OpenReadWrite(name, category, opts...)
	return &quotaFile{File: f, fs: q, name: name}, err
}

func (q *quotaFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := q.Rename(oldname, newname); err != nil {
		return nil, err
	}
	return q.OpenReadWrite(newname, category)
}

func (q *quotaFS) Rename(oldname, newname string) error {
	err := q.FS.Rename(oldname, newname)
	if err == nil {
		q.free(newname)
		q.mu.Lock()
		defer q.mu.Unlock()
		q.mu.sizes[newname] = q.mu.sizes[oldname]
		delete(q.mu.sizes, oldname)
	}
	return err
}

func (q *quotaFS) Remove(name string) error {
	err := q.FS.Remove(name)
	if err == nil {
		q.free(name)
	}
	return err
}

type quotaFile struct {
	vfs.File
	fs   *quotaFS
	name string
	at   int64
}

// Write writes what there is room for, as a disk does.
func (f *quotaFile) Write(p []byte) (int, error) {
	err := f.fs.grow(f.name, f.at+int64(len(p)))
	if err != nil {
		p = p[:len(p)/2]
		if f.fs.grow(f.name, f.at+int64(len(p))) != nil {
			return 0, err
		}
	}
	n, writeErr := f.File.Write(p)
	f.at += int64(n)
	if writeErr != nil {
		err = writeErr
	}
	return n, err
}

func (f *quotaFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fs.grow(f.name, off+int64(len(p))); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

func (f *quotaFile) Preallocate(off, length int64) error { return f.fs.grow(f.name, off+length) }

func reserved(fs vfs.FS) Options {
	o := unhurried(fs)
	o.ReserveSpace = 1 << 20
	return o
}

// fillDisk puts until there is no room, and returns what was acknowledged.
func fillDisk(t *testing.T, e *Engine, h *history, prefix string, size int) (paths []mediastore.Path) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 1000 {
		path := mediastore.Path(fmt.Sprintf("%s/%03d", prefix, i))
		err := h.put(t.Context(), e, path, version{seed: uint64(i), size: size}, random)
		if mediastore.IsKind(err, mediastore.KindStorageFull) {
			return paths
		}
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	t.Fatal("the disk is never full")
	return nil
}

// TestFullDiskComesBack fills a disk, deletes, and goes on: nothing is lost, and
// nothing has to be opened anew.
func TestFullDiskComesBack(t *testing.T) {
	mem, h := vfs.NewCrashableMem(), newHistory()
	e := mustOpen(t, reserved(newQuotaFS(mem, 12<<20)))
	defer func() { e.Close() }()
	if err := e.CreateContainer(t.Context(), testContainer(), 0); err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		paths := fillDisk(t, e, h, fmt.Sprint("r", round), 100_000)
		if len(paths) < 10 {
			t.Errorf("round %d: only %d objects were accepted", round, len(paths))
		}
		verify(t, e, h.possible(h.acked()))
		for i, path := range paths {
			if i%8 != 0 {
				if err := h.remove(t.Context(), e, path); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := e.compactor.pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		e.volumes.removals.Wait()
	}
	if e.Stats().Failed || e.Stats().MovedBytes == 0 {
		t.Errorf("%+v", e.Stats())
	}
	c := cutPower(mem, h, rand.New(rand.NewPCG(4, 4)))
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = mustOpen(t, reserved(c.fs))
	verify(t, e, c.possible)
}

// TestFullDiskByOthers: when somebody else fills the disk to the last byte,
// deletes have the reserve.
func TestFullDiskByOthers(t *testing.T) {
	mem, h := vfs.NewCrashableMem(), newHistory()
	fs := newQuotaFS(mem, 20<<20)
	o := reserved(fs)
	o.ReserveSpace = 4 << 20 // so much that also tables which happen to be written now find room in it
	e := mustOpen(t, o)
	defer e.Close()
	if err := e.CreateContainer(t.Context(), testContainer(), 0); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{100_000, 20_000} { // in volumes, and in the index
		fs.resize(10 << 20)
		paths := fillDisk(t, e, h, fmt.Sprint("of ", size), size)
		if !exists(fs, "/data/RESERVE") {
			t.Fatal("there is no reserve")
		}
		useReserve(t, e, fs)
		for _, path := range paths {
			if err := h.remove(t.Context(), e, path); err != nil {
				t.Fatal(err)
			}
		}
	}
	if e.Stats().Failed {
		t.Error("the index has failed")
	}
	verify(t, e, h.possible(h.acked()))
}

// useReserve leaves nothing of the disk, whatever the index gives back meanwhile,
// until its log needs the reserve.
func useReserve(t *testing.T, e *Engine, fs *quotaFS) {
	t.Helper()
	refused := false
	for i := 0; exists(fs, "/data/RESERVE"); i++ {
		fs.resize(0)
		if err := e.SetMark(t.Context(), "mark", make([]byte, 3000)); err != nil {
			t.Fatal(err)
		}
		refused = refused || mediastore.IsKind(tryPut(t.Context(), e, "more", 100_000), mediastore.KindStorageFull)
		if i > 10_000 {
			t.Fatal("the reserve is never needed")
		}
	}
	if !refused {
		t.Error("no put was refused on a full disk")
	}
}

func exists(fs vfs.FS, name string) bool {
	_, err := fs.Stat(name)
	return err == nil
}

// TestUploadsLeaveTheReserve: also one that began when there was room.
func TestUploadsLeaveTheReserve(t *testing.T) {
	fs := newQuotaFS(vfs.NewMem(), 100<<20)
	o := Options{Dir: "/data", FS: fs, ReserveSpace: 20 << 20, CompactionRate: -1, ScrubRate: -1, memTableSize: 64 << 10}
	e := mustOpen(t, o)
	defer e.Close()
	mustPut(t, e, "before", 100_000)
	u, err := e.NewUpload(t.Context(), testID, engine.UploadSpec{Path: "long", Size: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	for range 2000 {
		if _, err = u.Write(make([]byte, 64<<10)); err != nil {
			break
		}
	}
	usage, _ := fs.GetDiskUsage("")
	if !mediastore.IsKind(err, mediastore.KindStorageFull) || usage.AvailBytes < 20<<20-spaceInterval {
		t.Errorf("%d bytes are left, after %v", usage.AvailBytes, err)
	}
	if err := u.Close(); err != nil {
		t.Error(err)
	}
	mustDelete(t, e, "before")
	for range 100 {
		if usage, _ = fs.GetDiskUsage(""); usage.AvailBytes > 85<<20 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	mustPut(t, e, "after", 100_000)
}

// TestFullDiskInTheMiddle: the disk is full at any moment of a put, a flush or a
// compaction, without the store's knowing how full it is, and later it is not. When
// even the reserve is used up the index fails, and has to be opened anew.
func TestFullDiskInTheMiddle(t *testing.T) {
	for room := int64(0); room < 1_500_000; room += 190_000 {
		mem, h := vfs.NewCrashableMem(), newHistory()
		fs := newQuotaFS(mem, 1<<30)
		o := reserved(fs)
		o.VolumeSize = 256 << 10
		e := mustOpen(t, o)
		if err := e.CreateContainer(t.Context(), testContainer(), 0); err != nil {
			t.Fatal(err)
		}
		e.options.ReserveSpace = 0 // uploads are not refused
		fs.resize(room)
		random := rand.New(rand.NewPCG(uint64(room), 1))
		for i := range 60 {
			if err := h.step(t.Context(), e, "w", random); err != nil && !mediastore.IsKind(err, mediastore.KindStorageFull) {
				t.Errorf("room %d: %v", room, err)
			}
			if err := e.compactor.pass(t.Context()); err != nil && !isFull(err) {
				t.Errorf("room %d, step %d: compaction: %v", room, i, err)
			}
		}
		fs.resize(1 << 30)
		for i := 0; !e.Stats().Failed && h.put(t.Context(), e, "w/0/0", version{seed: 1, size: 30_000}, random) != nil; i++ {
			if i > 1000 {
				t.Fatalf("room %d: nothing is accepted although there is room", room)
			}
			time.Sleep(failureDelay)
		}
		if !e.Stats().Failed {
			verify(t, e, h.possible(h.acked()))
		}
		c := cutPower(mem, h, random)
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		e = mustOpen(t, reserved(c.fs))
		verify(t, e, c.possible)
		e.Close()
	}
}
