package logstore

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// volumeID numbers the volumes. A number is not used twice while the engine is
// open, and never for two volumes that the index names.
type volumeID uint32

func (id volumeID) fileName() string { return fmt.Sprintf("%08x.vol", uint32(id)) }

// class parts the volumes by how long what is in them will live.
type class uint8

const (
	classLasting class = iota
	classShort         // objects under a transient lifecycle rule
	classes
)

const writeCategory vfs.DiskWriteCategory = "headwater-volume"

// volumes keeps the volume files: which are open, where the next bytes go, and
// which can be removed.
//
// A volume is written only by the process that made it. It stays the active one
// of its class until it is full, or its disk failed; then it is sealed for good.
type volumes struct {
	fs      vfs.FS
	dir     string
	size    int64 // bytes, a multiple of alignment
	maxIdle int   // files that are kept open although nobody uses them
	log     *slog.Logger
	// frozen is true once the index has failed: what was to be committed then
	// may be in it or not, so nothing may be removed or given back any more.
	frozen func() bool

	active [classes]struct {
		sync.Mutex
		volume *volume
	}
	removals sync.WaitGroup
	mu       struct {
		sync.Mutex
		open   map[volumeID]*volume
		next   volumeID
		closed bool
	}
}

// volume is an open volume file.
type volume struct {
	id    volumeID
	class class

	opening sync.Once
	file    vfs.File
	err     error // of opening

	end     int64       // where the next extent goes; guarded by the lock of active
	broken  atomic.Bool // a sync failed: what is not synced yet never will be
	durable bool        // the directory entry is on disk; the committer's

	// Guarded by volumes.mu.
	refs  int  // readers, uploads, and being active
	empty bool // no current version has bytes here
}

func (vs *volumes) path(id volumeID) string { return vs.fs.PathJoin(vs.dir, id.fileName()) }

// reserve finds room for length bytes of an object, at most largestExtent. The
// volume is acquired for the caller.
func (vs *volumes) reserve(c class, length int64) (*volume, int64, error) {
	a := &vs.active[c]
	a.Lock()
	defer a.Unlock()
	need := footprint(length)
	if a.volume == nil || a.volume.broken.Load() || a.volume.end+need > vs.size {
		if err := vs.rollLocked(c); err != nil {
			return nil, 0, err
		}
	}
	v := a.volume
	offset := v.end
	v.end += need
	vs.ref(v)
	return v, offset, nil
}

// rollLocked seals the active volume of a class and makes a new one.
func (vs *volumes) rollLocked(c class) error {
	a := &vs.active[c]
	v, err := vs.create(c)
	if err != nil {
		return err
	}
	if a.volume != nil {
		vs.release(a.volume)
	}
	a.volume = v
	return nil
}

func (vs *volumes) create(c class) (*volume, error) {
	vs.mu.Lock()
	id := vs.mu.next
	vs.mu.next++
	vs.mu.Unlock()

	file, err := vs.fs.OpenReadWrite(vs.path(id), writeCategory)
	if err != nil {
		return nil, err
	}
	v := &volume{id: id, class: c, file: file, empty: true, refs: 1}
	v.opening.Do(func() {}) // it is open
	vs.mu.Lock()
	defer vs.mu.Unlock()
	vs.mu.open[id] = v
	return v, nil
}

// giveBack returns room that was reserved, from the place to on, when nothing
// was reserved behind it. Otherwise it stays as a hole that was never written,
// or as dead bytes.
func (vs *volumes) giveBack(v *volume, to, end int64) {
	a := &vs.active[v.class]
	a.Lock()
	defer a.Unlock()
	if v.end == end && !vs.frozen() {
		v.end = to
	}
}

// acquire opens a volume for reading. It must be released.
func (vs *volumes) acquire(id volumeID) (*volume, error) {
	vs.mu.Lock()
	v := vs.mu.open[id]
	if v == nil {
		v = &volume{id: id}
		vs.mu.open[id] = v
	}
	v.refs++
	vs.mu.Unlock()

	v.opening.Do(func() { v.file, v.err = vs.fs.Open(vs.path(id)) })
	if v.err != nil {
		vs.release(v)
		return nil, v.err
	}
	return v, nil
}

func (vs *volumes) ref(v *volume) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	v.refs++
}

