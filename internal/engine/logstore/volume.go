package logstore

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

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

// shelf says which objects share a volume: those that will die together. Then a
// volume is dead whole soon after its first object, and disk use follows what is
// live, also where some objects live for seconds and some for minutes.
type shelf struct {
	class  class
	period int64 // of classShort: when its objects expire, in periods of Unix time
}

const (
	// shelfPeriod is how many seconds lie between the first and the last expiry
	// on a shelf: how long the room of an object can outlive it.
	shelfPeriod = 5
	// maxShelves is how many volumes are written at the same time. Objects live
	// for up to 300 seconds, so it is not reached unless the sweeper is late.
	maxShelves = 80
)

func shelfOf(expires time.Time) shelf {
	if expires.IsZero() {
		return shelf{class: classLasting}
	}
	return shelf{classShort, expires.Unix() / shelfPeriod}
}

const writeCategory vfs.DiskWriteCategory = "headwater-volume"

// volumes keeps the volume files: which are open, where the next bytes go, and
// which can be removed.
//
// A volume is written only by the process that made it. It stays the active one
// of its shelf until it is full, or its disk failed, or all that was in it is
// dead; then it is sealed for good.
type volumes struct {
	fs      vfs.FS
	dir     string
	size    int64 // bytes, a multiple of alignment
	maxIdle int   // files that are kept open although nobody uses them
	log     *slog.Logger
	// frozen is true once the index has failed: what was to be committed then
	// may be in it or not, so nothing may be removed or given back any more.
	frozen func() bool

	// active is locked before mu.
	active struct {
		sync.Mutex
		volumes map[shelf]*volume
	}
	shelves  atomic.Int64 // active volumes, for who must not wait
	removals sync.WaitGroup
	pins     pins
	live     atomic.Int64 // bytes that current versions occupy, of all volumes
	mu       struct {
		sync.Mutex
		open   map[volumeID]*volume
		files  int
		next   volumeID
		closed bool
	}
}

// volume is an open volume file.
type volume struct {
	id    volumeID
	shelf shelf // of one that is, or was, active

	opening sync.Once
	file    vfs.File
	err     error // of opening

	end     int64       // where the next extent goes; guarded by the lock of active
	broken  atomic.Bool // a sync failed: what is not synced yet never will be
	durable bool        // the directory entry is on disk; the committer's
	vouched vouched     // extents that were held against their checksums

	// Guarded by volumes.mu.
	refs  int  // readers, uploads, and being active
	empty bool // no current version has bytes here
}

func (vs *volumes) path(id volumeID) string { return vs.fs.PathJoin(vs.dir, id.fileName()) }

// reserve finds room for length bytes of an object, at most largestExtent. The
// volume is acquired for the caller.
func (vs *volumes) reserve(s shelf, length int64) (_ *volume, offset int64, err error) {
	vs.active.Lock()
	defer vs.active.Unlock()
	need := footprint(length)
	v := vs.active.volumes[s]
	if v == nil || v.broken.Load() || v.end+need > vs.size {
		if v, err = vs.rollLocked(s); err != nil {
			return nil, 0, err
		}
	}
	offset = v.end
	v.end += need
	vs.ref(v)
	return v, offset, nil
}

// rollLocked seals the active volume of a shelf and makes a new one.
func (vs *volumes) rollLocked(s shelf) (*volume, error) {
	v, err := vs.create(s)
	if err != nil {
		return nil, err
	}
	vs.sealLocked(s)
	if len(vs.active.volumes) >= maxShelves {
		vs.sealLocked(vs.earliestLocked())
	}
	vs.active.volumes[s] = v
	vs.shelves.Store(int64(len(vs.active.volumes)))
	return v, nil
}

func (vs *volumes) sealLocked(s shelf) {
	if v := vs.active.volumes[s]; v != nil {
		delete(vs.active.volumes, s)
		vs.shelves.Store(int64(len(vs.active.volumes)))
		vs.unref(v)
	}
}

