package logstore

import (
	"context"
	"errors"
	"io/fs"
	"runtime"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Checkpoint makes a copy of the store, as it is at some moment of the call, in a
// directory that must not exist. Open opens it as it would open the store after a
// power cut at that moment: all that was acknowledged before the call is in it. It
// costs little room and time where the directory is on the store's file system,
// because files that do not change any more are hard links. None of the copy's
// files is changed by the store later on.
//
// Everything else goes on meanwhile. When Checkpoint fails, or ctx ends, the
// directory is gone.
func (e *Engine) Checkpoint(ctx context.Context, dir string) error {
	if err := e.enter(ctx); err != nil {
		return err
	}
	defer e.exit()
	fsys := e.options.FS
	if _, err := fsys.Stat(dir); err == nil {
		return ioError("logstore.checkpoint", &fs.PathError{Op: "checkpoint", Path: dir, Err: fs.ErrExist})
	}
	err := e.checkpoint(ctx, dir)
	if err != nil {
		err = errors.Join(err, fsys.RemoveAll(dir))
	}
	return ioError("logstore.checkpoint", err)
}

// checkpoint copies the index before the volumes, as a version's bytes are there
// before the index names them. The pin is what keeps them there until they are
// copied. FORMAT comes last: without it the directory is refused.
func (e *Engine) checkpoint(ctx context.Context, dir string) error {
	e.volumes.pins.hold()
	defer e.volumes.unpin()
	e.volumes.sealAll()
	if err := e.checkpointIndex(dir); err != nil {
		return err
	}
	if err := e.checkpointVolumes(ctx, dir); err != nil {
		return err
	}
	return writeFormat(e.options.FS, dir)
}

// checkpointIndex copies the index. Behind a blown fuse Pebble would be told that
// what was not done has gone well.
func (e *Engine) checkpointIndex(dir string) error {
	if err := e.index.fuse.err(); err != nil {
		return err
	}
	if err := e.checkSpace(int64(e.index.Metrics().WAL.Size)); err != nil { // Pebble copies its log
		return err
	}
	err := e.index.checkpoint(e.options.FS.PathJoin(dir, "index"))
	if blown := e.index.fuse.err(); blown != nil {
		return blown
	}
	return err
}

// checkpoint is that of Pebble, which panics when it cannot sync the directory of
// the copy. It holds no lock then.
func (x *index) checkpoint(dir string) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		cause, ok := p.(error)
		if _, bug := p.(runtime.Error); bug || !ok {
			panic(p)
		}
		err = cause
	}()
	return x.Checkpoint(dir, pebble.WithFlushedWAL())
}

// checkpointVolumes copies all volumes that there are, which are more than the
// copied index names: Open removes the others.
func (e *Engine) checkpointVolumes(ctx context.Context, dir string) error {
	fsys, to := e.options.FS, volumesDir(e.options.FS, dir)
	if err := fsys.MkdirAll(to, 0o755); err != nil {
		return err
	}
	names, err := fsys.List(e.volumes.dir)
	if err != nil {
		return err
	}
	changing := e.volumes.changing()
	for _, name := range names {
		id, ok := parseVolumeName(name)
		if !ok {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := e.checkpointVolume(id, fsys.PathJoin(to, name), changing[id]); err != nil {
			return err
		}
	}
	return syncDir(fsys, to)
}

// checkpointVolume links a volume, or copies one that may still be written, so that
// the copy stays as it is. One that is gone was dead before the pin.
func (e *Engine) checkpointVolume(id volumeID, to string, changing bool) error {
	err := e.copyVolume(id, to, changing)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (e *Engine) copyVolume(id volumeID, to string, changing bool) error {
	fsys, from := e.options.FS, e.volumes.path(id)
	if !changing {
		return vfs.LinkOrCopy(fsys, from, to)
	}
	info, err := fsys.Stat(from)
	if err != nil {
		return err
	}
	if err := e.checkSpace(info.Size()); err != nil {
		return err
	}
	return vfs.LimitedCopy(fsys, from, to, info.Size())
}

// sealAll seals every active volume: those that nobody is writing to do not change
// from then on.
func (vs *volumes) sealAll() {
	vs.active.Lock()
	defer vs.active.Unlock()
	for s := range vs.active.volumes {
		vs.sealLocked(s)
	}
}

// changing returns the volumes that may still be written: those that this process
// has written to and somebody holds. Who only reads is taken for a writer.
func (vs *volumes) changing() map[volumeID]bool {
	vs.active.Lock()
	defer vs.active.Unlock()
	vs.mu.Lock()
	defer vs.mu.Unlock()
	changing := make(map[volumeID]bool)
	for id, v := range vs.mu.open {
		if v.end > 0 && v.refs > 0 {
			changing[id] = true
		}
	}
	return changing
}

// pins keep the files of volumes from being removed.
type pins struct {
	sync.Mutex
	held      int
	postponed []volumeID
}

func (p *pins) hold() {
	p.Lock()
	defer p.Unlock()
	p.held++
}

// postpone reports whether a volume must not be removed now. It is when the last
// pin goes.
func (p *pins) postpone(id volumeID) bool {
	p.Lock()
	defer p.Unlock()
	if p.held > 0 {
		p.postponed = append(p.postponed, id)
	}
	return p.held > 0
}

// release lets go of a pin and returns what is to be removed.
func (p *pins) release() []volumeID {
	p.Lock()
	defer p.Unlock()
	if p.held--; p.held > 0 {
		return nil
	}
	ids := p.postponed
	p.postponed = nil
	return ids
}

func (vs *volumes) unpin() {
	for _, id := range vs.pins.release() {
		vs.removals.Go(func() { vs.remove(id) })
	}
}
