package archive

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"headwater/internal/mediastore"
)

const name = "abcdefghijklmn/0123456789abcdef"

func openDirectory(t testing.TB) *dir {
	t.Helper()
	s, err := Open(t.Context(), t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.(*dir)
}

func TestDirectory(t *testing.T) { testStore(t, openDirectory(t)) }

func TestBucket(t *testing.T) { testStore(t, openS3(t, startS3(t))) }

func random(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.Read(b)
	return b
}

func put(t testing.TB, s Store, name string, content []byte) {
	t.Helper()
	if err := s.Put(t.Context(), name, bytes.NewReader(content), int64(len(content)), sha256.Sum256(content)); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, s Store, name string, size int) Reader {
	t.Helper()
	r, err := s.Open(t.Context(), name, int64(size))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func wantContent(t testing.TB, s Store, name string, want []byte) {
	t.Helper()
	got, err := io.ReadAll(io.NewSectionReader(open(t, s, name, len(want)), 0, int64(len(want))))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: read %d bytes, %v; want the %d that were put", name, len(got), err, len(want))
	}
}

func wantKind(t testing.TB, err error, kind mediastore.Kind) {
	t.Helper()
	if !mediastore.IsKind(err, kind) {
		t.Errorf("got %v, want %v", err, kind)
	}
}

func wantNone(t testing.TB, s Store, name string, size int) {
	t.Helper()
	_, err := s.Open(t.Context(), name, int64(size))
	wantKind(t, err, mediastore.KindInternal)
	if err == nil || !strings.Contains(err.Error(), "has lost "+name) {
		t.Errorf("got %v, want to be told what is lost", err)
	}
}

// testStore holds a store to the words of Store.
func testStore(t *testing.T, s Store) {
	t.Run("check", func(t *testing.T) {
		if err := s.Check(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("put and read", func(t *testing.T) {
		for _, size := range []int{0, 1, 100, copyBuffer, copyBuffer + 1, 3 << 20} {
			content := random(size)
			put(t, s, name, content) // each replaces the one before
			wantContent(t, s, name, content)
		}
	})
	t.Run("body that cannot seek", func(t *testing.T) {
		for _, size := range []int{0, 3 << 20} {
			content := random(size)
			if err := s.Put(t.Context(), name, io.LimitReader(bytes.NewReader(content), 4<<20), int64(size), sha256.Sum256(content)); err != nil {
				t.Fatal(err)
			}
			wantContent(t, s, name, content)
		}
	})
	t.Run("ranges", func(t *testing.T) { testRanges(t, s) })
	t.Run("at once", func(t *testing.T) { testConcurrent(t, s) })
	t.Run("remove", func(t *testing.T) {
		put(t, s, name, []byte("text"))
		for range 2 { // the second finds nothing
			if err := s.Remove(t.Context(), name); err != nil {
				t.Error(err)
			}
			wantNone(t, s, name, 4)
		}
	})
	t.Run("another size", func(t *testing.T) {
		put(t, s, name, []byte("text"))
		wantNone(t, s, name, 3)
		wantNone(t, s, name, 5)
	})
	t.Run("bad bodies", func(t *testing.T) { testBadBodies(t, s) })
	t.Run("bad names", func(t *testing.T) { testBadNames(t, s) })
	t.Run("cancelled", func(t *testing.T) {
		const name = "abcdefghijklmn/cafe"
		ctx, cancel := context.WithCancel(t.Context())
		body := io.MultiReader(bytes.NewReader(random(1<<20)), readerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil }))
		err := s.Put(ctx, name, body, 8<<20, [32]byte{})
		wantKind(t, err, mediastore.KindUnavailable)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want what cancelled it", err)
		}
		wantNone(t, s, name, 8<<20)
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func testRanges(t *testing.T, s Store) {
	content := random(300_000)
	put(t, s, name, content)
	r := open(t, s, name, len(content))
	for _, c := range []struct {
		off, n int
		want   int
		err    error
	}{
		{0, 10, 10, nil},
		{10, 100_000, 100_000, nil}, // goes on
		{5, 10, 10, nil},            // jumps back
		{200_000, 10, 10, nil},      // jumps on
		{299_990, 10, 10, nil},
		{299_990, 11, 10, io.EOF},
		{299_999, 1, 1, nil},
		{300_000, 1, 0, io.EOF},
		{400_000, 1, 0, io.EOF},
		{0, 300_000, 300_000, nil},
		{0, 400_000, 300_000, io.EOF},
	} {
		p := make([]byte, c.n)
		n, err := r.ReadAt(p, int64(c.off))
		// io.ReaderAt leaves open which it is at the very end.
		if errors.Is(err, io.EOF) && n == c.n {
			err = nil
		}
		if n != c.want || !errors.Is(err, c.err) {
			t.Errorf("ReadAt(%d bytes, %d) = %d, %v; want %d, %v", c.n, c.off, n, err, c.want, c.err)
		} else if n > 0 && !bytes.Equal(p[:n], content[c.off:c.off+n]) {
			t.Errorf("ReadAt(%d bytes, %d) read other bytes", c.n, c.off)
		}
	}
	if n, err := r.ReadAt(make([]byte, 1), -1); n != 0 || err == nil {
		t.Errorf("at -1: got %d, %v, want an error", n, err)
	}
}

func testConcurrent(t *testing.T, s Store) {
	content := random(256_000)
	put(t, s, name, content)
	r := open(t, s, name, len(content))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			p := make([]byte, 1000)
			for off := i * 32_000; off < (i+1)*32_000; off += 8000 {
				if n, err := r.ReadAt(p, int64(off)); n != len(p) || err != nil || !bytes.Equal(p, content[off:off+n]) {
					t.Errorf("at %d: got %d bytes, %v; want those that were put", off, n, err)
				}
			}
		})
	}
	wg.Go(func() { put(t, s, "abcdefghijklmn/another", content) })
	wg.Wait()
}

// testBadBodies: nothing is stored of a body that is not what it should be, and
// what was there stays.
func testBadBodies(t *testing.T, s Store) {
	broken := mediastore.Errorf(mediastore.KindStorageFull, "of the body")
	for _, size := range []int{0, 1, 100, 2 << 20} {
		content := random(size)
		sum := sha256.Sum256(content)
		cases := map[string]struct {
			body io.Reader
			sum  [32]byte
			want mediastore.Kind
		}{
			"digest": {bytes.NewReader(content), [32]byte{1}, mediastore.KindBadDigest},
			"longer": {bytes.NewReader(append(content, 1)), sum, mediastore.KindTooLarge},
			"broken": {io.MultiReader(bytes.NewReader(content), readerFunc(func([]byte) (int, error) { return 0, broken })), sum, mediastore.KindStorageFull},
		}
		if size > 0 {
			cases["shorter"] = struct {
				body io.Reader
				sum  [32]byte
				want mediastore.Kind
			}{bytes.NewReader(content[1:]), sum, mediastore.KindIncompleteBody}
		}
		for what, c := range cases {
			const fresh = "abcdefghijklmn/bad"
			wantKind(t, s.Put(t.Context(), fresh, c.body, int64(size), c.sum), c.want)
			if _, err := s.Open(t.Context(), fresh, int64(size)); err == nil {
				t.Errorf("%s, %d bytes: they are stored", what, size)
			}
		}
		kept := random(10)
		put(t, s, name, kept)
		wantKind(t, s.Put(t.Context(), name, bytes.NewReader(content), int64(size), [32]byte{1}), mediastore.KindBadDigest)
		wantContent(t, s, name, kept)
	}
	wantKind(t, s.Put(t.Context(), name, strings.NewReader(""), -1, [32]byte{}), mediastore.KindInvalid)
}

func testBadNames(t *testing.T, s Store) {
	long := strings.Repeat("a", 65)
	for _, bad := range []string{
		"", "/", "ab", "ab/", "/ab", "ab/c", "a/bc", "ab/cd/ef", "../cd", "ab/..", "ab//cd", "/ab/cd", "ab/cd/",
		`ab\cd`, "ab/c d", "ab/c.d", "ab/c\x00d", "ab/cé", long + "/ab", "ab/" + long,
	} {
		wantKind(t, s.Put(t.Context(), bad, strings.NewReader(""), 0, sha256.Sum256(nil)), mediastore.KindInvalid)
		_, err := s.Open(t.Context(), bad, 0)
		wantKind(t, err, mediastore.KindInvalid)
		wantKind(t, s.Remove(t.Context(), bad), mediastore.KindInvalid)
	}
	// What the rest of the program makes has the form.
	if _, _, err := splitName(mediastore.ArchiveName("abcdefghijklmn", mediastore.ETag(strings.Repeat("0a", 32)))); err != nil {
		t.Error(err)
	}
}

func TestParse(t *testing.T) {
	for spec, want := range map[string]place{
		"/mnt/cold":            {dir: "/mnt/cold"},
		"cold":                 {dir: "cold"},
		"s3://bucket":          {bucket: "bucket"},
		"s3://bucket/":         {bucket: "bucket"},
		"s3://my.bucket-2/a/b": {bucket: "my.bucket-2", prefix: "a/b"},
		"s3://bucket/A_(!)'./": {bucket: "bucket", prefix: "A_(!)'."},
	} {
		if got, err := parse(spec); err != nil || got != want {
			t.Errorf("parse(%q) = %v, %v; want %v", spec, got, err, want)
		}
	}
	for spec, rule := range map[string]string{
		"":                         "must be a directory or s3://bucket/prefix",
		"a\x00b":                   "must be a directory or s3://bucket/prefix",
		"gs://bucket":              "is neither a directory nor s3://bucket/prefix",
		"S3://bucket":              "is neither",
		"s3://":                    "must be 3 to 63",
		"s3:///prefix":             "must be 3 to 63",
		"s3://Bucket":              "lower-case",
		"s3://-bucket":             "at both ends",
		"s3://bucket.":             "at both ends",
		"s3://key:secret@bucket/a": "lower-case",
		"s3://bucket//a":           "not empty",
		"s3://bucket/a/../b":       "not empty, . or ..",
		"s3://bucket/a?b=c":        "letters, digits or",
		"s3://bucket/" + strings.Repeat("a", 513): "at most 512",
	} {
		_, err := parse(spec)
		wantKind(t, err, mediastore.KindInvalid)
		if err == nil || !strings.Contains(err.Error(), rule) {
			t.Errorf("parse(%q): got %v, want it to say %q", spec, err, rule)
		}
	}
}

func TestKey(t *testing.T) {
	for _, c := range [][2]string{{"s3://bucket", name}, {"s3://bucket/a/b/", "a/b/" + name}} {
		p, err := parse(c[0])
		if got := p.key(name); err != nil || got != c[1] {
			t.Errorf("%s: got %q, %v; want %q", c[0], got, err, c[1])
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "/mnt/cold", "s3://bucket", "s3://bucket/a/b/", "s3://bucket/..", "s3:/bucket", "gs://a", "s3://a.b-c/(x)"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		p, err := parse(spec)
		if err != nil {
			if !mediastore.IsKind(err, mediastore.KindInvalid) || p != (place{}) {
				t.Errorf("got %v and %v", p, err)
			}
			return
		}
		if (p.dir == "") == (p.bucket == "") {
			t.Errorf("%+v is not one of a directory and a bucket", p)
		}
		again, err := parse(p.String())
		if diff := cmp.Diff(p, again, cmp.AllowUnexported(place{})); diff != "" || err != nil {
			t.Errorf("%q read again: %v\n%s", p, err, diff)
		}
		if key := p.key(name); !strings.HasSuffix(key, name) || len(key) > 1024 || strings.HasPrefix(key, "/") {
			t.Errorf("the key is %q", key)
		}
	})
}

func TestReaderOfADirectorySurvivesRemoval(t *testing.T) {
	s := openDirectory(t)
	content := random(1000)
	put(t, s, name, content)
	removed, replaced := open(t, s, name, len(content)), open(t, s, name, len(content))
	put(t, s, name, random(10))
	if err := s.Remove(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	for _, r := range []Reader{removed, replaced} {
		got := make([]byte, len(content))
		if _, err := r.ReadAt(got, 0); err != nil || !bytes.Equal(got, content) {
			t.Errorf("got %v and other bytes: %v", err, !bytes.Equal(got, content))
		}
	}
}

// TestFilesOfADirectory: where they lie, who may read them, and that nothing is
// left of what failed or was interrupted.
func TestFilesOfADirectory(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, uploads, "deep"), 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	put(t, s, name, []byte("text"))
	_ = s.Put(t.Context(), "abcdefghijklmn/99bad", strings.NewReader("text"), 4, [32]byte{})
	got := map[string]os.FileMode{}
	err = filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if path != root {
			got[strings.TrimPrefix(path, root+"/")] = info.Mode().Perm()
		}
		return err
	})
	want := map[string]os.FileMode{
		uploads:                              0o700,
		"abcdefghijklmn":                     0o700,
		"abcdefghijklmn/01":                  0o700,
		"abcdefghijklmn/01/0123456789abcdef": 0o600,
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

// TestLinksOutOfADirectory: whoever may write into the directory does not reach
// what the server may reach.
func TestLinksOutOfADirectory(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	if err := errors.Join(os.Symlink(outside, filepath.Join(root, "abcdefghijklmn")), os.Mkdir(filepath.Join(outside, "01"), 0o700)); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	wantKind(t, s.Put(t.Context(), name, strings.NewReader(""), 0, sha256.Sum256(nil)), mediastore.KindUnavailable)
	if files, err := os.ReadDir(filepath.Join(outside, "01")); len(files) > 0 || err != nil {
		t.Errorf("outside are %v, %v", files, err)
	}
}

func TestDirectoryThatIsNotThere(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	_, err := Open(t.Context(), missing, Options{})
	wantKind(t, err, mediastore.KindUnavailable)
	if err == nil || !strings.Contains(err.Error(), missing+" must exist") {
		t.Errorf("got %v, want to be told what is missing", err)
	}
	if _, err := os.Stat(missing); !os.IsNotExist(err) {
		t.Errorf("the directory was made: %v", err)
	}
}

// TestDirectoryThatGoesAway: a check says what cannot be done.
func TestDirectoryThatGoesAway(t *testing.T) {
	s := openDirectory(t)
	if err := os.RemoveAll(s.path); err != nil {
		t.Fatal(err)
	}
	err := s.Check(t.Context())
	wantKind(t, err, mediastore.KindUnavailable)
	if err == nil || !strings.Contains(err.Error(), "The cold tier "+s.path+" cannot be written") {
		t.Errorf("got %v", err)
	}
}

// TestFoldersThatSomebodyTidies: an operator may remove empty folders. The next
// Put may fail by that, and the one after makes them anew.
func TestFoldersThatSomebodyTidies(t *testing.T) {
	s := openDirectory(t)
	put(t, s, name, []byte("text"))
	for _, folder := range []string{uploads, "abcdefghijklmn"} {
		if err := s.root.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
	}
	_ = s.Put(t.Context(), name, strings.NewReader("text"), 4, sha256.Sum256([]byte("text")))
	put(t, s, name, []byte("text"))
	wantContent(t, s, name, []byte("text"))
}

// failing is a store that cannot do some things.
type failing struct {
	Store
	open, remove error
}

func (f failing) Open(ctx context.Context, name string, size int64) (Reader, error) {
	if f.open != nil {
		return nil, f.open
	}
	return f.Store.Open(ctx, name, size)
}

func (f failing) Remove(ctx context.Context, name string) error {
	return errors.Join(f.Store.Remove(ctx, name), f.remove)
}

func TestCheckSaysWhatFailed(t *testing.T) {
	s := openDirectory(t)
	cause := errors.New("not allowed to")
	for what, f := range map[string]failing{
		"cannot be read":         {Store: s, open: cause},
		"cannot be removed from": {Store: s, remove: cause},
	} {
		err := check(t.Context(), f, "here")
		if err == nil || !strings.Contains(err.Error(), "The cold tier here "+what) || !errors.Is(err, cause) {
			t.Errorf("got %v, want that it %s", err, what)
		}
	}
	if left, err := os.ReadDir(filepath.Join(s.path, "check")); err != nil {
		t.Error(err)
	} else {
		for _, folder := range left {
			if files, _ := os.ReadDir(filepath.Join(s.path, "check", folder.Name())); len(files) > 0 {
				t.Errorf("a check leaves %v", files)
			}
		}
	}
}

func TestFailure(t *testing.T) {
	for cause, want := range map[error]mediastore.Kind{
		syscall.ENOSPC: mediastore.KindStorageFull,
		syscall.EDQUOT: mediastore.KindStorageFull,
		syscall.EIO:    mediastore.KindUnavailable,
		mediastore.Errorf(mediastore.KindBadDigest, "classified"): mediastore.KindBadDigest,
	} {
		err := failure("op", &os.PathError{Err: cause})
		wantKind(t, err, want)
		if !errors.Is(err, cause) {
			t.Errorf("got %v, want it to keep %v", err, cause)
		}
	}
}

func BenchmarkDirectoryPut(b *testing.B) {
	s := openDirectory(b)
	content := random(8 << 20)
	sum := sha256.Sum256(content)
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		if err := s.Put(b.Context(), name, bytes.NewReader(content), int64(len(content)), sum); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDirectoryRead(b *testing.B) {
	benchmarkRead(b, openDirectory(b))
}

func BenchmarkBucketRead(b *testing.B) { benchmarkRead(b, openS3(b, startS3(b))) }

// benchmarkRead reads in pieces of 64 KiB, one after the other.
func benchmarkRead(b *testing.B, s Store) {
	content := random(8 << 20)
	put(b, s, name, content)
	p := make([]byte, 64<<10)
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		r, err := s.Open(b.Context(), name, int64(len(content)))
		if err != nil {
			b.Fatal(err)
		}
		for off := 0; off < len(content); off += len(p) {
			if _, err := r.ReadAt(p, int64(off)); err != nil {
				b.Fatal(err)
			}
		}
		r.Close()
	}
}
