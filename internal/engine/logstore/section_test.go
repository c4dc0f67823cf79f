package logstore

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headwater/internal/engine"
	"headwater/internal/mediastore"
)

// withObject opens an engine with an object of several extents in it.
func withObject(t *testing.T, fs vfs.FS, dir string) (e *Engine, body []byte) {
	t.Helper()
	e = mustOpen(t, Options{Dir: dir, FS: fs, VolumeSize: 1 << 20, CompactionRate: -1, ScrubRate: -1})
	t.Cleanup(func() { e.Close() })
	if err := e.CreateContainer(t.Context(), testContainer(), 0); err != nil {
		t.Fatal(err)
	}
	v := version{seed: 1, size: 2_500_000}
	u, err := e.NewUpload(t.Context(), testID, engine.UploadSpec{Path: "a", Size: int64(v.size)})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	body = v.body()
	if _, err := u.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := u.Commit(t.Context(), mediastore.Object{ETag: "1"}, mediastore.Precondition{}); err != nil {
		t.Fatal(err)
	}
	return e, body
}

func sectionsOf(t *testing.T, e *Engine, off, n int64) ([]engine.Section, bool) {
	t.Helper()
	r, err := e.OpenObject(t.Context(), testID, "a")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r.(engine.FileReader).Sections(off, n)
}

func TestSections(t *testing.T) {
	e, body := withObject(t, vfs.Default, t.TempDir())
	for _, part := range [][2]int64{{0, 2_500_000}, {0, 1}, {2_499_999, 1}, {65_535, 2}, {1_000_000, 1_000_000}, {983_039, 3}} {
		sections, ok := sectionsOf(t, e, part[0], part[1])
		if !ok {
			t.Fatalf("%d bytes from %d lie in no file", part[1], part[0])
		}
		var got bytes.Buffer
		for _, s := range sections {
			if _, err := io.Copy(&got, io.NewSectionReader(s.File, s.Offset, s.Length)); err != nil || s.FD == 0 {
				t.Fatalf("FD %d, %v", s.FD, err)
			}
		}
		if !bytes.Equal(got.Bytes(), body[part[0]:part[0]+part[1]]) {
			t.Errorf("%d bytes from %d: %d other ones", part[1], part[0], got.Len())
		}
	}
	for _, part := range [][2]int64{{0, 2_500_001}, {-1, 1}, {2_500_000, 1}} {
		if s, ok := sectionsOf(t, e, part[0], part[1]); ok {
			t.Errorf("%d bytes from %d: %+v", part[1], part[0], s)
		}
	}
}

// TestDamagedBytesLeaveByNoFile: what is not as it was written is never handed out,
// also by the way that does not look.
func TestDamagedBytesLeaveByNoFile(t *testing.T) {
	dir := t.TempDir()
	e, _ := withObject(t, vfs.Default, dir)
	volumes, err := filepath.Glob(filepath.Join(dir, "volumes", "*.vol"))
	if err != nil || len(volumes) == 0 {
		t.Fatal(volumes, err)
	}
	for _, name := range volumes {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		var b [1]byte
		if _, err := f.ReadAt(b[:], 70_000); err != nil {
			t.Fatal(err)
		}
		b[0] ^= 1
		if _, err := f.WriteAt(b[:], 70_000); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if s, ok := sectionsOf(t, e, 0, 1); ok {
		t.Errorf("damaged bytes are handed out: %+v", s)
	}
}

// TestNoFilesInMemory: a file system that has none says so.
func TestNoFilesInMemory(t *testing.T) {
	e, _ := withObject(t, vfs.NewMem(), "/data")
	if s, ok := sectionsOf(t, e, 0, 1); ok {
		t.Errorf("%+v", s)
	}
}