// earliestLocked is the shelf whose objects expire first. The time of its uploads
// is the first to be over.
func (vs *volumes) earliestLocked() shelf {
	first := shelf{class: classShort, period: math.MaxInt64}
	for s := range vs.active.volumes {
		if s.class == classShort && s.period < first.period {
			first = s
		}
	}
	return first
}

// retire seals an active volume in which nothing is alive and nothing is being
// written: there may be no further upload to its shelf, and its room is needed.
func (vs *volumes) retire(v *volume) {
	vs.active.Lock()
	defer vs.active.Unlock()
	if vs.active.volumes[v.shelf] == v && !vs.frozen() && vs.isIdle(v) {
		vs.sealLocked(v.shelf)
	}
}

// isIdle reports whether an active volume is empty and used by nobody.
func (vs *volumes) isIdle(v *volume) bool {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	return v.idleLocked()
}

func (v *volume) idleLocked() bool { return v.empty && v.refs == 1 }

func (vs *volumes) create(s shelf) (*volume, error) {
	vs.mu.Lock()
	id := vs.mu.next
	vs.mu.next++
	vs.mu.Unlock()

	file, err := vs.fs.OpenReadWrite(vs.path(id), writeCategory)
	if err != nil {
		return nil, err
	}
	v := &volume{id: id, shelf: s, file: file, empty: true, refs: 1}
	v.opening.Do(func() {}) // it is open
	vs.mu.Lock()
	defer vs.mu.Unlock()
	vs.mu.open[id] = v
	vs.mu.files++
	return v, nil
}

// giveBack returns room that was reserved, from the place to on, when nothing
// was reserved behind it. Otherwise it stays as a hole that was never written,
// or as dead bytes.
func (vs *volumes) giveBack(v *volume, to, end int64) {
	vs.active.Lock()
	defer vs.active.Unlock()
	if v.end == end && !vs.frozen() {
		v.end = to
	}
}

// abandon lets go of a part that nothing names, and of its room.
func (vs *volumes) abandon(p *part) {
	vs.giveBack(p.volume, p.offset, p.end())
	vs.release(p.volume)
}

// isActive reports whether a volume may still be written.
func (vs *volumes) isActive(id volumeID) bool {
	vs.active.Lock()
	defer vs.active.Unlock()
	for _, v := range vs.active.volumes {
		if v.id == id {
			return true
		}
	}
	return false
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
	if vs.unref(v) {
		vs.retire(v)
	}
}

// unref does so and leaves it to the caller to retire a volume that is idle now.
func (vs *volumes) unref(v *volume) (idle bool) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	v.refs--
	vs.tidyLocked(v)
	return v.idleLocked()
}

// setEmpty notes whether any current version has bytes in a volume.
func (vs *volumes) setEmpty(id volumeID, empty bool) {
	if v, idle := vs.noteEmpty(id, empty); idle {
		vs.retire(v)
	}
}

func (vs *volumes) noteEmpty(id volumeID, empty bool) (v *volume, idle bool) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	v = vs.mu.open[id]
	if v == nil {
		if empty {
			vs.removals.Go(func() { vs.remove(id) })
		}
		return nil, false
	}
	v.empty = empty
	vs.tidyLocked(v)
	return v, v.idleLocked()
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

// remove deletes an empty volume. When that fails the next Open does it. Who has
// opened the file since it was found empty, on the way to a version that is dead,
// must not keep its room.
func (vs *volumes) remove(id volumeID) {
	if vs.pins.postpone(id) {
		return
	}
	err := vs.fs.Remove(vs.path(id))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		vs.log.Warn("removing an empty volume failed", "volume", id.fileName(), "error", err)
	}
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if err == nil {
		vs.mu.files--
	}
	if v := vs.mu.open[id]; v != nil {
		v.empty = true
		vs.tidyLocked(v)
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
			vs.mu.files++
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
		vs.live.Add(record.live)
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
