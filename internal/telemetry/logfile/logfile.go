// Package logfile keeps a file of lines on disk: appended to, set aside under
// another name when it is large or its period is over, removed when there are
// many.
//
// It must not know what is in a line.
package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// retryAfter is how long a file that could not be set aside goes on being used.
const retryAfter = time.Minute

// Options say where the lines go and for how long.
type Options struct {
	// Path is of the file that is written to. Its directory is made when it does
	// not exist, for its owner only. A file that was set aside has the time of
	// that, in UTC, in its name: access.jsonl becomes
	// access-2026-01-31T00-00-00.000.jsonl.
	Path string

	// MaxSize is how many bytes a file may have, 0 for any number. A line that
	// alone is longer gets a file of its own.
	MaxSize int64

	// RotateEvery is the length of a period, 0 for one without end. Periods
	// begin where time.Time.Truncate cuts: one of an hour on the hour, one of a
	// day at midnight UTC, one of a week on Monday. So a restart does not move
	// them. No file has lines of two periods; a quiet one is set aside in time
	// too.
	RotateEvery time.Duration

	// Keep is how many files that were set aside are kept, 0 for all of them.
	Keep int

	Now func() time.Time
	Log *slog.Logger // is told when a file cannot be set aside or removed
}

// File is a file of lines. Its methods may be called at the same time.
type File struct {
	o Options

	mu struct {
		sync.Mutex
		file    *os.File // nil once closed
		size    int64
		torn    bool      // the last line has no end
		until   time.Time // end of the file's period, zero for none
		blocked time.Time // no attempt to set the file aside before
		timer   *time.Timer
	}
}

// Open opens the file or makes it, readable and writable for its owner only.
func Open(o Options) (*File, error) {
	if err := os.MkdirAll(filepath.Dir(o.Path), 0o700); err != nil {
		return nil, fmt.Errorf("log file: %w", err)
	}
	f := &File{o: o}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.openLocked(); err != nil {
		return nil, fmt.Errorf("log file: %w", err)
	}
	if o.RotateEvery > 0 {
		f.mu.timer = time.AfterFunc(f.mu.until.Sub(o.Now()), f.onTime)
	}
	f.pruneLocked()
	return f, nil
}

// openLocked makes what is at the path the file to write to.
func (f *File) openLocked() error {
	file, err := os.OpenFile(f.o.Path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return err
	}
	syncDir(filepath.Dir(f.o.Path))
	f.mu.file, f.mu.size, f.mu.torn = file, info.Size(), isTorn(file, info.Size())
	since := f.o.Now()
	if f.mu.size > 0 {
		since = info.ModTime() // the file is of the period of its last line
	}
	f.beginLocked(since)
	return nil
}

// isTorn reports whether a file ends within a line, which is what a crash leaves.
func isTorn(file *os.File, size int64) bool {
	var last [1]byte
	n, _ := file.ReadAt(last[:], size-1)
	return n == 1 && last[0] != '\n'
}

// syncDir makes a new file's name outlast a power cut. Not every file system can,
// and then there is nothing to be done.
func syncDir(name string) {
	if dir, err := os.Open(name); err == nil {
		_ = dir.Sync()
		dir.Close()
	}
}

func (f *File) beginLocked(since time.Time) {
	if f.o.RotateEvery > 0 {
		f.mu.until = since.Truncate(f.o.RotateEvery).Add(f.o.RotateEvery)
	}
}

// Write appends whole lines, the last one with its end. No line is torn across
// files. When only some bytes could be written, the next write begins a new line.
func (f *File) Write(lines []byte) (n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.file == nil {
		return 0, fs.ErrClosed
	}
	for n < len(lines) && err == nil {
		var written int
		written, err = f.writeLocked(f.fitting(lines[n:]))
		n += written
	}
	return n, err
}

// fitting returns the first lines that a file has room for, one at least.
func (f *File) fitting(lines []byte) []byte {
	if f.o.MaxSize <= 0 || int64(len(lines)) <= f.o.MaxSize {
		return lines
	}
	if i := bytes.LastIndexByte(lines[:f.o.MaxSize], '\n'); i >= 0 {
		return lines[:i+1]
	}
	if i := bytes.IndexByte(lines, '\n'); i >= 0 {
		return lines[:i+1]
	}
	return lines
}

// writeLocked appends lines that go into one file.
func (f *File) writeLocked(lines []byte) (int, error) {
	f.rotateIfDueLocked(int64(len(lines)))
	if f.mu.torn {
		if _, err := f.appendLocked([]byte("\n")); err != nil {
			return 0, err
		}
	}
	return f.appendLocked(lines)
}

func (f *File) appendLocked(p []byte) (int, error) {
	n, err := f.mu.file.Write(p)
	f.mu.size += int64(n)
	if n > 0 {
		f.mu.torn = p[n-1] != '\n'
	}
	return n, err
}

// Sync makes what was written outlast a power cut.
func (f *File) Sync() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.file == nil {
		return fs.ErrClosed
	}
	return f.mu.file.Sync()
}

// Close closes the file, after a Sync.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.file == nil {
		return fs.ErrClosed
	}
	if f.mu.timer != nil {
		f.mu.timer.Stop()
	}
	err := errors.Join(f.mu.file.Sync(), f.mu.file.Close())
	f.mu.file = nil
	return err
}
