package logstore

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headwater/internal/mediastore"
)

// spaceInterval is how many bytes all uploads together may write until somebody
// looks again how much room is left.
const spaceInterval = 4 << 20

// checkSpace keeps some of the file system free for the index, after so many bytes
// more were written too. File systems that cannot tell how full they are count as
// never full.
func (e *Engine) checkSpace(more int64) error {
	usage, err := e.options.FS.GetDiskUsage(e.options.Dir)
	if errors.Is(err, vfs.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return ioError("logstore.space", err)
	}
	if usage.AvailBytes < uint64(e.options.ReserveSpace+more) {
		return &mediastore.Error{
			Op: "logstore.space", Kind: mediastore.KindStorageFull, Message: "There is no room left in the store",
			Err: fmt.Errorf("%d bytes are free, %d are kept in reserve", usage.AvailBytes, e.options.ReserveSpace),
		}
	}
	e.index.fuse.reserve.fill(int64(min(usage.AvailBytes, 1<<62)) - e.options.ReserveSpace)
	return nil
}

// spend is told of bytes that an upload is about to write. Uploads that began when
// there was room must not eat up the reserve.
func (e *Engine) spend(n int) error {
	if e.unchecked.Add(int64(n)) < spaceInterval {
		return nil
	}
	if err := e.checkSpace(0); err != nil {
		return err // and look again at the next write
	}
	e.unchecked.Store(0)
	return nil
}

// reserve is a file that only takes up room. What ReserveSpace leaves free others
// can fill; this they cannot. When the index finds the disk full, the file goes,
// and the index has its room: for deletes, and to give back what they have freed.
// It is made again when there is room enough.
type reserve struct {
	fs   vfs.FS
	path string
	size int64 // bytes; 0: there is none
	log  *slog.Logger
	mu   struct {
		sync.Mutex
		there bool
	}
}

// newReserve takes over the file when it is there.
func newReserve(o *Options) *reserve {
	r := &reserve{fs: o.FS, path: o.FS.PathJoin(o.Dir, "RESERVE"), size: o.ReserveSpace / 2, log: o.Log}
	_, err := r.fs.Stat(r.path)
	r.mu.there = err == nil
	return r
}

// fill makes the file when it is not there and that leaves as much room again.
func (r *reserve) fill(room int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.there || r.size == 0 || room < 2*r.size {
		return
	}
	r.mu.there = true
	if err := r.create(); err != nil {
		r.log.Warn("no room could be set aside for a full disk", "error", err)
		r.removeLocked()
	}
}

func (r *reserve) create() error {
	f, err := r.fs.Create(r.path, writeCategory)
	if err != nil {
		return err
	}
	return errors.Join(f.Preallocate(0, r.size), f.Close())
}

// release gives the room away, and reports whether there was any.
func (r *reserve) release() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.mu.there {
		return false
	}
	r.log.Error("the disk is full: the reserve of the index is used, so that objects can still be deleted", "bytes", r.size)
	return r.removeLocked()
}

func (r *reserve) removeLocked() bool {
	r.mu.there = false
	err := r.fs.Remove(r.path)
	if err != nil {
		r.log.Error("the reserve cannot be removed", "error", err)
	}
	return err == nil
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
