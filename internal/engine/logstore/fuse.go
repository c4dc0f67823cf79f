package logstore

import (
	"errors"
	"io/fs"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fuse is the file system that Pebble gets. Pebble ends the process, or panics
// with its locks held, when its log or its manifest cannot be written: right for
// a database, but a broadcaster's readers must not lose the objects of the day
// because a disk is full.
//
// The first such failure blows the fuse. From then on the log, the manifest and
// the set of files on disk stay as they are, as if the machine had stopped at
// that moment, while Pebble is told that all went well, which keeps it in one
// piece for those who read. (New tables are still written; no manifest names
// them.) The committer looks at the fuse after each commit and acknowledges
// nothing once it is blown. The next Open recovers the index as after a crash.
type fuse struct {
	vfs.FS
	log   *slog.Logger
	cause atomic.Pointer[error]
}

// failureDelay keeps Pebble, which repeats a failed flush at once, from spinning.
const failureDelay = 20 * time.Millisecond

func (f *fuse) blow(err error) {
	if f.cause.CompareAndSwap(nil, &err) {
		f.log.Error("the index failed: nothing can be stored until the store is opened again", "error", err)
	}
}

func (f *fuse) blown() bool { return f.cause.Load() != nil }

// err is what blew the fuse, or nil.
func (f *fuse) err() error {
	if cause := f.cause.Load(); cause != nil {
		return *cause
	}
	return nil
}

// vital does what Pebble cannot do without.
func (f *fuse) vital(do func() error) error {
	if f.blown() {
		return nil
	}
	if err := do(); err != nil {
		f.blow(err)
	}
	return nil
}

// tidying changes which files there are, in a way that may fail.
func (f *fuse) tidying(do func() error) error {
	if f.blown() {
		return nil
	}
	return do()
}

// plain does what Pebble repeats when it fails.
func (f *fuse) plain(do func() error) error {
	err := do()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		time.Sleep(failureDelay)
	}
	return err
}

// isVital tells the log, the manifest and the markers, which name the manifest.
func (f *fuse) isVital(path string) bool {
	name := f.FS.PathBase(path)
	return strings.HasSuffix(name, ".log") || strings.HasPrefix(name, "MANIFEST-") || strings.HasPrefix(name, "marker.")
}

// open opens a file for writing. A vital one that cannot be opened is replaced
// by one in memory, which takes what Pebble still writes.
func (f *fuse) open(path string, open func() (vfs.File, error)) (file vfs.File, err error) {
	do, attempt := f.plain, func() error {
		file, err = open()
		return err
	}
	if f.isVital(path) {
		do = f.vital
	}
	if err := do(attempt); err != nil {
		return nil, err
	}
	if file == nil {
		return vfs.NewMem().Create("lost", vfs.WriteCategoryUnspecified)
	}
	return &fuseFile{file, do}, nil
}

func (f *fuse) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.open(name, func() (vfs.File, error) { return f.FS.Create(name, category) })
}

func (f *fuse) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.open(name, func() (vfs.File, error) { return f.FS.OpenReadWrite(name, category, opts...) })
}

func (f *fuse) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.open(newname, func() (vfs.File, error) { return f.FS.ReuseForWrite(oldname, newname, category) })
}

// OpenDir opens a directory, whose sync is part of making a new log or manifest.
func (f *fuse) OpenDir(name string) (vfs.File, error) {
	dir, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &fuseFile{dir, f.vital}, nil
}

func (f *fuse) Link(oldname, newname string) error {
	return f.tidying(func() error { return f.FS.Link(oldname, newname) })
}

func (f *fuse) Remove(name string) error {
	return f.tidying(func() error { return f.FS.Remove(name) })
}

func (f *fuse) RemoveAll(name string) error {
	return f.tidying(func() error { return f.FS.RemoveAll(name) })
}

func (f *fuse) Rename(oldname, newname string) error {
	return f.tidying(func() error { return f.FS.Rename(oldname, newname) })
}

func (f *fuse) Unwrap() vfs.FS { return f.FS }

// fuseFile is a file that is written through the fuse. do is the way to do it.
type fuseFile struct {
	vfs.File
	do func(func() error) error
}

func (f *fuseFile) Write(p []byte) (int, error) {
	err := f.do(func() error {
		_, err := f.File.Write(p)
		return err
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

func (f *fuseFile) Sync() error     { return f.do(f.File.Sync) }
func (f *fuseFile) SyncData() error { return f.do(f.File.SyncData) }

// Close closes the file even when the fuse is blown.
func (f *fuseFile) Close() error {
	err := f.File.Close()
	if err == nil {
		return nil
	}
	return f.do(func() error { return err })
}

// Preallocate only saves time: it may fail.
func (f *fuseFile) Preallocate(off, length int64) error {
	_ = f.File.Preallocate(off, length)
	return nil
}

func (f *fuseFile) SyncTo(length int64) (full bool, err error) {
	err = f.do(func() error {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, err
}
