package backup

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var created = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// checkpoint is what the tests keep: names and contents.
var contents = map[string]string{
	"store/FORMAT":               "a format\n",
	"store/index/000001.sst":     strings.Repeat("table", 1000),
	"store/index/MANIFEST":       "",
	"store/volumes/00000000.vol": strings.Repeat("body", 50_000),
	"root-credentials.json":      "a key pair",
}

// newSource has the files on disk, and hands them out like a server too.
func newSource(t *testing.T) *Source {
	t.Helper()
	s := &Source{Dir: t.TempDir()}
	for name, text := range contents {
		put(t, filepath.Join(s.Dir, name), text)
		s.Files = append(s.Files, File{Name: name, Size: int64(len(text))})
	}
	slices.SortFunc(s.Files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	root := s.Dir
	s.Open = func(_ context.Context, name string) (io.ReadCloser, error) { return os.Open(filepath.Join(root, name)) }
	return s
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// tree returns what is below a directory.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(root, path)
		found[filepath.ToSlash(name)] = string(b)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return found
}

func openDir(t *testing.T, path string) Place {
	t.Helper()
	p, err := Open(t.Context(), path, Options{})
	if err == nil {
		err = p.Check(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustTake(t *testing.T, s *Source, path string) Place {
	t.Helper()
	p := openDir(t, path)
	if _, err := Take(t.Context(), p, s, created, unseen); err != nil {
		t.Fatal(err)
	}
	return p
}

// restore reads the manifest and brings the backup back.
func restore(t *testing.T, from Place, data string) error {
	t.Helper()
	m, err := Read(t.Context(), from)
	if err != nil {
		return err
	}
	return Restore(t.Context(), from, m, data, func(string) error { return nil }, unseen)
}

func TestTakeAndRestore(t *testing.T) {
	for name, local := range map[string]bool{"linked": true, "downloaded": false} {
		t.Run(name, func(t *testing.T) {
			s := newSource(t)
			original := s.path(File{Name: "store/volumes/00000000.vol"})
			if !local {
				s.Dir = "/nowhere"
			}
			to := filepath.Join(t.TempDir(), "new", "backup")
			place := openDir(t, to)
			var moved atomic.Int64
			m, err := Take(t.Context(), place, s, created, func(n int64) { moved.Add(n) })
			if err != nil {
				t.Fatal(err)
			}
			if moved.Load() != m.Size() {
				t.Errorf("%d of %d bytes were told of", moved.Load(), m.Size())
			}
			kept := tree(t, to)
			delete(kept, manifestName)
			if diff := cmp.Diff(contents, kept); diff != "" {
				t.Error(diff)
			}
			a, _ := os.Stat(original)
			b, _ := os.Stat(filepath.Join(to, "store/volumes/00000000.vol"))
			if os.SameFile(a, b) != local {
				t.Errorf("the volume is a hard link: %t", !local)
			}
			data := filepath.Join(t.TempDir(), "data")
			if err := restore(t, place, data); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(contents, tree(t, data)); diff != "" {
				t.Error(diff)
			}
			restored, _ := os.Stat(filepath.Join(data, "store/volumes/00000000.vol"))
			if os.SameFile(b, restored) {
				t.Error("the restored volume is the backup's")
			}
		})
	}
}

func TestPlaceMustBeFree(t *testing.T) {
	to := t.TempDir()
	mustTake(t, newSource(t), to) // which is empty
	p, err := Open(t.Context(), to, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "is not empty: a backup needs a new or empty directory") {
		t.Errorf("a second backup: %v", err)
	}
	for _, spec := range []string{"ftp://host/x", "s3://", "s3:///x"} {
		if _, err := Open(t.Context(), spec, Options{}); err == nil {
			t.Errorf("%s is a place", spec)
		}
	}
}

// TestTakeFails: whatever fails, and whenever it is interrupted, nothing is left
// that could be taken for a backup.
func TestTakeFails(t *testing.T) {
	for at := range contents {
		for _, existed := range []bool{false, true} {
			ctx, interrupt := context.WithCancel(t.Context())
			s := newSource(t)
			s.Dir = ""
			open := s.Open
			s.Open = func(ctx context.Context, name string) (io.ReadCloser, error) {
				if name == at {
					interrupt()
					return nil, fs.ErrNotExist
				}
				return open(ctx, name)
			}
			to := filepath.Join(t.TempDir(), "backup")
			if existed {
				if err := os.Mkdir(to, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			_, err := Take(ctx, openDir(t, to), s, created, unseen)
			if err == nil || !strings.Contains(err.Error(), "interrupted") {
				t.Errorf("%s: %v", at, err)
			}
			if left := tree(t, to); len(left) > 0 {
				t.Errorf("%s: left is %v", at, left)
			}
			if _, err := os.Stat(to); (err == nil) != existed {
				t.Errorf("%s: the directory: %v", at, err)
			}
		}
	}
}

// TestInterruptedBeforeTheFirst: files that nobody has begun are no files of a backup.
func TestInterruptedBeforeTheFirst(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	to := filepath.Join(t.TempDir(), "backup")
	place := openDir(t, to)
	interrupt()
	if _, err := Take(ctx, place, newSource(t), created, unseen); err == nil {
		t.Error("it is a backup")
	}
}

// TestBrokenDownload: what breaks off is tried again, and what was told of is taken
// back.
func TestBrokenDownload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		s.Dir = ""
		open, opened := s.Open, atomic.Int64{}
		s.Open = func(ctx context.Context, name string) (io.ReadCloser, error) {
			r, err := open(ctx, name)
			if err == nil && strings.HasSuffix(name, ".vol") && opened.Add(1) < tries {
				return struct {
					io.Reader
					io.Closer
				}{io.LimitReader(r, 100_000), r}, nil
			}
			return r, err
		}
		var moved atomic.Int64
		m, err := Take(t.Context(), openDir(t, filepath.Join(t.TempDir(), "backup")), s, created, func(n int64) { moved.Add(n) })
		if err != nil || moved.Load() != m.Size() {
			t.Errorf("%d bytes, %v", moved.Load(), err)
		}
		opened.Store(-1)
		if _, err := Take(t.Context(), openDir(t, filepath.Join(t.TempDir(), "backup")), s, created, unseen); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("when it always breaks off: %v", err)
		}
	})
}

// TestForeignFile: a file at the server's path that is not the server's is left
// alone, and downloaded in its place.
func TestForeignFile(t *testing.T) {
	s := newSource(t)
	foreign := filepath.Join(t.TempDir(), "foreign")
	put(t, filepath.Join(foreign, "store/FORMAT"), "something else")
	s.Dir = foreign
	to := t.TempDir()
	mustTake(t, s, to)
	if got := tree(t, foreign)["store/FORMAT"]; got != "something else" {
		t.Errorf("it is %q now", got)
	}
	if got := tree(t, to)["store/FORMAT"]; got != contents["store/FORMAT"] {
		t.Errorf("the backup has %q", got)
	}
}

// TestRestoreRefuses: after a refusal the data directory is as before.
func TestRestoreRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		damage func(t *testing.T, backup, data string)
		want   string
	}{
		"no manifest":    {func(t *testing.T, b, _ string) { remove(t, b, manifestName) }, "there is no backup, or one that was not completed"},
		"missing file":   {func(t *testing.T, b, _ string) { remove(t, b, "store/index/000001.sst") }, "no such file"},
		"changed bytes":  {func(t *testing.T, b, _ string) { replace(t, b, "store/FORMAT", "A format\n") }, "store/FORMAT: it is damaged: its SHA-256 is"},
		"more bytes":     {func(t *testing.T, b, _ string) { replace(t, b, "store/FORMAT", "a format\nx") }, "it is damaged: it has more than 9 bytes"},
		"other manifest": {func(t *testing.T, b, _ string) { replace(t, b, manifestName, `{"format":"x"}`) }, "this version knows"},
		"a store":        {func(t *testing.T, _, d string) { put(t, filepath.Join(d, "store/FORMAT"), "mine") }, "holds a store already"},
		"a key pair":     {func(t *testing.T, _, d string) { put(t, filepath.Join(d, "root-credentials.json"), "mine") }, "holds a root-credentials.json already"},
		"another one":    {func(t *testing.T, _, d string) { put(t, filepath.Join(d, "restoring/x"), "x") }, "another restore is running, or was killed"},
	} {
		t.Run(name, func(t *testing.T) {
			backup, data := filepath.Join(t.TempDir(), "backup"), t.TempDir()
			place := mustTake(t, newSource(t), backup)
			test.damage(t, backup, data)
			before := tree(t, data)
			if err := restore(t, place, data); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
			if diff := cmp.Diff(before, tree(t, data)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func replace(t *testing.T, dir, name, text string) {
	t.Helper()
	remove(t, dir, name) // it may be a link
	put(t, filepath.Join(dir, name), text)
}

// TestRestoreProves: nothing appears when the proof fails, or comes too late.
func TestRestoreProves(t *testing.T) {
	place, data := mustTake(t, newSource(t), t.TempDir()), t.TempDir()
	m, err := Read(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err = Restore(t.Context(), place, m, data, func(dir string) error {
		if diff := cmp.Diff(contents, tree(t, dir)); diff != "" {
			t.Error(diff)
		}
		return broken
	}, unseen)
	if !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	err = Restore(ctx, place, m, data, func(string) error { interrupt(); return nil }, unseen)
	if err == nil || err.Error() != "interrupted" {
		t.Errorf("%v", err)
	}
	if left := tree(t, data); len(left) > 0 {
		t.Errorf("left is %v", left)
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"format":"headwater backup 1","created":"2026-03-01T12:00:00Z","files":[{"name":"store/FORMAT","size":9,"sha256":"` + strings.Repeat("0a", 32) + `"}]}`))
	for _, name := range []string{"../x", "/etc/passwd", "store/../x", "store/./x", "store//x", `store/..\\x`, "store/c:x", "root-credentials.json", "store/FORMAT"} {
		f.Add([]byte(`{"format":"headwater backup 1","files":[{"name":"store/FORMAT","sha256":"` + strings.Repeat("00", 32) + `"},{"name":"` + name + `","size":1,"sha256":"` + strings.Repeat("00", 32) + `"}]}`))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decode(b)
		if err != nil {
			return
		}
		for _, file := range m.Files {
			if !filepath.IsLocal(filepath.FromSlash(file.Name)) || strings.Contains(file.Name, `\`) || len(file.SHA256) != 64 || file.Size < 0 {
				t.Errorf("accepted %+v", file)
			}
		}
		again, err := decode(m.encode())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, again); diff != "" {
			t.Error(diff)
		}
	})
}
