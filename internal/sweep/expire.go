package sweep

import (
	"context"
	"slices"

	"headwater/internal/engine"
	"headwater/internal/mediastore"
)

// maxDue bounds how far the expirer looks past versions that it cannot remove.
const maxDue = 20 * maxBatch

// expireAll removes versions that have expired, until ctx ends. There is no bound
// on its rate: what comes in at the rate of live channels has to go at that rate.
func (s *Sweeper) expireAll(ctx context.Context) {
	stuck, failing := 0, false
	for {
		// What is stuck is found again each time, and stands in front.
		limit := min(maxBatch+stuck, maxDue)
		found, left, err := s.expire(ctx, limit)
		if ctx.Err() != nil {
			return
		}
		failing = s.noteExpiry(failing, err)
		stuck = left
		if found == limit && left < found {
			continue
		}
		if wait(ctx, s.Poll) != nil {
			return
		}
	}
}

// expire removes up to limit versions. It returns how many are due and how many of
// them are left because of an error.
func (s *Sweeper) expire(ctx context.Context, limit int) (found, left int, err error) {
	now := s.Now()
	due, err := s.Engine.DueObjects(ctx, now, limit)
	if err != nil {
		return 0, 0, err
	}
	for id, versions := range byContainer(due) {
		for batch := range slices.Chunk(versions, maxBatch) {
			gone, failed := s.Engine.RemoveVersions(ctx, id, batch, now, !s.EventsOnExpiry)
			s.swept(Expired, gone...)
			if failed != nil {
				left, err = left+len(batch), failed
			}
		}
	}
	return len(due), left, err
}

func byContainer(due []engine.Due) map[mediastore.ContainerID][]engine.VersionID {
	groups := map[mediastore.ContainerID][]engine.VersionID{}
	for i := range due {
		groups[due[i].Container] = append(groups[due[i].Container], versionOf(&due[i].Object))
	}
	return groups
}

func versionOf(o *mediastore.Object) engine.VersionID {
	return engine.VersionID{Path: o.Path, ETag: o.ETag}
}

// noteExpiry tells of an error, in the log only when there was none before, and
// returns whether there is one.
func (s *Sweeper) noteExpiry(failing bool, err error) bool {
	if err != nil {
		s.Listener.Failed(Expired, err)
	}
	switch {
	case err != nil && !failing:
		s.Log.Error("expired objects cannot be removed, trying again", "every", s.Poll, "error", err)
	case err == nil && failing:
		s.Log.Info("expired objects can be removed again")
	}
	return err != nil
}

// ExpireDue removes everything that has expired by now, for who cannot wait until
// the expirer does.
func (s *Sweeper) ExpireDue(ctx context.Context) error {
	for {
		found, left, err := s.expire(ctx, maxBatch)
		if err != nil || left > 0 || found < maxBatch {
			return err
		}
	}
}
