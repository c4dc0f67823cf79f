package logstore

import (
	"cmp"
	"context"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// The bounds of one group. A request that is alone is always taken.
const (
	maxGroup      = 1024
	maxGroupBytes = 4 << 20
)

// operation is one change to the index. apply looks at the state that those
// before it in the group have left, and either changes it or returns an error
// and has changed nothing: it reads first and writes last.
type operation interface {
	apply(tx *txn) error
}

// request is an operation that waits for the committer.
type request struct {
	ctx     context.Context
	op      operation
	bytes   int       // about how much it writes to the index
	volumes []*volume // that hold bytes it is about to name
	err     error     // why it is refused; the committer's
	done    chan error
}

// committer is the one writer of the index. While it makes one group durable the
// next one gathers in its queue, so that a disk that syncs slowly makes groups
// larger and not the queue longer.
//
// A group is made durable in this order, which is what the promises of the
// engine rest on: the bytes in the volumes, then the index that names them, then
// the answers.
type committer struct {
	index   *index
	volumes *volumes
	queue   chan *request
	stopped chan struct{}
	groups  atomic.Int64 // for tests
}

func newCommitter(x *index, vs *volumes) *committer {
	c := &committer{index: x, volumes: vs, queue: make(chan *request, maxGroup), stopped: make(chan struct{})}
	go c.run()
	return c
}

// submit runs an operation and waits until its outcome is durable. Once the
// request is queued it waits whatever becomes of ctx: only the committer knows
// whether the operation took effect.
func (c *committer) submit(ctx context.Context, op operation, bytes int, volumes ...*volume) error {
	if err := c.index.fuse.err(); err != nil {
		return ioError("logstore.commit", err)
	}
	r := &request{ctx: ctx, op: op, bytes: bytes, volumes: volumes, done: make(chan error, 1)}
	select {
	case c.queue <- r:
		return <-r.done
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop ends the committer. Nothing may be submitted any more.
func (c *committer) stop() {
	close(c.queue)
	<-c.stopped
}

func (c *committer) run() {
	defer close(c.stopped)
	var next *request
	for {
		group, rest, ok := c.gather(next)
		if !ok {
			return
		}
		c.commit(group)
		next = rest
	}
}

// gather takes what waits, up to the bounds of a group. The request that would
// have gone beyond them begins the next group.
func (c *committer) gather(first *request) (group []*request, rest *request, ok bool) {
	if first == nil {
		if first, ok = <-c.queue; !ok {
			return nil, nil, false
		}
	}
	group = append(group, first)
	bytes := first.bytes
	for len(group) < maxGroup {
		select {
		case r, open := <-c.queue:
			if !open {
				return group, nil, true
			}
			if bytes += r.bytes; bytes > maxGroupBytes {
				return group, r, true
			}
			group = append(group, r)
		default:
			return group, nil, true
		}
	}
	return group, nil, true
}

// commit makes a group durable and answers everyone in it. Also a refusal waits:
// it may rest on a change of the same group, and is only true when that is.
func (c *committer) commit(group []*request) {
	c.groups.Add(1)
	c.syncVolumes(group)
	tx := newTxn(c.index.DB)
	defer tx.batch.Close()
	for _, r := range group {
		if r.err == nil {
			r.err = r.op.apply(tx)
		}
	}
	err := c.commitIndex(tx)
	for _, r := range group {
		r.done <- cmp.Or(err, r.err)
	}
}

// syncVolumes makes the bytes of the group durable. Requests whose bytes could
// not be, and those that are not wanted any more, are out.
func (c *committer) syncVolumes(group []*request) {
	outcome := make(map[*volume]error)
	for _, r := range group {
		r.err = r.ctx.Err()
		for _, v := range r.volumes {
			if r.err == nil {
				r.err = c.syncOnce(v, outcome)
			}
		}
	}
}

func (c *committer) syncOnce(v *volume, outcome map[*volume]error) error {
	err, done := outcome[v]
	if !done {
		err = ioError("logstore.sync", c.volumes.sync(v))
		outcome[v] = err
	}
	return err
}

// commitIndex makes the batch durable and tells the volumes what has changed.
func (c *committer) commitIndex(tx *txn) error {
	emptied, err := tx.settleVolumes()
	if err != nil {
		return err
	}
	if tx.batch.Empty() {
		return nil
	}
	if err := c.index.commit(tx.batch); err != nil {
		return ioError("logstore.commit", err)
	}
	for id, empty := range emptied {
		c.volumes.setEmpty(id, empty)
	}
	return nil
}

// txn is the change that a group makes: a batch that reads see, and how many
// bytes it adds to and takes from each volume.
type txn struct {
	batch *pebble.Batch
	live  map[volumeID]*volumeChange
	err   error // the first failure of a write to the batch
}

type volumeChange struct {
	class class
	bytes int64
}

func newTxn(db *pebble.DB) *txn {
	return &txn{batch: db.NewIndexedBatch(), live: make(map[volumeID]*volumeChange)}
}

func (tx *txn) set(key, value []byte) { tx.note(tx.batch.Set(key, value, nil)) }
func (tx *txn) delete(key []byte)     { tx.note(tx.batch.Delete(key, nil)) }

func (tx *txn) note(err error) {
	if tx.err == nil {
		tx.err = err
	}
}

// occupy and vacate account for the extents of a version that comes and goes.
func (tx *txn) occupy(c class, extents []extent) {
	for _, x := range extents {
		change := tx.change(x.volume)
		change.class = c
		change.bytes += footprint(x.length)
	}
}

func (tx *txn) vacate(extents []extent) {
	for _, x := range extents {
		tx.change(x.volume).bytes -= footprint(x.length)
	}
}

func (tx *txn) change(id volumeID) *volumeChange {
	change := tx.live[id]
	if change == nil {
		change = &volumeChange{}
		tx.live[id] = change
	}
	return change
}

// settleVolumes writes the records of the volumes that the group has touched. It
// returns for each whether it is empty now.
func (tx *txn) settleVolumes() (map[volumeID]bool, error) {
	emptied := make(map[volumeID]bool, len(tx.live))
	for id, change := range tx.live {
		record, found, err := lookup(tx.batch, volumeKey(id), decodeVolume)
		if err != nil {
			return nil, err
		}
		if !found {
			record.class = change.class
		}
		record.live += change.bytes
		emptied[id] = record.live <= 0
		if record.live <= 0 {
			tx.delete(volumeKey(id))
		} else {
			tx.set(volumeKey(id), record.encode())
		}
	}
	return emptied, ioError("logstore.commit", tx.err)
}
