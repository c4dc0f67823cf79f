package logstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headwater/internal/engine"
	"headwater/internal/mediastore"
)

func volumeFiles(t *testing.T, fs vfs.FS) []string {
	t.Helper()
	names, err := fs.List("/data/volumes")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func mustDelete(t *testing.T, e *Engine, path mediastore.Path) {
	t.Helper()
	if _, err := e.DeleteObject(t.Context(), testID, path, mediastore.Precondition{}); err != nil {
		t.Fatal(err)
	}
}

func TestReopen(t *testing.T) {
	fs := vfs.NewMem()
	e := mustOpen(t, small(fs, "/data"))
	for _, size := range []int{0, 10, 32 << 10, 100_000, 3_000_000} {
		mustPut(t, e, mediastore.Path(fmt.Sprint("f/", size)), size)
	}
	mustPut(t, e, "gone/a", 100_000)
	mustDelete(t, e, "gone/a")
	possible := make(map[mediastore.Path][]version)
	for _, size := range []int{0, 10, 32 << 10, 100_000, 3_000_000} {
		path := fmt.Sprint("f/", size)
		possible[mediastore.Path(path)] = []version{{seed: uint64(len(path)), size: size}}
	}
	possible["gone/a"] = []version{{absent: true}}
	for range 3 {
		verify(t, e, possible)
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		e = mustOpen(t, small(fs, "/data"))
	}
	defer e.Close()
	c, err := e.ContainerByID(t.Context(), testID)
	if err != nil || c.Name != "movies" {
		t.Errorf("ContainerByID = %+v, %v", c, err)
	}
	items, _, err := e.ListItems(t.Context(), testID, "", engine.Position{}, 10)
	if err != nil || len(items) != 1 || items[0].Name != "f" {
		t.Errorf("ListItems = %+v, %v", items, err)
	}
}

// TestDeadVolumesGo: a sealed volume without a live byte is removed, but not
// from under a reader.
func TestDeadVolumesGo(t *testing.T) {
	fs := vfs.NewMem()
	e := mustOpen(t, small(fs, "/data"))
	for i := range 4 { // each volume holds two
		mustPut(t, e, mediastore.Path(fmt.Sprint(i)), 500_000)
	}
	r, err := e.OpenObject(t.Context(), testID, "0")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		mustDelete(t, e, mediastore.Path(fmt.Sprint(i)))
	}
	e.volumes.removals.Wait()
	if got := volumeFiles(t, fs); !slices.Contains(got, "00000000.vol") {
		t.Errorf("the volume of an open reader is gone: %v", got)
	}
	body, err := io.ReadAll(io.NewSectionReader(r, 0, 500_000))
	if err != nil || !bytes.Equal(body, version{seed: 1, size: 500_000}.body()) {
		t.Errorf("the reader has lost its version: %v", err)
	}
	r.Close()
	mustPut(t, e, "after", 500_000) // seals the last of the dead volumes
	mustPut(t, e, "after too", 500_000)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(volumeFiles(t, fs), " "); got != "00000002.vol" {
		t.Errorf("left are %v, want the one volume with live bytes", got)
	}
}

// TestOpenRemovesOrphans: files that the index does not name go, others stay,
// and their numbers are not given away.
func TestOpenRemovesOrphans(t *testing.T) {
	fs := vfs.NewMem()
	e := mustOpen(t, small(fs, "/data"))
	mustPut(t, e, "a", 100_000)
	u, err := e.NewUpload(t.Context(), testID, engine.UploadSpec{Path: "b", Size: 100_000, ExpiresAt: testEpoch})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil { // with the upload open: its volume stays
		t.Fatal(err)
	}
	if err := writeSynced(fs, "/data/volumes/notes.txt", "not ours"); err != nil {
		t.Fatal(err)
	}
	if got := volumeFiles(t, fs); len(got) != 3 {
		t.Fatalf("before: %v", got)
	}
	e = mustOpen(t, small(fs, "/data"))
	defer e.Close()
	if got := strings.Join(volumeFiles(t, fs), " "); got != "00000000.vol notes.txt" {
		t.Errorf("after: %v", got)
	}
	mustPut(t, e, "c", 100_000)
	verify(t, e, map[mediastore.Path][]version{"a": {{seed: 1, size: 100_000}}, "c": {{seed: 1, size: 100_000}}})
}

// TestAbortedUploadGivesBack: what lies last in a volume is used again.
func TestAbortedUploadGivesBack(t *testing.T) {
	fs := vfs.NewMem()
	e := mustOpen(t, small(fs, "/data"))
	defer e.Close()
	mustPut(t, e, "a", 100_000)
	for range 100 {
		u, err := e.NewUpload(t.Context(), testID, engine.UploadSpec{Path: "b", Size: 500_000})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.Write(make([]byte, 300_000)); err != nil {
			t.Fatal(err)
		}
		if err := u.Close(); err != nil {
			t.Fatal(err)
		}
	}
	mustPut(t, e, "c", 100_000)
	if got := volumeFiles(t, fs); len(got) != 1 {
		t.Errorf("aborted uploads have used up %v", got)
	}
	verify(t, e, map[mediastore.Path][]version{"a": {{seed: 1, size: 100_000}}, "c": {{seed: 1, size: 100_000}}})
}

