package notify

import (
	"context"
	"sort"
	"time"
)

// trimEvery is how often the log is trimmed: many events at a time.
const trimEvery = 10 * time.Second

// trimmer forgets the events that nobody waits for any more, and those that were
// waited for too long.
type trimmer struct {
	config      *Config
	dispatchers []*dispatcher
}

func (t *trimmer) run(ctx context.Context) {
	for {
		if err := t.pass(ctx); err != nil && ctx.Err() == nil {
			t.config.Logger.Error("events cannot be trimmed; trying again", "error", err)
		}
		if !sleep(ctx, trimEvery) {
			return
		}
	}
}

// pass trims once. A receiver is told what it loses before it is lost.
func (t *trimmer) pass(ctx context.Context) error {
	oldest, newest, err := t.config.Log.EventBounds(ctx)
	if err != nil || newest == 0 {
		return err
	}
	f, err := t.floor(ctx, oldest, newest)
	if err != nil {
		return err
	}
	unneeded := below(newest, t.config.Retain)
	for _, d := range t.dispatchers {
		place := d.saved.Load()
		if place < f.upTo {
			d.lift(ctx, f)
			place = f.upTo
		}
		unneeded = min(unneeded, place)
	}
	if unneeded < oldest {
		return nil
	}
	return t.config.Log.TrimEvents(ctx, unneeded)
}

// below returns the position that the n newest come after.
func below(newest uint64, n int) uint64 { return newest - min(newest, uint64(n)) }

// floor returns what no receiver needs to get any more.
func (t *trimmer) floor(ctx context.Context, oldest, newest uint64) (floor, error) {
	if len(t.dispatchers) == 0 {
		return floor{}, nil
	}
	f := floor{below(newest, t.config.Limit), Overflow}
	aged, err := t.aged(ctx, oldest, newest)
	if aged > f.upTo {
		f = floor{aged, Age}
	}
	return f, err
}

// aged returns the position of the last event that is too old, 0 for none. Events
// are in the order of their times but for moments, so a binary search finds it.
func (t *trimmer) aged(ctx context.Context, oldest, newest uint64) (uint64, error) {
	cutoff := t.config.Now().Add(-t.config.MaxAge)
	var failed error
	n := sort.Search(int(newest-oldest)+1, func(i int) bool {
		events, err := t.config.Log.ReadEvents(ctx, oldest-1+uint64(i), 1)
		if err != nil {
			failed = err
		}
		return err != nil || len(events) == 0 || !events[0].Time.Before(cutoff)
	})
	if n == 0 {
		return 0, failed
	}
	return oldest - 1 + uint64(n), failed
}
