package logstore

import (
	"context"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"headwater/internal/event"
	"headwater/internal/mediastore"
)

// eventLog knows up to which position events are durable, and wakes who waits
// for more. The index shows a batch before it is durable, so reads end there.
type eventLog struct {
	mu struct {
		sync.Mutex
		floor   uint64 // there is no event before this position
		durable uint64
		changed chan struct{} // closed when durable changes; nil when nobody waits
		closed  bool
	}
}

// loadEvents finds the first and the last position that there is.
func loadEvents(r pebble.Reader) (*eventLog, error) {
	l := &eventLog{}
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: eventKey(0), UpperBound: afterPrefix([]byte{tableEvents})})
	if err != nil {
		return nil, err
	}
	defer it.Close()
	if it.First() {
		if l.mu.floor, err = parseEventKey(it.Key()); err != nil {
			return nil, err
		}
	}
	if it.Last() {
		if l.mu.durable, err = parseEventKey(it.Key()); err != nil {
			return nil, err
		}
	}
	return l, it.Error()
}

// bounds returns a position before which there is no event, and that of the
// newest event that is durable.
func (l *eventLog) bounds() (floor, newest uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.floor, l.mu.durable
}

func (l *eventLog) raiseFloor(to uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.floor = max(l.mu.floor, to)
}

// newest is the position of the newest event that is durable.
func (l *eventLog) newest() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.durable
}

// publish says that the events up to a position are durable.
func (l *eventLog) publish(position uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if position != l.mu.durable {
		l.mu.durable = position
		l.wakeLocked()
	}
}

func (l *eventLog) wakeLocked() {
	if l.mu.changed != nil {
		close(l.mu.changed)
		l.mu.changed = nil
	}
}

// close makes every wait fail.
func (l *eventLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.closed = true
	l.wakeLocked()
}

func (l *eventLog) wait(ctx context.Context, after uint64) error {
	for {
		changed, err := l.next(after)
		if changed == nil || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// next returns what tells of the next change, or nil when there is an event after
// the position already.
func (l *eventLog) next(after uint64) (<-chan struct{}, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed {
		return nil, errClosed()
	}
	if l.mu.durable > after {
		return nil, nil
	}
	if l.mu.changed == nil {
		l.mu.changed = make(chan struct{})
	}
	return l.mu.changed, nil
}

// ReadEvents implements engine.Events.
func (e *Engine) ReadEvents(ctx context.Context, after uint64, limit int) (page []event.Event, err error) {
	if err := e.enter(ctx); err != nil {
		return nil, err
	}
	defer e.exit()
	newest := e.events.newest()
	if after >= newest || limit <= 0 {
		return nil, nil
	}
	err = scanRange(e.index, eventKey(after+1), append(eventKey(newest), 0), func(key []byte, it *pebble.Iterator) (bool, error) {
		ev, err := readEvent(key, it)
		page = append(page, ev)
		return len(page) < limit, err
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

func readEvent(key []byte, it *pebble.Iterator) (event.Event, error) {
	position, err := parseEventKey(key)
	if err != nil {
		return event.Event{}, err
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return event.Event{}, err
	}
	ev, err := decodeEvent(value)
	if err != nil {
		return event.Event{}, fmt.Errorf("event %d: %w", position, err)
	}
	ev.Position = position
	return ev, nil
}

// WaitEvents implements engine.Events.
func (e *Engine) WaitEvents(ctx context.Context, after uint64) error {
	if err := e.enter(ctx); err != nil {
		return err
	}
	defer e.exit()
	return e.events.wait(ctx, after)
}

// EventBounds implements engine.Events.
func (e *Engine) EventBounds(ctx context.Context) (oldest, newest uint64, err error) {
	if err := e.enter(ctx); err != nil {
		return 0, 0, err
	}
	defer e.exit()
	floor, newest := e.events.bounds()
	err = scanRange(e.index, eventKey(floor), append(eventKey(newest), 0), func(key []byte, _ *pebble.Iterator) (bool, error) {
		oldest, err = parseEventKey(key)
		return false, err
	})
	return oldest, newest, err
}

// TrimEvents implements engine.Events.
func (e *Engine) TrimEvents(ctx context.Context, upTo uint64) error {
	if err := e.enter(ctx); err != nil {
		return err
	}
	defer e.exit()
	floor, newest := e.events.bounds()
	if newest == 0 || upTo < floor || floor == newest {
		return nil
	}
	op := trimEvents{from: floor, to: min(upTo, newest-1) + 1}
	err := e.committer.submit(ctx, op, 0)
	if err == nil {
		e.events.raiseFloor(op.to)
	}
	return err
}

// trimEvents deletes the events from one position on and before another. Ranges
// that do not overlap are cheap to Pebble, also when there are many.
type trimEvents struct{ from, to uint64 }

func (op trimEvents) apply(tx *txn) error {
	tx.note(tx.batch.DeleteRange(eventKey(op.from), eventKey(op.to), nil))
	return nil
}

// maxMark is how many bytes a mark can have.
const maxMark = 4 << 10

// Mark implements engine.Marks.
func (e *Engine) Mark(ctx context.Context, name string) ([]byte, error) {
	if err := e.enter(ctx); err != nil {
		return nil, err
	}
	defer e.exit()
	value, _, err := lookup(e.index, markKey(name), func(b []byte) ([]byte, error) {
		return append([]byte{}, b...), nil
	})
	return value, err
}

// SetMark implements engine.Marks.
func (e *Engine) SetMark(ctx context.Context, name string, value []byte) error {
	if len(value) > maxMark {
		return mediastore.Invalid("mark", "must have at most %d bytes", maxMark)
	}
	return e.write(ctx, entry{markKey(name), value})
}