// TestUploadOfWrongSize: the announced size is only a hint.
func TestUploadOfWrongSize(t *testing.T) {
	e := mustOpen(t, small(vfs.NewMem(), "/data"))
	defer e.Close()
	mustPut(t, e, "a", 1)
	for _, announced := range []int64{-1, 0, 10, 40_000, 150_000, 10_000_000} {
		for _, size := range []int{0, 1, 35_000, 200_000} {
			v := version{seed: 9, size: size}
			u, err := e.NewUpload(t.Context(), testID, engine.UploadSpec{Path: "p", Size: announced})
			if err != nil {
				t.Fatal(err)
			}
			for rest := v.body(); ; {
				n := min(len(rest), 30_000)
				if _, err := u.Write(rest[:n]); err != nil {
					t.Fatal(err)
				}
				if rest = rest[n:]; len(rest) == 0 {
					break
				}
			}
			if err := u.Commit(t.Context(), mediastore.Object{ETag: v.etag()}, mediastore.Precondition{}); err != nil {
				t.Fatalf("%d bytes instead of %d: %v", size, announced, err)
			}
			u.Close()
			verify(t, e, map[mediastore.Path][]version{"p": {v}})
		}
	}
}

func TestDirectoryIsLocked(t *testing.T) {
	for name, o := range map[string]Options{
		"memory": small(vfs.NewMem(), "/data"),
		"disk":   {Dir: t.TempDir() + "/deep/data"},
	} {
		e := mustOpen(t, o)
		_, err := Open(o)
		if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "is in use by another headwater process") {
			t.Errorf("%s: the second Open returned %v", name, err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if err := mustOpen(t, o).Close(); err != nil {
			t.Errorf("%s: the lock outlives Close: %v", name, err)
		}
	}
}

func TestForeignFormat(t *testing.T) {
	fs := vfs.NewMem()
	o := small(fs, "/data")
	if err := mustOpen(t, o).Close(); err != nil {
		t.Fatal(err)
	}
	if err := writeSynced(fs, "/data/FORMAT", "headwater logstore 3\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(o); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "headwater logstore 3") {
		t.Errorf("a future format was answered with %v", err)
	}
	if err := fs.Remove("/data/FORMAT"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(o); !errors.Is(err, ErrFormat) {
		t.Errorf("an index without a format was answered with %v", err)
	}
}

// TestCheckFindsContradictions breaks the index in every way that check knows.
func TestCheckFindsContradictions(t *testing.T) {
	c := testContainer()
	c.ID = "bbbbbbbbbbbbbb"
	for name, damage := range map[string]struct{ key, value []byte }{
		"count of a folder": {countKey(testID, "f"), encodeCount(7)},
		"count of the root": {countKey(testID, ""), encodeCount(7)},
		"empty folder":      {countKey(testID, "ghost"), encodeCount(1)},
		"root of nothing":   {countKey("cccccccccccccc", ""), encodeCount(1)},
		"object of nothing": {objectKey("cccccccccccccc", "a"), (&objectRecord{}).encode()},
		"damaged record":    {objectKey(testID, "f/a"), []byte("?")},
		"live bytes":        {volumeKey(0), volumeRecord{live: 5}.encode()},
		"missing volume":    {volumeKey(77), volumeRecord{live: 5}.encode()},
		"ID of nothing":     {idKey("cccccccccccccc"), owner{name: "none"}.encode()},
		"stale status":      {idKey(testID), owner{mediastore.StatusDeleting, testAccount, "movies"}.encode()},
		"container":         {containerKey(testAccount, "other"), encodeContainer(&c)},
		"overlap": {objectKey(testID, "f/b"), (&objectRecord{
			object: mediastore.Object{Size: 10}, extents: []extent{{0, 0, 10, 0}},
		}).encode()},
	} {
		e := mustOpen(t, small(vfs.NewMem(), "/data"))
		mustPut(t, e, "f/a", 100_000)
		mustPut(t, e, "f/b", 100)
		if err := e.check(true); err != nil {
			t.Fatal(err)
		}
		if err := e.index.Set(damage.key, damage.value, nil); err != nil {
			t.Fatal(err)
		}
		if e.check(false) == nil {
			t.Errorf("%s: check has not found it", name)
		}
		e.Close()
	}
}

// TestCloseFailsOpenHandles: after Close readers and uploads fail, and do not
// crash.
func TestCloseFailsOpenHandles(t *testing.T) {
	e := mustOpen(t, small(vfs.NewMem(), "/data"))
	mustPut(t, e, "a", 100_000)
	r, err := e.OpenObject(t.Context(), testID, "a")
	if err != nil {
		t.Fatal(err)
	}
	u, err := e.NewUpload(t.Context(), testID, engine.UploadSpec{Path: "b", Size: 100_000})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	_, readErr := r.ReadAt(make([]byte, 1), 0)
	_, writeErr := u.Write([]byte("y"))
	_, peekErr := u.ReadAt(make([]byte, 1), 0)
	for _, err := range []error{readErr, writeErr, peekErr, u.Commit(t.Context(), mediastore.Object{}, mediastore.Precondition{})} {
		if !mediastore.IsKind(err, mediastore.KindUnavailable) {
			t.Errorf("after Close: %v", err)
		}
	}
	if err := errors.Join(r.Close(), u.Close(), e.Close()); err != nil {
		t.Error(err)
	}
}

// TestFilesOnDisk pins the names in a data directory: documentation and tools
// refer to them.
func TestFilesOnDisk(t *testing.T) {
	dir := t.TempDir()
	e := mustOpen(t, Options{Dir: dir, ReserveSpace: -1})
	mustPut(t, e, "a", 100_000)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if got := strings.Join(names, " "); got != "FORMAT LOCK index volumes" {
		t.Errorf("the data directory holds %s", got)
	}
	info, err := os.Stat(dir + "/volumes/00000000.vol")
	if err != nil || info.Size() != 100_000+2*sumSize {
		t.Errorf("the volume: %v, %v", info, err)
	}
}
