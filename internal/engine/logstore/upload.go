package logstore

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"headwater/internal/engine"
	"headwater/internal/mediastore"
)

// The extents of an upload whose size is not known double from the first to the
// last of these, in bytes.
const (
	firstExtent = 256 << 10
	lastExtent  = 4 << 20
)

// upload implements engine.Upload. A small body stays in memory and goes into
// the index; a larger one is written to its place in a volume as it arrives.
// What is read from an upload comes from the page cache that was just written
// and is not held against checksums.
type upload struct {
	engine *Engine
	id     mediastore.ContainerID
	spec   engine.UploadSpec

	// What the writer alone uses.
	sums      []checksums // one for each part
	failed    error       // of a write: the body has a gap
	committed bool

	// life is held for reading while the upload is used, so that Close cannot
	// take the files away.
	life   sync.RWMutex
	closed bool

	// mu guards what readers see. It is never held across I/O.
	mu struct {
		sync.Mutex
		memory []byte // the body, while there are no parts
		parts  []part // all are full, except perhaps the last one
		size   int64
	}
}

// part is room in a volume for a run of the body.
type part struct {
	volume   *volume
	base     int64 // of its first byte in the body
	offset   int64 // of its first byte in the volume
	capacity int64
}

func (p *part) end() int64 { return p.offset + footprint(p.capacity) }

var errCommitted error = &mediastore.Error{Op: "logstore.upload", Kind: mediastore.KindInternal, Err: errors.New("the upload was committed before")}

func newUpload(e *Engine, id mediastore.ContainerID, spec engine.UploadSpec) *upload {
	u := &upload{engine: e, id: id, spec: spec}
	if u.inMemory(max(0, spec.Size)) {
		u.mu.memory = make([]byte, 0, max(0, spec.Size))
	}
	return u
}

func (u *upload) inMemory(size int64) bool { return size <= int64(u.engine.options.InlineLimit) }

// enter begins a use of the upload, which must end with a call of exit.
func (u *upload) enter(ctx context.Context) error {
	if err := u.engine.enter(ctx); err != nil {
		return err
	}
	u.life.RLock()
	if u.closed {
		u.exit()
		return &mediastore.Error{Op: "logstore.upload", Kind: mediastore.KindInternal, Err: errors.New("the upload is closed")}
	}
	return nil
}

func (u *upload) exit() {
	u.life.RUnlock()
	u.engine.exit()
}

// Write implements io.Writer.
func (u *upload) Write(p []byte) (int, error) {
	if err := u.enter(context.Background()); err != nil {
		return 0, err
	}
	defer u.exit()
	if u.failed != nil || len(p) == 0 {
		return 0, u.failed
	}
	n, err := u.write(p)
	if err != nil {
		u.failed = ioError("logstore.write", err)
	}
	return n, u.failed
}

func (u *upload) write(p []byte) (int, error) {
	size := u.mu.size // only the writer changes it
	if len(u.mu.parts) == 0 {
		if u.inMemory(max(u.spec.Size, size+int64(len(p)))) {
			u.appendMemory(p)
			return len(p), nil
		}
		if err := u.spill(); err != nil {
			return 0, err
		}
	}
	return u.writeParts(p)
}

func (u *upload) appendMemory(p []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.mu.memory = append(u.mu.memory, p...)
	u.mu.size += int64(len(p))
}

// spill moves the body from memory into a volume.
func (u *upload) spill() error {
	first, err := u.reserve(0)
	if err != nil {
		return err
	}
	memory := u.mu.memory
	if _, err := first.volume.file.WriteAt(memory, first.offset); err != nil {
		u.engine.volumes.abandon(&first)
		return err
	}
	u.addPart(first)
	u.sums[0].write(memory)
	return nil
}

func (u *upload) addPart(p part) {
	u.sums = append(u.sums, checksums{})
	u.mu.Lock()
	defer u.mu.Unlock()
	u.mu.memory = nil
	u.mu.parts = append(u.mu.parts, p)
}

// reserve finds room for what comes at the place base of the body.
func (u *upload) reserve(base int64) (part, error) {
	length := u.spec.Size - base
	if length <= 0 {
		length = int64(min(lastExtent, firstExtent<<min(len(u.mu.parts), 8)))
	}
	length = min(length, largestExtent(u.engine.options.VolumeSize))
	length = max(length, int64(len(u.mu.memory)))
	v, offset, err := u.engine.volumes.reserve(shelfOf(u.spec.ExpiresAt), length)
	return part{volume: v, base: base, offset: offset, capacity: length}, err
}

