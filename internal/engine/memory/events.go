package memory

import (
	"bytes"
	"context"
	"slices"
	"time"

	"headwater/internal/event"
	"headwater/internal/mediastore"
)

// emitLocked gives an event its place in the log and wakes who waits for it.
func (e *Engine) emitLocked(ev event.Event) {
	ev.Position = e.newestLocked() + 1
	e.mu.events = append(e.mu.events, ev)
	close(e.mu.changed)
	e.mu.changed = make(chan struct{})
}

func containerEvent(c *mediastore.Container, kind event.Kind, at time.Time) event.Event {
	return event.Event{Kind: kind, Time: at, Account: c.Account, Container: c.Name, ContainerID: c.ID}
}

func objectEvent(c *mediastore.Container, kind event.Kind, o *mediastore.Object, at time.Time) event.Event {
	ev := containerEvent(c, kind, at)
	ev.Path, ev.ETag, ev.Size = o.Path, o.ETag, o.Size
	return ev
}

func (e *Engine) newestLocked() uint64 {
	if len(e.mu.events) == 0 {
		return 0
	}
	return e.mu.events[len(e.mu.events)-1].Position
}

// firstLocked is the index of the first event after a position.
func (e *Engine) firstLocked(after uint64) int {
	return len(e.mu.events) - int(min(uint64(len(e.mu.events)), e.newestLocked()-min(after, e.newestLocked())))
}

// ReadEvents implements engine.Events.
func (e *Engine) ReadEvents(ctx context.Context, after uint64, limit int) ([]event.Event, error) {
	if err := e.rlock(ctx); err != nil {
		return nil, err
	}
	defer e.mu.RUnlock()
	rest := e.mu.events[e.firstLocked(after):]
	return slices.Clone(rest[:min(limit, len(rest))]), nil
}

// WaitEvents implements engine.Events.
func (e *Engine) WaitEvents(ctx context.Context, after uint64) error {
	for {
		if err := e.rlock(ctx); err != nil {
			return err
		}
		newest, changed := e.newestLocked(), e.mu.changed
		e.mu.RUnlock()
		if newest > after {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// EventBounds implements engine.Events.
func (e *Engine) EventBounds(ctx context.Context) (oldest, newest uint64, err error) {
	if err := e.rlock(ctx); err != nil {
		return 0, 0, err
	}
	defer e.mu.RUnlock()
	if len(e.mu.events) == 0 {
		return 0, 0, nil
	}
	return e.mu.events[0].Position, e.newestLocked(), nil
}

// TrimEvents implements engine.Events.
func (e *Engine) TrimEvents(ctx context.Context, upTo uint64) error {
	if err := e.lock(ctx); err != nil {
		return err
	}
	defer e.mu.Unlock()
	keep := min(e.firstLocked(upTo), max(0, len(e.mu.events)-1))
	e.mu.events = slices.Clone(e.mu.events[keep:])
	return nil
}

// maxMark is how many bytes a mark can have.
const maxMark = 4 << 10

// Mark implements engine.Marks.
func (e *Engine) Mark(ctx context.Context, name string) ([]byte, error) {
	if err := e.rlock(ctx); err != nil {
		return nil, err
	}
	defer e.mu.RUnlock()
	return bytes.Clone(e.mu.marks[name]), nil
}

// SetMark implements engine.Marks.
func (e *Engine) SetMark(ctx context.Context, name string, value []byte) error {
	if len(value) > maxMark {
		return mediastore.Invalid("mark", "must have at most %d bytes", maxMark)
	}
	if err := e.lock(ctx); err != nil {
		return err
	}
	defer e.mu.Unlock()
	if value == nil {
		delete(e.mu.marks, name)
	} else {
		e.mu.marks[name] = bytes.Clone(value)
	}
	return nil
}
