// Package logstore is the engine that keeps everything on one machine's disk:
// the embedded default.
//
// # Where what is
//
// The truth is an ordered index (Pebble): containers, folders, the log of events
// and one record per object, in which a small body lies whole. Larger bodies are
// bytes in volumes, append-only files that know nothing of what they hold.
// docs/format-logstore.md has the bytes of all of it.
//
//	logstore.go    Engine, Open, Close
//	containers.go  the contract's Containers, and the operations behind them
//	objects.go     the contract's Objects, likewise
//	sweeping.go    the contract's Sweeping, likewise
//	events.go      the contract's Events and Marks, likewise
//	upload.go      a body on its way into a volume
//	reader.go      an open version
//	commit.go      the one committer: groups, order, truth after failures
//	txn.go         what a group changes, and what goes with every change
//	volume.go      volume files: room, handles, removal
//	extent.go      blocks and their checksums
//	expiry.go      where the search for what is due begins
//	index.go       Pebble: opening, reading
//	fuse.go, backlog.go  what happens when Pebble's own files fail
//	format.go      the format of the directory, and the way from an older one
//	key.go, record.go  what is in the index, to the byte
//	stats.go       numbers for metrics
//	checkpoint.go  a copy of the store while it works
//	walk.go        pages of a walk through all versions, and the pace of it
//	compact.go     the room of dead objects comes back
//	scrub.go       the search for damaged bytes
//	space.go       what is kept free for a full disk
//	check*.go      proof that the index and the volumes agree
//	fsck.go        that of a store that is not open, and its repair
//
// # How it keeps its promises
//
// Every change goes through the committer, which takes all that wait as one
// group, applies them in order to one batch, and makes them durable in an order
// that never varies: bytes, then index, then answers. A version is visible from
// the index alone, so it is there whole or not at all.
//
// A change and its event are in the same batch, so neither is ever without the
// other. Readers of events get those that are durable.
//
// A transient version lies apart from the items of folders, so that listings and
// walks do not meet it, and in a second place in the order of expiry.
//
// A reader and an upload hold their volumes open. A volume in which no current
// version has a byte is removed when nobody holds it; what a crash leaves behind,
// Open removes. Space inside a volume is not used again except that of an aborted
// upload, and only when nothing lies behind it; otherwise what it wrote is dead
// until the volume goes. One that is mostly dead is emptied by copying the rest.
// Objects that expire share volumes with those that expire within the same few
// seconds, so theirs go soon after them.
//
// It must not know a protocol, an SDK, a policy or a clock. It is the only
// package that knows Pebble, and it touches the disk only through Pebble's vfs.
package logstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headwater/internal/engine"
	"headwater/internal/mediastore"
)

