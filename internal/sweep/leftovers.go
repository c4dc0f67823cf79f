package sweep

import (
	"context"
	"errors"
	"time"
)

// maxCollected bounds one collection, so that archiving goes on soon.
const maxCollected = 100

// collectEvery is the time between two collections, unless there is more to do.
const collectEvery = time.Minute

// collectLeftovers removes bytes from the cold tier that no version has any more.
//
// The bytes of a version that is being archived are noted as a leftover, too. They
// are safe from here because one goroutine does both: while it collects, nothing is
// on its way into the tier; and an upload that an earlier run has left behind is
// noted anew, as of now, before it is made again. Grace does not have to be longer
// than an upload, then, but only as long as readers may take.
//
// It returns the time until it is to be called again.
func (s *Sweeper) collectLeftovers(ctx context.Context) time.Duration {
	gone, err := s.collect(ctx)
	if gone > 0 {
		s.Listener.Swept(Collected, gone, 0)
	}
	if ctx.Err() != nil {
		return collectEvery
	}
	if err != nil {
		s.Listener.Failed(Collected, err)
		s.Log.Warn("bytes that nobody has any more cannot be removed from the cold tier, trying again", "error", err)
		return collectEvery
	}
	if gone == maxCollected {
		return 0
	}
	return collectEvery
}

func (s *Sweeper) collect(ctx context.Context) (gone int, err error) {
	names, err := s.Engine.Leftovers(ctx, s.Now().Add(-s.Grace), maxCollected)
	if err != nil || len(names) == 0 {
		return 0, err
	}
	for i, name := range names {
		if err := s.Archive.Remove(ctx, name); err != nil {
			// Noted anew, it does not stand in the way of the others next time.
			return i, errors.Join(err, s.Engine.NoteLeftover(ctx, name, s.Now()), s.Engine.ForgetLeftovers(ctx, names[:i]))
		}
	}
	return len(names), s.Engine.ForgetLeftovers(ctx, names)
}
