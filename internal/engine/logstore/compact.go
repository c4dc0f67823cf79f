package logstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// compactor gives back the room of what is dead in volumes that still hold
// something. It copies what is alive in them behind what was written last, lets
// the index point there, and the emptied volumes go as they always do.
//
// Which versions lie in a volume is not noted anywhere: that would cost every put
// an entry. A walk of the index finds them, for all volumes that are worth it at
// once, and only when there is as much to gain as the walk reads. So over time
// what compaction reads and writes is bounded by what it gives back: the walk by
// once that, and the copies, of volumes that are at most half alive, by once that
// for reading and once for writing.
type compactor struct {
	engine *Engine
	pace   pace
	every  time.Duration
	// stuck are volumes with damaged bytes: what is damaged stays where it is,
	// for somebody to look at.
	stuck map[volumeID]bool

	moved, volumes, bytes atomic.Int64 // for Stats
}

// compactionInterval is how often the compactor looks whether there is something
// to gain. What it looks at is the size of each volume.
const compactionInterval = time.Minute

func newCompactor(e *Engine) *compactor {
	return &compactor{
		engine: e, pace: pace{rate: e.options.CompactionRate}, every: e.options.compactEvery,
		stuck: make(map[volumeID]bool),
	}
}

// run compacts until ctx ends.
func (c *compactor) run(ctx context.Context) {
	for rest(ctx, c.every) == nil {
		if c.engine.index.fuse.blown() {
			continue
		}
		if err := c.pass(ctx); err != nil && ctx.Err() == nil {
			c.engine.options.Log.Warn("compaction of volumes stopped, and will be tried again", "error", err)
		}
	}
}

// victim is a volume that is to be emptied.
type victim struct {
	id         volumeID
	size, live int64 // bytes
}

func (v victim) dead() int64    { return v.size - v.live }
func (v victim) alive() float64 { return float64(v.live) / float64(v.size) }

// pass empties what is worth it.
func (c *compactor) pass(ctx context.Context) error {
	chosen, err := c.choose()
	if err != nil || len(chosen) == 0 {
		return err
	}
	victims := make(map[volumeID]bool, len(chosen))
	for _, v := range chosen {
		victims[v.id] = true
	}
	err = c.empty(ctx, victims)
	return errors.Join(err, c.count(chosen))
}

// empty walks the index and moves what lies in the volumes.
func (c *compactor) empty(ctx context.Context, victims map[volumeID]bool) error {
	liesInOne := func(r *objectRecord) bool {
		return slices.ContainsFunc(r.extents, func(x extent) bool { return victims[x.volume] })
	}
	for from := walkStart(); from != nil; {
		p, err := readPage(c.engine.index, from, liesInOne)
		if err != nil {
			return err
		}
		if err := c.pace.spend(ctx, p.read); err != nil {
			return err
		}
		if err := c.move(ctx, p.versions, victims); err != nil {
			return err
		}
		from = p.next
	}
	return nil
}

// count takes note of the volumes that are empty now.
func (c *compactor) count(chosen []victim) error {
	for _, v := range chosen {
		_, left, err := lookup(c.engine.index, volumeKey(v.id), decodeVolume)
		if err != nil {
			return err
		}
		if !left {
			c.volumes.Add(1)
			c.bytes.Add(v.size)
		}
	}
	return nil
}

// choose returns the volumes that are at least half dead, the emptiest first and
// as many as there is room to copy what is alive, or none when they are not worth
// a walk.
func (c *compactor) choose() ([]victim, error) {
	candidates, total, err := c.candidates()
	if err != nil {
		return nil, err
	}
	room, tight, err := c.room()
	if err != nil {
		return nil, err
	}
	var dead int64
	for i, v := range candidates {
		if room -= v.live; room < 0 {
			candidates = candidates[:i]
			break
		}
		dead += v.dead()
	}
	indexBytes := int64(c.engine.index.Metrics().DiskSpaceUsage())
	if !tight && dead < min(indexBytes, total/4) {
		return nil, nil
	}
	return candidates, nil
}