// Options say where and how to keep data. Only Dir is needed.
type Options struct {
	// Dir is the data directory. It is made when it does not exist.
	Dir string
	// FS is the file system, vfs.Default when it is nil.
	FS vfs.FS
	// Log gets what an operator should know; nothing is logged when it is nil.
	Log *slog.Logger

	// InlineLimit is the size in bytes up to which a body is kept in the index
	// and not in a volume: 32 KiB when it is 0, none when it is negative, at most
	// 128 KiB.
	InlineLimit int
	// VolumeSize is the size in bytes at which a volume is sealed: 256 MiB when
	// it is 0, at least 256 KiB.
	VolumeSize int64
	// CacheSize is how many bytes of the index are cached in memory: 64 MiB when
	// it is 0.
	CacheSize int64
	// ReserveSpace is how many bytes of the file system uploads leave free, so
	// that the index can always be written and objects be deleted: 128 MiB when
	// it is 0, nothing when it is negative.
	ReserveSpace int64
	// MaxIdleVolumes is up to how many volume files are kept open: 256 when it
	// is 0. Those in use are open however many there are.
	MaxIdleVolumes int

	// CompactionRate is how many bytes per second are copied at most to give
	// back the room of dead objects in volumes that others share: 64 MiB when it
	// is 0, none when it is negative.
	CompactionRate int64
	// ScrubRate is how many bytes per second are read to find damaged ones: when
	// it is 0, as many as it takes to read all in a week, at least 1 MiB; none
	// when it is negative.
	ScrubRate int64

	// OnGroup, unless nil, is told how many operations each commit of the index
	// has carried. It is called by the one goroutine that commits, so it must be
	// quick, and must not call the engine.
	OnGroup func(operations int)

	// memTableSize bounds how much of the index's log Open replays: two tables
	// of it. Tests make it small.
	memTableSize uint64
	// readOnly opens the index without changing it; Fsck's.
	readOnly bool
	// compactEvery is how often the compactor looks for something to do.
	compactEvery time.Duration
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
		if abs, err := filepath.Abs(o.Dir); err == nil {
			o.Dir = abs // the lock is known by its name within a process
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.InlineLimit = min(128<<10, max(0, orDefault(o.InlineLimit, 32<<10)))
	o.VolumeSize = max(256<<10, orDefault(o.VolumeSize, 256<<20)) / alignment * alignment
	o.CacheSize = orDefault(o.CacheSize, 64<<20)
	o.ReserveSpace = max(0, orDefault(o.ReserveSpace, 128<<20))
	o.MaxIdleVolumes = orDefault(o.MaxIdleVolumes, 256)
	o.CompactionRate = orDefault(o.CompactionRate, 64<<20)
	o.compactEvery = orDefault(o.compactEvery, compactionInterval)
	o.memTableSize = orDefault(o.memTableSize, 32<<20)
	return o
}

func orDefault[N int | int64 | uint64 | time.Duration](n, value N) N {
	if n == 0 {
		return value
	}
	return n
}

// Engine implements engine.Engine.
type Engine struct {
	options   Options
	lock      io.Closer
	index     *index
	volumes   *volumes
	events    *eventLog
	committer *committer
	compactor *compactor
	scrubber  *scrubber
	scratch   sync.Pool    // of *[BlockSize]byte
	damaged   atomic.Int64 // objects that were found damaged, for Stats
	unchecked atomic.Int64 // bytes written since there was known to be room

	background struct {
		sync.WaitGroup
		stop context.CancelFunc
	}
	underway sync.WaitGroup
	life     struct {
		sync.RWMutex
		closed bool
	}
}

var _ engine.Engine = (*Engine)(nil)

// Open opens the store in a directory, or makes one. It fails with an error that
// wraps ErrInUse when another process has the directory open, and ErrFormat when
// it holds something that this version does not know. How long it takes does not
// depend on what the store holds.
func Open(options Options) (*Engine, error) {
	e := &Engine{options: options.withDefaults()}
	e.scratch.New = func() any { return new([BlockSize]byte) }
	if err := e.open(); err != nil {
		if closeErr := e.closeFiles(); closeErr != nil {
			e.options.Log.Warn("closing what Open had opened failed", "error", closeErr)
		}
		return nil, ioError("logstore.open", err)
	}
	e.start()
	return e, nil
}

// start begins what goes on in the background, until Close.
func (e *Engine) start() {
	ctx, stop := context.WithCancel(context.Background())
	e.background.stop = stop
	if e.options.CompactionRate > 0 {
		e.background.Go(func() { e.compactor.run(ctx) })
	}
	if e.options.ScrubRate >= 0 {
		e.background.Go(func() { e.scrubber.run(ctx) })
	}
}

func (e *Engine) open() (err error) {
	o := &e.options
	if e.lock, err = prepareDir(o.FS, o.Dir); err != nil {
		return err
	}
	if e.index, err = openIndex(o.FS.PathJoin(o.Dir, "index"), o); err != nil {
		return err
	}
	live, err := loadVolumes(e.index)
	if err != nil {
		return err
	}
	e.volumes = newVolumes(o, e.index.fuse.blown)
	if err := e.volumes.recover(live); err != nil {
		return err
	}
	if e.events, err = loadEvents(e.index); err != nil {
		return err
	}
	e.committer = newCommitter(e.index, e.volumes, e.events, o.OnGroup)
	e.compactor, e.scrubber = newCompactor(e), &scrubber{engine: e}
	return nil
}

func newVolumes(o *Options, frozen func() bool) *volumes {
	vs := &volumes{
		fs:      o.FS,
		dir:     volumesDir(o.FS, o.Dir),
		size:    o.VolumeSize,
		maxIdle: o.MaxIdleVolumes,
		log:     o.Log,
		frozen:  frozen,
	}
	vs.active.volumes = make(map[shelf]*volume)
	vs.mu.open = make(map[volumeID]*volume)
	return vs
}

// Close waits for what is under way and closes the store. After it every method
// fails with KindUnavailable, those of open readers and uploads too.
func (e *Engine) Close() error {
	e.life.Lock()
	closed := e.life.closed
	e.life.closed = true
	e.life.Unlock()
	if closed {
		return nil
	}
	e.events.close()
	e.background.stop()
	e.background.Wait()
	e.underway.Wait()
	return ioError("logstore.close", e.closeFiles())
}

// closeFiles closes what is open, the lock last.
func (e *Engine) closeFiles() error {
	var errs []error
	if e.committer != nil {
		e.committer.stop()
	}
	if e.volumes != nil {
		e.volumes.close()
	}
	if e.index != nil {
		errs = append(errs, e.index.Close())
	}
	if e.lock != nil {
		errs = append(errs, e.lock.Close())
	}
	return errors.Join(errs...)
}

// enter begins an operation, which must end with a call of exit. It fails when
// the engine is closed. No lock is held while the operation lasts.
func (e *Engine) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.life.RLock()
	defer e.life.RUnlock()
	if e.life.closed {
		return errClosed()
	}
	e.underway.Add(1)
	return nil
}

func (e *Engine) exit() { e.underway.Done() }

// prepareDir makes the data directory, locks it and checks its format.
func prepareDir(fsys vfs.FS, dir string) (io.Closer, error) {
	if err := fsys.MkdirAll(volumesDir(fsys, dir), 0o755); err != nil {
		return nil, err
	}
	lock, err := lockDir(fsys, dir)
	if err != nil {
		return nil, err
	}
	if err := checkFormat(fsys, dir); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

func volumesDir(fsys vfs.FS, dir string) string { return fsys.PathJoin(dir, "volumes") }

func lockDir(fsys vfs.FS, dir string) (io.Closer, error) {
	lock, err := fsys.Lock(fsys.PathJoin(dir, "LOCK"))
	var badFile *fs.PathError
	if err != nil && !errors.As(err, &badFile) {
		return nil, &mediastore.Error{
			Op:      "logstore.open",
			Kind:    mediastore.KindUnavailable,
			Message: fmt.Sprintf("data directory %s is in use by another headwater process", dir),
			Err:     fmt.Errorf("%w: %w", ErrInUse, err),
		}
	}
	return lock, err
}
