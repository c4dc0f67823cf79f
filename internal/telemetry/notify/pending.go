package notify

import (
	"slices"
	"time"

	"headwater/internal/event"
	"headwater/internal/mediastore"
)

// pending are the events that were read and are not done with, each in the lane
// of its object. Of a lane only the first can be under way, so none overtakes an
// earlier one of the same object.
type pending struct {
	order  []*item // by position; those that are done are taken out by and by
	lanes  map[laneKey]*lane
	undone int
	read   uint64 // position up to which events have come
}

type laneKey struct {
	container mediastore.ContainerID
	path      mediastore.Path // empty for the container itself
}

type lane struct {
	key      laneKey
	items    []*item
	failures int       // of the first, in a row
	due      time.Time // when the first may be tried
}

type item struct {
	event  event.Event
	lane   *lane
	flying bool // it is under way
	done   bool
}

// admit adds an event that comes after all others.
func (p *pending) admit(e event.Event) {
	key := laneKey{e.ContainerID, e.Path}
	l := p.lanes[key]
	if l == nil {
		l = &lane{key: key}
		p.lanes[key] = l
	}
	it := &item{event: e, lane: l}
	l.items = append(l.items, it)
	p.order = append(p.order, it)
	p.undone++
}

// ready returns up to n events that can be tried now, the oldest first, and when
// there are fewer the time when the next can.
func (p *pending) ready(now time.Time, n int) (items []*item, next time.Time) {
	for _, it := range p.order {
		l := it.lane
		if it.done || it.flying || l.items[0] != it {
			continue
		}
		if l.due.After(now) {
			next = earlier(next, l.due)
			continue
		}
		if items = append(items, it); len(items) == n {
			break
		}
	}
	return items, next
}

// earlier returns the earlier of two times, of which zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// finish is for an event that was delivered or dropped.
func (p *pending) finish(it *item) {
	l := it.lane
	if l.items[0] == it {
		l.failures, l.due = 0, time.Time{}
	}
	l.items = slices.DeleteFunc(l.items, func(other *item) bool { return other == it })
	if len(l.items) == 0 {
		delete(p.lanes, l.key)
	}
	it.done, it.flying = true, false
	p.undone--
	p.compact()
}

// compact takes out what is done: from the front always, and from behind an event
// that is stuck when that is most of it.
func (p *pending) compact() {
	n := 0
	for n < len(p.order) && p.order[n].done {
		n++
	}
	clear(p.order[:n])
	p.order = p.order[n:]
	if len(p.order) > 2*p.undone+64 {
		p.order = slices.DeleteFunc(p.order, func(it *item) bool { return it.done })
	}
}

// fail is for an event that is to be tried again.
func (p *pending) fail(it *item, due time.Time) {
	it.flying = false
	it.lane.due = due
}

// drop finishes the events up to a position that are not under way, and returns
// how many.
func (p *pending) drop(upTo uint64) (n uint64) {
	for _, it := range slices.Clone(p.order) {
		if it.event.Position > upTo {
			break
		}
		if !it.done && !it.flying {
			p.finish(it)
			n++
		}
	}
	return n
}

// place is the position up to which everything is done.
func (p *pending) place() uint64 {
	if len(p.order) == 0 {
		return p.read
	}
	return p.order[0].event.Position - 1
}
