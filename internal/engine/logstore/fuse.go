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
	dir   string // of the index: what is written elsewhere, to a checkpoint, is not guarded
	log   *slog.Logger
	cause atomic.Pointer[error]

	// opening is true while Pebble is opened: then it waits for its tables to be
	// written, for ever if need be, so they are vital too.
	opening atomic.Bool
	reserve *reserve
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

// roomFor does something once more, with the reserve's room, when there is none
// for it. A sync must not be done again: the kernel may have dropped the bytes.
func (f *fuse) roomFor(do func() error) error {
	err := do()
	if isFull(err) && f.reserve.release() {
		err = do()
	}
	return err
}

// compactionCategory is what Pebble calls the tables that it rewrites, which can
// be many at once and can wait. They must not use up the reserve.
const compactionCategory = "pebble-compaction"

func justDo(do func() error) error { return do() }

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

// isVital tells the log, the manifest and the markers, which name the manifest. So
// is the file of options, by its temporary name: Pebble writes it last when it is
// opened, and when it cannot, panics in the middle of giving up.
func (f *fuse) isVital(path string) bool {
	name := f.FS.PathBase(path)
	return isMarker(name) || strings.HasPrefix(name, "MANIFEST-") ||
		strings.HasSuffix(name, ".log") || strings.HasSuffix(name, ".dbtmp")
}

func isMarker(name string) bool { return strings.HasPrefix(name, "marker.") }

// open opens a file for writing. A vital one that cannot be opened is replaced
// by one in memory, which takes what Pebble still writes.
func (f *fuse) open(path string, category vfs.DiskWriteCategory, open func() (vfs.File, error)) (file vfs.File, err error) {
	if f.FS.PathDir(path) != f.dir {
		return open()
	}
	do, write := f.plain, f.roomFor
	if f.isVital(path) || f.opening.Load() {
		do = f.vital
	}
	if category == compactionCategory {
		write = justDo
	}
	attempt := func() error {
		return write(func() error {
			file, err = open()
			return err
		})
	}
	if err := do(attempt); err != nil {
		return nil, err
	}
	if file == nil {
		return vfs.NewMem().Create("lost", vfs.WriteCategoryUnspecified)
	}
	return &fuseFile{file, do, write}, nil
}

// Create makes the names in the directory durable before it adds a marker. Pebble
// syncs the name of a new manifest and that of the marker that points to it at
// once: a power cut before that could leave the marker alone.
func (f *fuse) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.open(name, category, func() (vfs.File, error) {
		if isMarker(f.FS.PathBase(name)) {
			if err := syncDir(f.FS, f.dir); err != nil {
				return nil, err
			}
		}
		return f.FS.Create(name, category)
	})
}

func (f *fuse) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.open(name, category, func() (vfs.File, error) { return f.FS.OpenReadWrite(name, category, opts...) })
}

func (f *fuse) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.open(newname, category, func() (vfs.File, error) { return f.FS.ReuseForWrite(oldname, newname, category) })
}

// OpenDir opens a directory, whose sync is part of making a new log or manifest.
func (f *fuse) OpenDir(name string) (vfs.File, error) {
	dir, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	if name != f.dir {
		return dir, nil
	}
	return &fuseFile{dir, f.vital, justDo}, nil
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
	return f.vital(func() error { return f.FS.Rename(oldname, newname) })
}

func (f *fuse) Unwrap() vfs.FS { return f.FS }

// fuseFile is a file that is written through the fuse. do is the way to do it.
type fuseFile struct {
	vfs.File
	do    func(func() error) error
	write func(func() error) error // within do
}

func (f *fuseFile) Write(p []byte) (int, error) {
	rest := p
	err := f.do(func() error {
		return f.write(func() error {
			n, err := f.File.Write(rest)
			rest = rest[n:]
			return err
		})
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