func (u *upload) writeParts(p []byte) (written int, err error) {
	for len(p) > 0 {
		last, err := u.lastPart()
		if err != nil {
			return written, err
		}
		at := u.mu.size - last.base
		n := int(min(int64(len(p)), last.capacity-at))
		if err := u.engine.spend(n); err != nil {
			return written, err
		}
		if _, err := last.volume.file.WriteAt(p[:n], last.offset+at); err != nil {
			return written, err
		}
		u.sums[len(u.sums)-1].write(p[:n])
		u.grow(n)
		p, written = p[n:], written+n
	}
	return written, nil
}

func (u *upload) grow(n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.mu.size += int64(n)
}

// lastPart is the part where the next byte goes.
func (u *upload) lastPart() (part, error) {
	last := u.mu.parts[len(u.mu.parts)-1]
	if u.mu.size < last.base+last.capacity {
		return last, nil
	}
	next, err := u.reserve(u.mu.size)
	if err == nil {
		u.addPart(next)
	}
	return next, err
}

// ReadAt implements io.ReaderAt.
func (u *upload) ReadAt(p []byte, off int64) (int, error) {
	if err := u.enter(context.Background()); err != nil {
		return 0, err
	}
	defer u.exit()
	u.mu.Lock()
	memory, parts, size := u.mu.memory, u.mu.parts, u.mu.size
	u.mu.Unlock()

	if off < 0 || off >= size {
		return 0, io.EOF
	}
	want := int(min(int64(len(p)), size-off))
	if len(parts) == 0 {
		copy(p, memory[off:])
	} else if err := readParts(parts, p[:want], off); err != nil {
		return 0, ioError("logstore.read", err)
	}
	if want < len(p) {
		return want, io.EOF
	}
	return want, nil
}

func readParts(parts []part, p []byte, off int64) error {
	for i := range parts {
		x := &parts[i]
		if off >= x.base+x.capacity || len(p) == 0 {
			continue
		}
		n := min(int64(len(p)), x.base+x.capacity-off)
		if err := readFull(x.volume.file, p[:n], x.offset+off-x.base); err != nil {
			return err
		}
		p, off = p[n:], off+n
	}
	return nil
}

// Commit implements engine.Upload.
func (u *upload) Commit(ctx context.Context, obj mediastore.Object, pre mediastore.Precondition) error {
	if err := u.enter(ctx); err != nil {
		return err
	}
	defer u.exit()
	if u.failed != nil {
		return u.failed
	}
	u.failed = errCommitted
	extents, err := u.finish()
	if err != nil {
		return ioError("logstore.write", err)
	}
	obj.Path, obj.Size = u.spec.Path, u.mu.size
	record := objectRecord{object: obj, extents: extents, inline: u.mu.memory}
	op := &putObject{id: u.id, pre: pre, class: shelfOf(u.spec.ExpiresAt).class, record: record, value: record.encode()}
	err = u.engine.committer.submit(ctx, op, len(op.value), u.volumes()...)
	u.committed = err == nil
	return err
}

// finish writes the checksums of all parts behind their bytes.
func (u *upload) finish() ([]extent, error) {
	u.trim()
	extents := make([]extent, len(u.mu.parts))
	for i := range u.mu.parts {
		p := &u.mu.parts[i]
		table, sum := u.sums[i].encode()
		if _, err := p.volume.file.WriteAt(table, p.offset+p.capacity); err != nil {
			return nil, err
		}
		extents[i] = extent{volume: p.volume.id, offset: p.offset, length: p.capacity, sum: sum}
	}
	return extents, nil
}

// trim gives back the room that the last part has too much.
func (u *upload) trim() {
	if len(u.mu.parts) == 0 {
		return
	}
	parts := slices.Clone(u.mu.parts) // readers hold the old ones
	last := &parts[len(parts)-1]
	end := last.end()
	last.capacity = u.mu.size - last.base
	u.mu.Lock()
	u.mu.parts = parts
	u.mu.Unlock()
	u.engine.volumes.giveBack(last.volume, last.end(), end)
}

func (u *upload) volumes() []*volume {
	var vs []*volume
	for i := range u.mu.parts {
		vs = append(vs, u.mu.parts[i].volume)
	}
	return vs
}

// Close implements io.Closer.
func (u *upload) Close() error {
	u.life.Lock()
	defer u.life.Unlock()
	if u.closed {
		return nil
	}
	u.closed = true
	for i := len(u.mu.parts) - 1; i >= 0; i-- {
		u.drop(&u.mu.parts[i])
	}
	u.mu.memory = nil
	return nil
}

// drop lets go of a part, and of its room when nothing names it.
func (u *upload) drop(p *part) {
	if !u.committed {
		u.engine.volumes.abandon(p)
		return
	}
	u.engine.volumes.release(p.volume)
}
