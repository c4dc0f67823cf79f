package logstore

import (
	"cmp"
	"context"
	"sync/atomic"

	"headwater/internal/mediastore"
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
	events  *eventLog
	queue   chan *request
	stopped chan struct{}
	onGroup func(operations int)             // may be nil
	owners  map[mediastore.ContainerID]owner // of run alone

	groups, operations, bytes atomic.Int64
}

func newCommitter(x *index, vs *volumes, events *eventLog, onGroup func(int)) *committer {
	c := &committer{
		index: x, volumes: vs, events: events, onGroup: onGroup,
		queue: make(chan *request, maxGroup), stopped: make(chan struct{}),
		owners: make(map[mediastore.ContainerID]owner),
	}
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
	size := first.bytes
	for len(group) < maxGroup {
		select {
		case r, open := <-c.queue:
			if !open {
				return group, nil, true
			}
			if size += r.bytes; size > maxGroupBytes {
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
	c.syncVolumes(group)
	tx := newTxn(c.index.DB, c.owners, c.events.newest())
	defer tx.batch.Close()
	for _, r := range group {
		if r.err == nil {
			r.err = r.op.apply(tx)
		}
	}
	err := c.commitIndex(tx)
	if err != nil {
		clear(c.owners) // nobody knows any more
	}
	c.count(group, tx)
	for _, r := range group {
		r.done <- cmp.Or(err, r.err)
	}
}

func (c *committer) count(group []*request, tx *txn) {
	c.groups.Add(1)
	c.operations.Add(int64(len(group)))
	c.bytes.Add(int64(tx.batch.Len()))
	if c.onGroup != nil {
		c.onGroup(len(group))
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

// commitIndex makes the batch durable and tells the rest of the engine what has
// changed.
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
	c.volumes.live.Add(tx.liveChange())
	c.events.publish(tx.position)
	if tx.earliest != nil {
		c.index.expiries.lower(tx.earliest)
	}
	return nil
}