// release ends what acquire, reserve or ref began.
func (vs *volumes) release(v *volume) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	v.refs--
	vs.tidyLocked(v)
}

// setEmpty notes whether any current version has bytes in a volume.
func (vs *volumes) setEmpty(id volumeID, empty bool) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	v := vs.mu.open[id]
	if v == nil && empty {
		vs.removals.Go(func() { vs.remove(id) })
	}
	if v != nil {
		v.empty = empty
		vs.tidyLocked(v)
	}
}

// tidyLocked closes a volume that nobody uses when it is of no more use, and
// removes it when it is empty. A closed volume is forgotten first, so that no
// one finds it; who comes later opens the file anew.
func (vs *volumes) tidyLocked(v *volume) {
	if v.refs > 0 || vs.mu.closed || vs.mu.open[v.id] != v {
		return
	}
	dead := v.empty && !vs.frozen()
	if !dead && v.err == nil && len(vs.mu.open) <= vs.maxIdle {
		return
	}
	delete(vs.mu.open, v.id)
	vs.removals.Go(func() {
		vs.closeFile(v)
		if dead {
			vs.remove(v.id)
		}
	})
}

func (vs *volumes) closeFile(v *volume) {
	if v.file == nil {
		return
	}
	if err := v.file.Close(); err != nil {
		vs.log.Warn("closing a volume failed", "volume", v.id.fileName(), "error", err)
	}
}

// remove deletes an empty volume. When that fails the next Open does it.
func (vs *volumes) remove(id volumeID) {
	if err := vs.fs.Remove(vs.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		vs.log.Warn("removing an empty volume failed", "volume", id.fileName(), "error", err)
	}
}

// sync makes what was written to a volume durable, its name included. When that
// fails the kernel may have dropped the bytes and call the next sync a success:
// the volume is never written again, and nothing that is not yet in the index
// may come to point to it. Only the committer calls it.
func (vs *volumes) sync(v *volume) error {
	if v.broken.Load() {
		return fmt.Errorf("volume %s failed before", v.id.fileName())
	}
	err := v.file.SyncData()
	if err == nil && !v.durable {
		err = syncDir(vs.fs, vs.dir)
	}
	if err != nil {
		v.broken.Store(true)
		vs.log.Error("a volume failed and is sealed", "volume", v.id.fileName(), "error", err)
		return err
	}
	v.durable = true
	return nil
}

// close closes every file, whoever uses it: the engine lets nobody read or write
// any more.
func (vs *volumes) close() {
	vs.mu.Lock()
	vs.mu.closed = true
	open := vs.mu.open
	vs.mu.open = nil
	vs.mu.Unlock()
	for _, v := range open {
		vs.closeFile(v)
	}
	vs.removals.Wait()
}

// recover is called once, before anything else, with the volumes that the index
// names. Files that it does not name hold nothing: they are removed, and the
// directory is synced so that none of them comes back under a number that is
// given to a new volume.
func (vs *volumes) recover(live map[volumeID]volumeRecord) error {
	names, err := vs.fs.List(vs.dir)
	if err != nil {
		return err
	}
	found := make(map[volumeID]bool)
	var removed bool
	for _, name := range names {
		id, ok := parseVolumeName(name)
		if !ok {
			continue
		}
		vs.mu.next = max(vs.mu.next, id+1)
		if _, ok := live[id]; ok {
			found[id] = true
			continue
		}
		if err := vs.fs.Remove(vs.path(id)); err != nil {
			return err
		}
		removed = true
	}
	vs.reportMissing(live, found)
	if !removed {
		return nil
	}
	return syncDir(vs.fs, vs.dir)
}

// reportMissing cries out over volumes that the index names and that are not
// there. The rest of the store is still of use, so it opens.
func (vs *volumes) reportMissing(live map[volumeID]volumeRecord, found map[volumeID]bool) {
	for id, record := range live {
		vs.mu.next = max(vs.mu.next, id+1)
		if !found[id] {
			vs.log.Error("a volume is missing: the objects in it cannot be read", "volume", id.fileName(), "bytes", record.live)
		}
	}
}

func parseVolumeName(name string) (volumeID, bool) {
	var n uint32
	if _, err := fmt.Sscanf(name, "%08x.vol", &n); err != nil || volumeID(n).fileName() != name {
		return 0, false
	}
	return volumeID(n), true
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