// candidates returns the sealed volumes of lasting objects that are at least half
// dead, and the size of all volumes of these. Those of objects that expire die
// whole, and soon.
func (c *compactor) candidates() (candidates []victim, total int64, err error) {
	records, err := loadVolumes(c.engine.index)
	if err != nil {
		return nil, 0, err
	}
	for id, record := range records {
		if record.class != classLasting || c.stuck[id] || c.engine.volumes.isActive(id) {
			continue
		}
		info, err := c.engine.options.FS.Stat(c.engine.volumes.path(id))
		if err != nil {
			continue // removed since, or reported as missing
		}
		total += info.Size()
		if v := (victim{id, info.Size(), record.live}); v.dead() >= v.live {
			candidates = append(candidates, v)
		}
	}
	slices.SortFunc(candidates, func(a, b victim) int {
		return cmp.Or(cmp.Compare(a.alive(), b.alive()), cmp.Compare(a.id, b.id))
	})
	return candidates, total, nil
}

// room is how many bytes may be written before any are given back: of the space
// that uploads leave free, compaction may use half to make more. It is tight when
// uploads are about to be refused: then every volume is worth a walk.
func (c *compactor) room() (bytes int64, tight bool, err error) {
	usage, err := c.engine.options.FS.GetDiskUsage(c.engine.options.Dir)
	if errors.Is(err, vfs.ErrUnsupported) {
		return 1 << 62, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	reserve, free := c.engine.options.ReserveSpace, int64(min(usage.AvailBytes, 1<<62))
	return free - reserve/2, free < 2*reserve, nil
}

// move copies what the versions have in the victims, and makes the copies theirs
// in one step.
func (c *compactor) move(ctx context.Context, versions []located, victims map[volumeID]bool) error {
	op := &relocate{}
	defer func() { op.release(c.engine.volumes) }()
	for i := range versions {
		if err := c.copyVersion(ctx, op, &versions[i], victims); err != nil {
			return err
		}
	}
	if len(op.moves) == 0 {
		return nil
	}
	const each = 256 // bytes of a record, about
	if err := c.engine.committer.submit(ctx, op, each*len(op.moves), op.volumes()...); err != nil {
		return err
	}
	op.committed = true
	c.moved.Add(op.moved)
	return nil
}

// copyVersion copies a version's extents that lie in victims. One that is not
// there any more, or is damaged, stays as it is.
func (c *compactor) copyVersion(ctx context.Context, op *relocate, v *located, victims map[volumeID]bool) error {
	m := &relocation{located: *v, extents: slices.Clone(v.record.extents)}
	op.moves = append(op.moves, m)
	for i, x := range v.record.extents {
		if !victims[x.volume] {
			continue
		}
		p, err := c.copyExtent(ctx, x, shelfOf(v.record.object.ExpiresAt))
		var unreadable *unreadableError
		switch {
		case err == nil:
			m.parts = append(m.parts, p)
			m.extents[i].volume, m.extents[i].offset = p.volume.id, p.offset
		case errors.As(err, &unreadable):
			op.leave(c.engine.volumes)
			c.giveUp(v, x, unreadable)
			return nil
		default:
			return err
		}
	}
	return nil
}

// giveUp leaves a version where it is. A volume that is not there any more was
// removed with the version, or is reported elsewhere.
func (c *compactor) giveUp(v *located, x extent, err *unreadableError) {
	c.stuck[x.volume] = true
	if !errors.Is(err, fs.ErrNotExist) {
		c.engine.reportDamage(v, err)
	}
}

// unreadableError is a failure of the bytes that are to be copied, and not of
// their copy.
type unreadableError struct{ err error }

func (e *unreadableError) Error() string { return e.err.Error() }
func (e *unreadableError) Unwrap() error { return e.err }

// copyExtent copies an extent to the end of a shelf, holding every block against
// its checksum.
func (c *compactor) copyExtent(ctx context.Context, x extent, s shelf) (p part, err error) {
	vs := c.engine.volumes
	from, err := vs.acquire(x.volume)
	if err != nil {
		return part{}, &unreadableError{err}
	}
	defer vs.release(from)
	table, err := loadTable(from.file, x)
	if err != nil {
		return part{}, &unreadableError{err}
	}
	p.capacity = x.length
	if p.volume, p.offset, err = vs.reserve(s, x.length); err != nil {
		return part{}, err
	}
	source := verifiedReader{file: from.file, extent: x, table: table, scratch: &c.engine.scratch}
	if err := c.fill(ctx, &p, &source); err != nil {
		vs.abandon(&p)
		return part{}, err
	}
	return p, nil
}

// fill writes the bytes of an extent and their checksums, made anew, into a part.
func (c *compactor) fill(ctx context.Context, p *part, source *verifiedReader) error {
	buffer := c.engine.scratch.Get().(*[BlockSize]byte)
	defer c.engine.scratch.Put(buffer)
	var sums checksums
	for off := int64(0); off < p.capacity; off += BlockSize {
		block := buffer[:min(BlockSize, p.capacity-off)]
		if err := source.readBlocks(block, off); err != nil {
			return &unreadableError{err}
		}
		if _, err := p.volume.file.WriteAt(block, p.offset+off); err != nil {
			return err
		}
		sums.write(block)
		if err := c.pace.spend(ctx, int64(len(block))); err != nil {
			return err
		}
	}
	table, sum := sums.encode()
	if sum != source.extent.sum {
		return fmt.Errorf("the copy of the extent at %d has changed in memory", source.extent.offset)
	}
	_, err := p.volume.file.WriteAt(table, p.offset+p.capacity)
	return err
}

// relocate lets versions point to copies of their bytes, those that are still as
// they were found.
type relocate struct {
	moves     []*relocation
	moved     int64 // bytes
	committed bool
}

type relocation struct {
	located
	extents []extent // where they are to point
	parts   []part   // the room of the copies
	done    bool     // the version points there
}

// leave drops the last move, and its copies.
func (op *relocate) leave(vs *volumes) {
	last := len(op.moves) - 1
	op.moves[last].release(vs, false)
	op.moves = op.moves[:last]
}

// release lets go of the volumes, and of copies that nobody points to.
func (op *relocate) release(vs *volumes) {
	for _, m := range slices.Backward(op.moves) {
		m.release(vs, op.committed && m.done)
	}
}

func (m *relocation) release(vs *volumes, used bool) {
	for i := len(m.parts) - 1; i >= 0; i-- {
		if used {
			vs.release(m.parts[i].volume)
		} else {
			vs.abandon(&m.parts[i])
		}
	}
}

func (op *relocate) volumes() []*volume {
	var vs []*volume
	for _, m := range op.moves {
		for i := range m.parts {
			if v := m.parts[i].volume; !slices.Contains(vs, v) {
				vs = append(vs, v)
			}
		}
	}
	return vs
}

// apply finds a version unchanged by its extents: room that held a version is
// never another's.
func (op *relocate) apply(tx *txn) error {
	current := make([]objectRecord, len(op.moves))
	for i, m := range op.moves {
		record, found, err := lookupVersion(tx.batch, m.id, m.record.object.Path, withoutBody)
		if err != nil {
			return err
		}
		m.done = found && slices.Equal(record.extents, m.record.extents)
		current[i] = record
	}
	for i, m := range op.moves {
		if m.done {
			op.replace(tx, m, &current[i])
		}
	}
	return nil
}

func (op *relocate) replace(tx *txn, m *relocation, record *objectRecord) {
	tx.vacate(record.extents)
	tx.occupy(shelfOf(record.object.ExpiresAt).class, m.extents)
	record.extents = m.extents
	tx.set(record.key(m.id), record.encode())
	for i := range m.parts {
		op.moved += m.parts[i].capacity
	}
}

// reportDamage counts a version whose bytes are not what they were, and tells
// the operator.
func (e *Engine) reportDamage(v *located, err error) {
	e.damaged.Add(1)
	e.options.Log.Error("an object is damaged", "container", v.id, "object", v.record.object.Path, "error", err)
}
