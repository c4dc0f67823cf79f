package logstore

import (
	"context"
	"fmt"
	"io"
	"sort"
	"sync"
	"sync/atomic"

	"headwater/internal/mediastore"
)

// reader implements engine.Reader. What it hands out was held against its
// checksums; a read fails rather than hand out other bytes. Reads of whole
// blocks (BlockSize) are the cheapest.
type reader struct {
	engine  *Engine
	object  mediastore.Object
	inline  []byte
	extents []openExtent

	// life is held for reading while bytes are read, so that Close cannot take
	// the files away.
	life   sync.RWMutex
	closed bool
}

// openExtent is an extent in a volume that the reader holds.
type openExtent struct {
	extent
	base   int64 // of its first byte in the object
	volume *volume
	table  atomic.Pointer[[]uint32] // loaded by the first read
}

// newReader opens the volumes that a version is in.
func newReader(e *Engine, record objectRecord) (*reader, error) {
	r := &reader{engine: e, object: record.object, inline: record.inline, extents: make([]openExtent, len(record.extents))}
	var base int64
	for i, x := range record.extents {
		v, err := e.volumes.acquire(x.volume)
		if err != nil {
			r.extents = r.extents[:i]
			r.release()
			return nil, err
		}
		o := &r.extents[i]
		o.extent, o.base, o.volume = x, base, v
		base += x.length
	}
	return r, nil
}

// Object implements engine.Reader.
func (r *reader) Object() mediastore.Object { return r.object }

// ReadAt implements io.ReaderAt.
func (r *reader) ReadAt(p []byte, off int64) (int, error) {
	if err := r.engine.enter(context.Background()); err != nil {
		return 0, err
	}
	defer r.engine.exit()
	r.life.RLock()
	defer r.life.RUnlock()
	if r.closed {
		return 0, errClosed()
	}
	if off < 0 || off >= r.object.Size {
		return 0, io.EOF
	}
	if r.object.Archived {
		return 0, damaged(r.object.Path, errArchived)
	}
	want := int(min(int64(len(p)), r.object.Size-off))
	if err := r.read(p[:want], off); err != nil {
		return 0, damaged(r.object.Path, err)
	}
	if want < len(p) {
		return want, io.EOF
	}
	return want, nil
}

// read fills p, which lies within the object.
func (r *reader) read(p []byte, off int64) error {
	if len(r.extents) == 0 {
		copy(p, r.inline[off:])
		return nil
	}
	i := sort.Search(len(r.extents), func(i int) bool { return r.extents[i].base > off }) - 1
	for len(p) > 0 {
		x := &r.extents[i]
		n := min(int64(len(p)), x.base+x.length-off)
		if err := r.readExtent(x, p[:n], off-x.base); err != nil {
			return fmt.Errorf("volume %s: %w", x.volume.id.fileName(), err)
		}
		p, off, i = p[n:], off+n, i+1
	}
	return nil
}

func (r *reader) readExtent(x *openExtent, p []byte, off int64) error {
	table := x.table.Load()
	if table == nil {
		loaded, err := loadTable(x.volume.file, x.extent)
		if err != nil {
			return err
		}
		table = &loaded
		x.table.Store(table)
	}
	v := verifiedReader{file: x.volume.file, extent: x.extent, table: *table, scratch: &r.engine.scratch}
	return v.readAt(p, off)
}

// Close implements io.Closer.
func (r *reader) Close() error {
	r.life.Lock()
	defer r.life.Unlock()
	if !r.closed {
		r.closed = true
		r.release()
	}
	return nil
}

func (r *reader) release() {
	for i := range r.extents {
		r.engine.volumes.release(r.extents[i].volume)
	}
}
