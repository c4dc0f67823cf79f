package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const (
	tries      = 3
	firstPause = time.Second // between two tries; it doubles
)

// Source is where the files of a checkpoint come from.
type Source struct {
	Files []File // without sums
	// Dir is where the files lie when this is the server's machine. It need not
	// exist.
	Dir string
	// Open reads a file from its beginning, from wherever.
	Open func(ctx context.Context, name string) (io.ReadCloser, error)
}

// errDamaged is final: the same bytes would come again.
var errDamaged = errors.New("it is damaged")

// local opens a file when it lies on this machine.
func (s *Source) local(f File) (*os.File, bool) {
	if s.Dir == "" {
		return nil, false
	}
	file, err := os.Open(s.path(f))
	if err != nil {
		return nil, false
	}
	if info, err := file.Stat(); err != nil || info.Size() != f.Size {
		file.Close()
		return nil, false
	}
	return file, true
}

// link makes a hard link to a file when it lies on this machine, in the file system
// of the link.
func (s *Source) link(f File, to string) bool {
	if s.Dir == "" || os.Link(s.path(f), to) != nil {
		return false
	}
	if info, err := os.Stat(to); err == nil && info.Size() == f.Size {
		return true
	}
	_ = os.Remove(to)
	return false
}

func (s *Source) path(f File) string { return filepath.Join(s.Dir, filepath.FromSlash(f.Name)) }

// fetch writes a file to a path, durably, and returns its sum. When the sum is known
// it must be that. What breaks off is tried again.
func (s *Source) fetch(ctx context.Context, f File, to string, moved Moved) (Sum, error) {
	for try, pause := 1, firstPause; ; try, pause = try+1, 2*pause {
		sum, err := s.fetchOnce(ctx, f, to, moved)
		final := errors.Is(err, errDamaged) || errors.Is(err, fs.ErrNotExist)
		if err == nil || final || try == tries || !rest(ctx, pause) {
			return sum, err
		}
	}
}

// rest returns false when ctx ended first.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *Source) fetchOnce(ctx context.Context, f File, to string, moved Moved) (Sum, error) {
	r, err := s.Open(ctx, f.Name)
	if err != nil {
		return "", err
	}
	defer r.Close()
	// Never written in place: the name may be a link to what the server has.
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	sum, err := transfer(ctx, w, r, f, moved)
	if err == nil {
		err = w.Sync()
	}
	return sum, errors.Join(err, w.Close())
}

// transfer copies a file, which must have its size, and its sum when that is known.
func transfer(ctx context.Context, w io.Writer, r io.Reader, f File, moved Moved) (Sum, error) {
	m := &meter{ctx: ctx, hash: sha256.New(), moved: moved}
	n, err := io.Copy(io.MultiWriter(w, m), io.LimitReader(r, f.Size+1))
	sum := Sum(hex.EncodeToString(m.hash.Sum(nil)))
	switch {
	case err != nil:
	case n < f.Size:
		err = fmt.Errorf("it ends after %d of %d bytes: %w", n, f.Size, io.ErrUnexpectedEOF)
	case n > f.Size:
		err = fmt.Errorf("%w: it has more than %d bytes", errDamaged, f.Size)
	case f.SHA256 != "" && f.SHA256 != sum:
		err = fmt.Errorf("%w: its SHA-256 is %s and not %s", errDamaged, sum, f.SHA256)
	}
	if err != nil {
		moved(-m.n)
	}
	return sum, err
}

// meter sees what is copied, and ends it when ctx does.
type meter struct {
	ctx   context.Context
	hash  hash.Hash
	moved Moved
	n     int64
}

func (m *meter) Write(p []byte) (int, error) {
	if err := m.ctx.Err(); err != nil {
		return 0, err
	}
	m.hash.Write(p)
	m.n += int64(len(p))
	m.moved(int64(len(p)))
	return len(p), nil
}
