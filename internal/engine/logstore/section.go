package logstore

import (
	"context"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headwater/internal/engine"
)

var _ engine.FileReader = (*reader)(nil)

// Sections implements engine.FileReader. What leaves by a file is not looked at on
// its way, so an extent is held against its checksums before it does so for the
// first time since its volume was opened. The scrubber looks again later.
func (r *reader) Sections(off, n int64) ([]engine.Section, bool) {
	if err := r.engine.enter(context.Background()); err != nil {
		return nil, false
	}
	defer r.engine.exit()
	r.life.RLock()
	defer r.life.RUnlock()
	if r.closed || off < 0 || n > r.object.Size-off {
		return nil, false
	}
	var sections []engine.Section
	for i := range r.extents {
		x := &r.extents[i]
		from, to := max(off, x.base), min(off+n, x.base+x.length)
		if from >= to {
			continue
		}
		fd := x.volume.file.Fd()
		if fd == vfs.InvalidFd || !r.vouchFor(x) {
			return nil, false
		}
		sections = append(sections, engine.Section{File: x.volume.file, FD: fd, Offset: x.offset + from - x.base, Length: to - from})
	}
	return sections, len(sections) > 0
}

// vouchFor reports whether an extent is as it was written.
func (r *reader) vouchFor(x *openExtent) bool {
	if x.volume.vouched.has(x.offset) {
		return true
	}
	buffer := make([]byte, BlockSize)
	for off := int64(0); off < x.length; off += BlockSize {
		if err := r.readExtent(x, buffer[:min(BlockSize, x.length-off)], off); err != nil {
			return false // ReadAt says why
		}
	}
	x.volume.vouched.add(x.offset)
	return true
}

// vouched is a set of extents of a volume, by where they begin: a bit for each
// place where one can.
type vouched struct {
	mu struct {
		sync.RWMutex
		bits []uint64
	}
}

func (v *vouched) has(offset int64) bool {
	word, bit := bitOf(offset)
	v.mu.RLock()
	defer v.mu.RUnlock()
	return word < len(v.mu.bits) && v.mu.bits[word]&bit != 0
}

func (v *vouched) add(offset int64) {
	word, bit := bitOf(offset)
	v.mu.Lock()
	defer v.mu.Unlock()
	for word >= len(v.mu.bits) {
		v.mu.bits = append(v.mu.bits, 0)
	}
	v.mu.bits[word] |= bit
}

func bitOf(offset int64) (word int, bit uint64) {
	place := offset / alignment
	return int(place / 64), 1 << (place % 64)
}
