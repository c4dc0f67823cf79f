package notify

import (
	"context"

	"headwater/internal/engine"
	"headwater/internal/event"
)

// Tail reads the log on from a place, one goroutine at a time.
type Tail struct {
	Log   engine.Events
	After uint64 // position of the last event that was read
}

// Next waits for events after the place, moves it behind them, and returns up to
// limit of them. When events were forgotten that come before these, missed is how
// many positions they had.
func (t *Tail) Next(ctx context.Context, limit int) (events []event.Event, missed uint64, err error) {
	for len(events) == 0 {
		if err := t.Log.WaitEvents(ctx, t.After); err != nil {
			return nil, 0, err
		}
		events, err = t.Log.ReadEvents(ctx, t.After, limit)
		if err != nil {
			return nil, 0, err
		}
	}
	missed = events[0].Position - t.After - 1
	t.After = events[len(events)-1].Position
	return events, missed, nil
}
